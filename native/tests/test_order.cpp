// What needs the elements of an axis in order (argmax, running sums, sorting) on each instruction
// set, against plain loops and std::stable_sort.
#include <algorithm>

#include "shapes.h"

using namespace chainrule;
using namespace chainrule::test;

namespace {

// The places of the elements of each line along an axis, lines in row-major order.
std::vector<std::vector<int64_t>> lines_of(const Shape& shape, int64_t axis) {
  int64_t after = 1;
  for (size_t i = static_cast<size_t>(axis) + 1; i < shape.size(); ++i) after *= shape[i];
  const int64_t size = shape[static_cast<size_t>(axis)];
  const int64_t lines = size == 0 ? 0 : elements(shape) / size;
  std::vector<std::vector<int64_t>> places(static_cast<size_t>(lines));
  for (int64_t line = 0; line < lines; ++line) {
    const int64_t first = line / std::max<int64_t>(after, 1) * size * after + line % after;
    for (int64_t i = 0; i < size; ++i)
      places[static_cast<size_t>(line)].push_back(first + i * after);
  }
  return places;
}

Shape without(Shape shape, int64_t axis) {
  shape.erase(shape.begin() + axis);
  return shape;
}

// Whether a comes before b: NaN last.
template <typename T>
bool before(T a, T b) {
  return a < b || (a == a && b != b);
}
template <typename T>
bool same(T a, T b) {
  return a == b || (a != a && b != b);
}

// Few different values, so that there are ties; some NaN.
template <typename T>
Array with_ties(const Shape& shape, Random& random) {
  std::vector<T> values;
  for (int64_t i = 0; i < elements(shape); ++i) {
    const int64_t value = random.below(9) - 4;
    values.push_back(value == 3 && std::numeric_limits<T>::has_quiet_NaN && random.below(2) == 0
                         ? std::numeric_limits<T>::quiet_NaN()
                         : static_cast<T>(value));
  }
  return Array(shape, values, random.below(3) * static_cast<int64_t>(sizeof(T)));
}

template <typename T>
int64_t first_maximum(const T* x, const std::vector<int64_t>& line) {
  size_t best = 0;
  for (size_t i = 1; i < line.size(); ++i) {
    const T candidate = x[line[i]], top = x[line[best]];
    if (candidate > top || (candidate != candidate && top == top)) best = i;
  }
  return static_cast<int64_t>(best);
}

template <typename T>
void check_argmax(const KernelTable& table, Array& x, int64_t axis) {
  if (x.shape()[static_cast<size_t>(axis)] == 0) return;
  Array y(DType::i64, without(x.shape(), axis));
  Invocation run{"argmax", {&x}, {&y}, {{"axis", static_cast<double>(axis)}}};
  if (axis == 0) run.whole = {0};
  CHECK(same_in_tiles(table, run));
  const auto lines = lines_of(x.shape(), axis);
  for (size_t i = 0; i < lines.size(); ++i)
    CHECK(y.data<int64_t>()[i] == first_maximum(x.data<T>(), lines[i]));
}

template <typename T>
void check_line_sum(Array& x, Array& y, const std::vector<int64_t>& line) {
  long double total = 0, size = 0;
  for (const int64_t place : line) {
    const auto value = static_cast<long double>(x.data<T>()[place]);
    total += value;
    size += std::fabs(value);
    const T got = y.data<T>()[place];
    if constexpr (std::is_floating_point_v<T>) {
      const double unit = std::numeric_limits<T>::epsilon() * (sizeof(T) == 4 ? 0.51 : 32.0);
      CHECK_NEAR(got, static_cast<double>(total), static_cast<double>(size) * unit);
    } else {
      CHECK(got == static_cast<T>(total));
    }
  }
}

template <typename T>
void check_cumulative_sum(const KernelTable& table, const Shape& shape, int64_t axis,
                          Random& random) {
  Array x = numbers<T>(shape, 5, random.below(3));
  Array y(dtype_of<T>(), shape, random.below(3) * static_cast<int64_t>(sizeof(T)));
  for (const bool reverse : {false, true}) {
    Invocation run{"cumulative_sum", {&x}, {&y}, {{"axis", axis}, {"reverse", reverse}}};
    if (axis == 0) run.whole = {0};
    CHECK(same_in_tiles(table, run));
    for (auto& line : lines_of(shape, axis)) {
      if (reverse) std::reverse(line.begin(), line.end());
      check_line_sum<T>(x, y, line);
    }
  }
}

template <typename T>
void check_sort(const KernelTable& table, Array& x) {
  const Shape& shape = x.shape();
  Array sorted(dtype_of<T>(), shape, sizeof(T)), order(DType::i64, shape, 8);
  Invocation sort{"sort", {&x}, {&sorted}}, argsort{"argsort", {&x}, {&order}};
  if (shape.size() <= 1) sort.whole = argsort.whole = {0};
  CHECK(same_in_tiles(table, sort));
  CHECK(same_in_tiles(table, argsort));
  const auto rank = static_cast<int64_t>(shape.size());
  const auto lines = rank == 0 ? std::vector<std::vector<int64_t>>{{0}} : lines_of(shape, rank - 1);
  for (auto line : lines) {
    const int64_t first = line[0];
    const std::vector<int64_t> places = line;
    const T* values = x.data<T>();
    std::stable_sort(line.begin(), line.end(),
                     [=](int64_t a, int64_t b) { return before(values[a], values[b]); });
    for (size_t i = 0; i < line.size(); ++i) {
      CHECK(order.data<int64_t>()[places[i]] == line[i] - first);
      CHECK(same(sorted.data<T>()[places[i]], values[line[i]]));
    }
  }
}

template <typename T>
void check_type(const KernelTable& table, uint64_t seed) {
  Random random(seed);
  for (int round = 0; round < 80; ++round) {
    const int64_t rank = 1 + random.below(8);
    const int64_t axis = random.below(rank);
    const Shape shape = random.shape(rank);
    Array x = with_ties<T>(shape, random);
    check_argmax<T>(table, x, axis);
    check_argmax<T>(table, x, rank - 1);
    check_cumulative_sum<T>(table, shape, axis, random);
    check_sort<T>(table, x);
  }
  for (const int64_t n : test_sizes()) {
    for (const Shape& shape : {Shape{n}, Shape{3, n}}) {
      Array ties = with_ties<T>(shape, random), spread = numbers<T>(shape, seed, 1);
      for (Array* x : {&ties, &spread}) {
        check_argmax<T>(table, *x, static_cast<int64_t>(shape.size()) - 1);
        check_sort<T>(table, *x);
      }
      check_cumulative_sum<T>(table, shape, static_cast<int64_t>(shape.size()) - 1, random);
    }
  }
  Array scalar = numbers<T>({}, 1);
  check_sort<T>(table, scalar);
}

// NaN among infinities, and all NaN.
template <typename T>
void check_special(const KernelTable& table) {
  constexpr T infinity = std::numeric_limits<T>::infinity();
  constexpr T nan = std::numeric_limits<T>::quiet_NaN();
  for (const std::vector<T>& row :
       {std::vector<T>{-infinity, -infinity, -infinity}, std::vector<T>{nan, infinity, nan},
        std::vector<T>{infinity, nan, -infinity}, std::vector<T>{nan, nan, nan}}) {
    Array x({1, 3}, row), line({3}, row);
    for (Array* a : {&x, &line}) {
      check_argmax<T>(table, *a, static_cast<int64_t>(a->shape().size()) - 1);
      check_sort<T>(table, *a);
    }
  }
}

}  // namespace

int main() {
  for_each_set([](const KernelTable& table) {
    check_type<float>(table, 1);
    check_type<double>(table, 2);
    check_type<int32_t>(table, 3);
    check_type<int64_t>(table, 4);
    check_special<float>(table);
    check_special<double>(table);
  });
  return check_result();
}
