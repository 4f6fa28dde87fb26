// Sums and maxima over random axes of random shapes on each instruction set, against plain loops.
#include "shapes.h"

using namespace chainrule;
using namespace chainrule::test;

namespace {

Shape kept_of(const Shape& shape, const Shape& axes) {
  Shape kept;
  for (size_t axis = 0; axis < shape.size(); ++axis)
    if (!contains(axes, static_cast<int64_t>(axis))) kept.push_back(shape[axis]);
  return kept;
}

// Where each element of x goes.
std::vector<int64_t> targets(const Shape& shape, const Shape& axes) {
  const Shape kept = kept_of(shape, axes);
  std::vector<int64_t> places;
  for (int64_t i = 0; i < elements(shape); ++i) {
    const Shape at = index_of(i, shape);
    places.push_back(place_of(kept_of(at, axes), kept));
  }
  return places;
}

// Sums in long double beside the sums of the magnitudes, which bound the error.
struct Sums {
  std::vector<long double> sum, size;
};
template <typename T>
Sums sums(Array& x, const std::vector<int64_t>& target, int64_t n) {
  Sums s{std::vector<long double>(static_cast<size_t>(n)),
         std::vector<long double>(static_cast<size_t>(n))};
  for (size_t i = 0; i < target.size(); ++i) {
    const auto value = static_cast<long double>(x.data<T>()[i]);
    s.sum[static_cast<size_t>(target[i])] += value;
    s.size[static_cast<size_t>(target[i])] += std::fabs(value);
  }
  return s;
}

Invocation reduction(const char* name, Array& x, Array& y, const Shape& axes) {
  Invocation run{name, {&x}, {&y}, {}, {}, {}, {{"axes", axes}}};
  if (x.shape().empty() || contains(axes, 0)) run.whole = {0};
  return run;
}

template <typename T>
void check_sum(const KernelTable& table, Array& x, const Shape& axes, int64_t shift) {
  Array y(dtype_of<T>(), kept_of(x.shape(), axes), shift * static_cast<int64_t>(sizeof(T)));
  CHECK(same_in_tiles(table, reduction("reduce_sum", x, y, axes)));
  const Sums want = sums<T>(x, targets(x.shape(), axes), y.size());
  for (int64_t i = 0; i < y.size(); ++i) {
    const auto at = static_cast<size_t>(i);
    if constexpr (std::is_floating_point_v<T>) {
      // One rounding at the end for float, whose sums are held in double.
      const double unit = std::numeric_limits<T>::epsilon() * (sizeof(T) == 4 ? 0.51 : 8.0);
      CHECK_NEAR(y.data<T>()[i], static_cast<double>(want.sum[at]),
                 static_cast<double>(want.size[at]) * unit);
    } else {
      CHECK(y.data<T>()[i] == static_cast<T>(want.sum[at]));
    }
  }
}

template <typename T>
T greatest(T a, T b) {
  return a != a || a >= b ? a : b;
}

template <typename T>
void check_max(const KernelTable& table, Array& x, const Shape& axes, int64_t shift) {
  using Limits = std::numeric_limits<T>;
  Array y(dtype_of<T>(), kept_of(x.shape(), axes), shift * static_cast<int64_t>(sizeof(T)));
  CHECK(same_in_tiles(table, reduction("reduce_max", x, y, axes)));
  const T least = Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
  std::vector<T> want(static_cast<size_t>(y.size()), least);
  const std::vector<int64_t> target = targets(x.shape(), axes);
  for (size_t i = 0; i < target.size(); ++i) {
    T& top = want[static_cast<size_t>(target[i])];
    top = greatest(top, x.data<T>()[i]);
  }
  for (int64_t i = 0; i < y.size(); ++i) {
    const T got = y.data<T>()[i], expected = want[static_cast<size_t>(i)];
    CHECK(got == expected || (got != got && expected != expected));
  }
}

template <typename T>
void check_random(const KernelTable& table, uint64_t seed) {
  Random random(seed);
  for (int round = 0; round < 150; ++round) {
    const int64_t rank = random.below(9);
    const Shape shape = random.shape(rank), axes = random.axes(rank);
    Array x = numbers<T>(shape, seed + static_cast<uint64_t>(round), random.below(3));
    check_sum<T>(table, x, axes, random.below(3));
    check_max<T>(table, x, axes, random.below(3));
  }
}

template <typename T>
void check_sizes(const KernelTable& table) {
  for (const int64_t n : test_sizes()) {
    for (const auto& [shape, axes] : std::vector<std::pair<Shape, Shape>>{
             {{n}, {0}}, {{n}, {}}, {{9, n}, {0}}, {{9, n}, {1}}, {{n, 9}, {0}}, {{n, 9}, {1}}}) {
      Array x = numbers<T>(shape, 7, 1);
      check_sum<T>(table, x, axes, 1);
      check_max<T>(table, x, axes, 1);
    }
  }
}

// A NaN at each place in turn reaches the maximum and the sum it belongs to, and no other.
template <typename T>
void check_nan(const KernelTable& table) {
  for (const int64_t n : {1, 3, 10, 17, 67, 131}) {
    for (int64_t place = 0; place < n; ++place) {
      Array x({n}, plain_values<T>(n, 11));
      x.data<T>()[place] = std::numeric_limits<T>::quiet_NaN();
      Array y(dtype_of<T>(), {}), columns(dtype_of<T>(), {n});
      for (const char* name : {"reduce_max", "reduce_sum"}) {
        CHECK(run_call(table, reduction(name, x, y, {0})));
        CHECK(std::isnan(y.data<T>()[0]));
        Array two({2, n}, plain_values<T>(2 * n, 12));
        two.data<T>()[n * (place % 2) + place] = std::numeric_limits<T>::quiet_NaN();
        CHECK(run_call(table, reduction(name, two, columns, {0})));
        for (int64_t i = 0; i < n; ++i) CHECK(std::isnan(columns.data<T>()[i]) == (i == place));
      }
    }
  }
}

template <typename T>
void check_infinity(const KernelTable& table) {
  constexpr T infinity = std::numeric_limits<T>::infinity();
  Array x({3}, std::vector<T>{-infinity, -infinity, -infinity}), y(dtype_of<T>(), {});
  for (const char* name : {"reduce_max", "reduce_sum"}) {
    CHECK(run_call(table, reduction(name, x, y, {0})));
    CHECK(y.data<T>()[0] == -infinity);
  }
}

// Integers wrap, as NumPy's do.
template <typename T>
void check_wrapping(const KernelTable& table) {
  const T most = std::numeric_limits<T>::max();
  Array x({3, 1}, std::vector<T>{most, 1, 1}), y(dtype_of<T>(), {1});
  CHECK(run_call(table, reduction("reduce_sum", x, y, {0})));
  CHECK(y.data<T>()[0] == std::numeric_limits<T>::lowest() + 1);
}

// Sums of squares are sums over the squares, which are exact in double here.
void check_squares(const KernelTable& table, uint64_t seed) {
  Random random(seed);
  for (int round = 0; round < 150; ++round) {
    const int64_t rank = random.below(5);
    const Shape shape = random.shape(rank), axes = random.axes(rank), kept = kept_of(shape, axes);
    Array x = numbers<float>(shape, seed + static_cast<uint64_t>(round), random.below(3));
    Array squares(DType::f64, shape), wide(DType::f64, kept), y(DType::f32, kept);
    for (int64_t i = 0; i < x.size(); ++i) {
      const double one = static_cast<double>(x.data<float>()[i]);
      squares.data<double>()[i] = one * one;
    }
    CHECK(run_call(table, reduction("reduce_sum", squares, wide, axes)));
    CHECK(same_in_tiles(table, reduction("reduce_squares", x, y, axes)));
    for (int64_t i = 0; i < y.size(); ++i) {
      const double want = wide.data<double>()[i];
      CHECK_NEAR(static_cast<double>(y.data<float>()[i]), want, 1.2e-7 * want);
    }
  }
}

// Many terms: the error must not grow with their number.
template <typename T>
void check_long(const KernelTable& table) {
  for (const auto& [shape, axes] : std::vector<std::pair<Shape, Shape>>{
           {{100003}, {0}}, {{20011, 3}, {0}}, {{20011, 9}, {0}}, {{2, 50021}, {1}}}) {
    Array x(shape, plain_values<T>(elements(shape), 21, 0.0, 1.0));
    check_sum<T>(table, x, axes, 0);
  }
}

template <typename T>
void check_floats(const KernelTable& table) {
  check_nan<T>(table);
  check_infinity<T>(table);
  check_long<T>(table);
}

}  // namespace

int main() {
  for_each_set([](const KernelTable& table) {
    check_random<float>(table, 1);
    check_random<double>(table, 2);
    check_random<int32_t>(table, 3);
    check_random<int64_t>(table, 4);
    check_sizes<float>(table);
    check_sizes<double>(table);
    check_sizes<int32_t>(table);
    check_sizes<int64_t>(table);
    check_floats<float>(table);
    check_floats<double>(table);
    check_squares(table, 5);
    check_wrapping<int32_t>(table);
    check_wrapping<int64_t>(table);
  });
  return check_result();
}
