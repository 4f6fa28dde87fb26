// The measures of rows and of whole arrays on each instruction set, against plain loops.
#include <algorithm>
#include <cmath>

#include "shapes.h"

using namespace chainrule;
using namespace chainrule::test;

namespace {

constexpr int64_t measures = 8;
constexpr int64_t bins = 32;

struct Bounds {
  double low;
  double high;
};

// Zeros and elements that are not finite among numbers of many sizes.
template <typename T>
Array odd_numbers(const Shape& shape, Random& random) {
  constexpr T infinity = std::numeric_limits<T>::infinity();
  constexpr T nan = std::numeric_limits<T>::quiet_NaN();
  std::vector<T> values;
  for (int64_t i = 0; i < elements(shape); ++i) {
    const int64_t kind = random.below(40);
    const T x = static_cast<T>(std::ldexp(static_cast<double>(random.below(1000) - 500) / 500.0,
                                          static_cast<int>(random.below(60)) - 44));
    values.push_back(kind == 0 ? nan : kind == 1 ? infinity : kind == 2 ? -infinity : x);
  }
  return Array(shape, values, random.below(3) * static_cast<int64_t>(sizeof(T)));
}

int64_t bin_of(double size) {
  const int exponent = std::ilogb(size);
  return std::clamp<int64_t>((exponent + 36) >> 1, 0, bins - 1);
}

template <typename T>
void check_row(const T* x, int64_t n, const T* found, Bounds bounds) {
  double sum = 0, squares = 0, size = 0;
  T low = std::numeric_limits<T>::infinity(), high = -low;
  int64_t zeros = 0, flat = 0, lost = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (!std::isfinite(x[i])) {
      ++lost;
      continue;
    }
    const auto v = static_cast<double>(x[i]);
    sum += v;
    size += std::fabs(v);
    squares += v * v;
    low = std::min(low, x[i]);
    high = std::max(high, x[i]);
    zeros += v == 0;
    flat += x[i] <= static_cast<T>(bounds.low) || x[i] >= static_cast<T>(bounds.high);
  }
  CHECK(found[0] == static_cast<T>(n - lost));
  const double unit = 64.0 * static_cast<double>(std::numeric_limits<T>::epsilon());
  CHECK_NEAR(found[1], sum, size * unit);
  CHECK_NEAR(found[2], squares, squares * unit + 1e-37);
  CHECK(found[3] == low);
  CHECK(found[4] == high);
  CHECK(found[5] == static_cast<T>(zeros));
  CHECK(found[6] == static_cast<T>(flat));
  CHECK(found[7] == static_cast<T>(lost));
}

// Elements [0, n) of a group, which are the elements from `first` on of the array.
template <typename T>
void check_counts(const T* x, int64_t first, int64_t n, int64_t stride, const uint8_t* found) {
  int64_t expected[bins] = {};
  for (int64_t i = 0; i < n; ++i) {
    if ((first + i) % stride == 0 && std::isfinite(x[i]) && x[i] != 0) {
      ++expected[bin_of(static_cast<double>(x[i]))];
    }
  }
  for (int64_t i = 0; i < bins; ++i) CHECK(found[i] == std::min<int64_t>(expected[i], 255));
}

struct How {
  int64_t stride;
  int64_t probes;
  int64_t group = 1;
  int64_t every = 1;
};

// The total of the rows that a survey gave, `part` rows of x in each, of those in groups that are
// measured.
template <typename T>
void check_total(const KernelTable& table, Array& rows, Array& counts, int64_t size, int64_t part,
                 How how) {
  Array total(dtype_of<T>(), {1, measures + bins}, 8);
  Invocation run{"survey_total",
                 {&rows, &counts},
                 {&total},
                 {{"size", static_cast<double>(size)},
                  {"group", static_cast<double>(how.group)},
                  {"every", static_cast<double>(how.every)}}};
  run.whole = {0, 1};
  CHECK(same_in_tiles(table, run));
  const int64_t n = rows.shape()[0], width = rows.shape()[1];
  const auto counted = [&](int64_t r) { return r / how.group % how.every == 0 && r % part == 0; };
  const T* y = total.data<T>();
  for (int64_t m = 0; m < measures; ++m) {
    double expected = m == 3 ? HUGE_VAL : m == 4 ? -HUGE_VAL : 0.0;
    for (int64_t r = 0; r < n; ++r) {
      if (!counted(r)) continue;
      const auto v = static_cast<double>(rows.data<T>()[r * width + m]);
      expected = m == 3 ? std::min(expected, v) : m == 4 ? std::max(expected, v) : expected + v;
    }
    const auto near = static_cast<double>(std::numeric_limits<T>::epsilon()) * std::fabs(expected);
    CHECK(y[m] == static_cast<T>(expected) || std::fabs(y[m] - expected) <= 2 * near);
  }
  for (int64_t i = 0; i < bins; ++i) {
    int64_t expected = 0;
    for (int64_t r = 0; r < n; ++r) {
      if (counted(r)) expected += counts.data<uint8_t>()[r * bins + i];
    }
    CHECK(y[measures + i] == static_cast<T>(expected));
  }
}

template <typename T>
void check_survey(const KernelTable& table, Array& x, Bounds bounds, How how) {
  const int64_t n = x.shape()[0], size = n == 0 ? 1 : elements(x.shape()) / n;
  const int64_t width = measures + how.probes;
  Array rows(dtype_of<T>(), {n, width}, sizeof(T)), counts(DType::u8, {n, bins}, 1);
  Invocation run{"survey",
                 {&x},
                 {&rows, &counts},
                 {{"low", bounds.low},
                  {"high", bounds.high},
                  {"stride", static_cast<double>(how.stride)},
                  {"probes", static_cast<double>(how.probes)},
                  {"group", static_cast<double>(how.group)},
                  {"every", static_cast<double>(how.every)}}};
  // In tiles a group may be cut.
  CHECK(how.group == 1 ? same_in_tiles(table, run) : run_call(table, run));
  for (int64_t r = 0; r < n; ++r) {
    const T* found = rows.data<T>() + r * width;
    const uint8_t* sizes = counts.data<uint8_t>() + r * bins;
    if (r / how.group % how.every != 0 || r % how.group != 0) continue;
    const T* part = x.data<T>() + r * size;
    const int64_t taken = size * std::min(how.group, n - r);
    check_row(part, taken, found, bounds);
    check_counts(part, r * size, taken, how.stride, sizes);
    for (int64_t i = 0; i < how.probes; ++i) {
      const T probe = found[measures + i];
      CHECK(std::any_of(part, part + taken,
                        [=](T v) { return v == probe || (v != v && probe != probe); }));
    }
  }
  check_total<T>(table, rows, counts, size, how.group, how);
  if (how.group == 1) check_total<T>(table, rows, counts, size, 1, {1, 0, 2, 3});
}

// Of parts of groups that tiles have cut: rows between them are not read.
template <typename T>
void check_parts(const KernelTable& table) {
  constexpr T nan = std::numeric_limits<T>::quiet_NaN();
  constexpr T infinity = std::numeric_limits<T>::infinity();
  std::vector<T> measured(size_t{7} * measures, nan);
  const auto part = [&](size_t row, std::vector<T> numbers) {
    std::copy(numbers.begin(), numbers.end(), measured.begin() + static_cast<int64_t>(row) * 8);
  };
  part(0, {10, 1, 2, -3, 4, 5, 6, 0});
  part(2, {3, 1, 2, -5, 3, 5, 6, 2});
  part(3, {0, 0, 0, infinity, -infinity, 0, 0, 5});
  part(4, {15, 1, 2, -1, 7, 5, 6, 0});
  Array rows({7, measures}, measured), counts({7, bins}, std::vector<uint8_t>(7 * bins, 1));
  Array total(dtype_of<T>(), {1, measures + bins}, 0);
  Invocation run{
      "survey_total", {&rows, &counts}, {&total}, {{"size", 5.0}, {"group", 4.0}, {"every", 1.0}}};
  run.whole = {0, 1};
  CHECK(run_call(table, run));
  const double expected[] = {28, 3, 6, -5, 7, 15, 18, 7, 4};
  for (int64_t i = 0; i < 9; ++i) CHECK(total.data<T>()[i] == static_cast<T>(expected[i]));
}

// The survey of a change is that of the difference.
template <typename T>
void check_change(const KernelTable& table, Array& x, Array& y) {
  const int64_t n = x.shape()[0];
  Array rows(dtype_of<T>(), {n, measures}, 0), counts(DType::u8, {n, bins}, 0);
  Invocation run{"survey_change", {&x, &y}, {&rows, &counts}, {{"stride", 3.0}}};
  CHECK(same_in_tiles(table, run));
  std::vector<T> difference;
  for (int64_t i = 0; i < x.size(); ++i) difference.push_back(y.data<T>()[i] - x.data<T>()[i]);
  Array between(x.shape(), difference);
  Array other(dtype_of<T>(), {n, measures}, 0), others(DType::u8, {n, bins}, 0);
  Invocation plain{"survey", {&between}, {&other, &others}, {{"stride", 3.0}}};
  CHECK(run_call(table, plain));
  CHECK(std::memcmp(rows.raw(), other.raw(), sizeof(T) * static_cast<size_t>(rows.size())) == 0);
  CHECK(std::memcmp(counts.raw(), others.raw(), static_cast<size_t>(counts.size())) == 0);
}

template <typename T>
void check_type(const KernelTable& table, uint64_t seed) {
  constexpr double infinity = HUGE_VAL;
  Random random(seed);
  for (const int64_t n : test_sizes()) {
    if (n == 0) continue;
    for (const Shape& shape : {Shape{n}, Shape{3, n}, Shape{n, 5}}) {
      const int64_t stride = 1 + 2 * random.below(9), probes = random.below(4);
      Array plain = numbers<T>(shape, seed + static_cast<uint64_t>(n), random.below(3));
      Array odd = odd_numbers<T>(shape, random);
      check_change<T>(table, plain, odd);
      for (Array* x : {&plain, &odd}) {
        check_survey<T>(table, *x, {-infinity, infinity}, {stride, probes});
        check_survey<T>(table, *x, {-0.25, 0.5}, {stride, probes});
        check_survey<T>(table, *x, {-0.25, 0.5}, {stride, probes, 4, 2});
      }
    }
  }
  check_parts<T>(table);
  // Squares that do not fit into T, and more of one size than a row counts.
  Array large({2, 40}, std::vector<T>(80, std::numeric_limits<T>::max() / 4));
  Array rows(dtype_of<T>(), {2, measures}, 0), counts(DType::u8, {2, bins}, 0);
  Invocation run{"survey", {&large}, {&rows, &counts}, {{"stride", 1.0}}};
  CHECK(same_in_tiles(table, run));
  CHECK(rows.data<T>()[7] == 0);
  CHECK(rows.data<T>()[4] == std::numeric_limits<T>::max() / 4);
  Array many({1, 700}, std::vector<T>(700, T{1}));
  check_survey<T>(table, many, {-infinity, infinity}, {1, 0});
}

}  // namespace

int main() {
  for_each_set([](const KernelTable& table) {
    check_type<float>(table, 1);
    check_type<double>(table, 2);
  });
  return check_result();
}
