// Copies in another order and constants (shape.cpp, join.cpp) on each instruction set, against the
// place of each element.
#include <numeric>

#include "shapes.h"

using namespace chainrule;
using namespace chainrule::test;

namespace {

// Runs a call of one argument and checks that element i of y is element `from(index)` of x, or
// `otherwise` where from gives -1.
template <typename T, typename From>
void check_move(const KernelTable& table, const Invocation& run, From from, T otherwise = T{}) {
  CHECK(same_in_tiles(table, run));
  Array& y = *run.outputs[0];
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t place = from(index_of(i, y.shape()));
    CHECK(y.data<T>()[i] == (place < 0 ? otherwise : run.arguments[0]->data<T>()[place]));
  }
}

// The same with x handed over whole, and tiled where it may be.
template <typename T, typename From>
void check_moves(const KernelTable& table, Invocation run, bool may_tile, From from) {
  run.whole = {0};
  check_move<T>(table, run, from);
  run.whole.clear();
  if (may_tile) check_move<T>(table, run, from);
}

template <typename T>
Array result(const Shape& shape, Random& random) {
  return Array(dtype_of<T>(), shape, random.below(3) * static_cast<int64_t>(sizeof(T)));
}

template <typename T>
void check_transpose(const KernelTable& table, const Shape& shape, const Shape& axes,
                     Random& random) {
  Array x = numbers<T>(shape, 3, random.below(3));
  Shape turned;
  for (const int64_t axis : axes) turned.push_back(shape[static_cast<size_t>(axis)]);
  Array y = result<T>(turned, random);
  const bool may_tile = !axes.empty() && axes[0] == 0;
  check_moves<T>(table, {"transpose", {&x}, {&y}, {}, {}, {}, {{"axes", axes}}}, may_tile,
                 [&](const Shape& at) {
                   Shape source(at.size());
                   for (size_t i = 0; i < at.size(); ++i)
                     source[static_cast<size_t>(axes[i])] = at[i];
                   return place_of(source, shape);
                 });
}

template <typename T>
void check_broadcast(const KernelTable& table, const Shape& shape, const Shape& axes,
                     Random& random) {
  Shape inner;
  for (const int64_t axis : axes) inner.push_back(shape[static_cast<size_t>(axis)]);
  Array x = numbers<T>(inner, 4, random.below(3)), y = result<T>(shape, random);
  const bool may_tile = !axes.empty() && axes[0] == 0;
  check_moves<T>(table, {"broadcast", {&x}, {&y}, {}, {}, {}, {{"shape", shape}, {"axes", axes}}},
                 may_tile, [&](const Shape& at) {
                   Shape source;
                   for (const int64_t axis : axes) source.push_back(at[static_cast<size_t>(axis)]);
                   return place_of(source, inner);
                 });
}

template <typename T>
void check_slice(const KernelTable& table, const Shape& shape, Random& random) {
  Shape start, stop, step, cut;
  for (const int64_t n : shape) {
    const bool all = random.below(3) == 0;
    start.push_back(all ? 0 : random.below(n + 1));
    stop.push_back(all ? n : start.back() + random.below(n - start.back() + 1));
    step.push_back(all ? 1 : 1 + random.below(3));
    cut.push_back((stop.back() - start.back() + step.back() - 1) / step.back());
  }
  Array x = numbers<T>(shape, 5, random.below(3)), y = result<T>(cut, random);
  const Invocation run{
      "slice", {&x}, {&y}, {}, {}, {}, {{"start", start}, {"stop", stop}, {"step", step}}};
  check_moves<T>(table, run, !shape.empty() && cut[0] == shape[0], [&](const Shape& at) {
    Shape source;
    for (size_t i = 0; i < at.size(); ++i) source.push_back(start[i] + at[i] * step[i]);
    return place_of(source, shape);
  });
}

template <typename T>
void check_reverse(const KernelTable& table, const Shape& shape, const Shape& axes,
                   Random& random) {
  Array x = numbers<T>(shape, 6, random.below(3)), y = result<T>(shape, random);
  check_moves<T>(table, {"reverse", {&x}, {&y}, {}, {}, {}, {{"axes", axes}}},
                 !shape.empty() && !contains(axes, 0), [&](Shape at) {
                   for (const int64_t axis : axes) {
                     const auto i = static_cast<size_t>(axis);
                     at[i] = shape[i] - 1 - at[i];
                   }
                   return place_of(at, shape);
                 });
}

template <typename T>
void check_pad(const KernelTable& table, const Shape& shape, Random& random) {
  Shape low, high, wide;
  for (const int64_t n : shape) {
    low.push_back(random.below(3));
    high.push_back(random.below(3));
    wide.push_back(low.back() + n + high.back());
  }
  const bool rows_stay = !shape.empty() && low[0] == 0 && high[0] == 0;
  Array x = numbers<T>(shape, 8, random.below(3)), y = result<T>(wide, random);
  const double value = dtype_of<T>() == DType::boolean ? 1 : 7;
  Invocation run{"pad", {&x}, {&y}, {{"value", value}}, {}, {}, {{"low", low}, {"high", high}}};
  const auto from = [&](Shape at) {
    for (size_t i = 0; i < at.size(); ++i) {
      at[i] -= low[i];
      if (at[i] < 0 || at[i] >= shape[i]) return int64_t{-1};
    }
    return place_of(at, shape);
  };
  if (rows_stay) check_move<T>(table, run, from, static_cast<T>(value));
  run.whole = {0};
  check_move<T>(table, run, from, static_cast<T>(value));
}

template <typename T>
void check_concatenate(const KernelTable& table, Shape shape, Random& random) {
  if (shape.empty()) return;
  const auto axis = static_cast<size_t>(random.below(static_cast<int64_t>(shape.size())));
  std::vector<Array> arrays;
  int64_t total = 0;
  for (int64_t count = 1 + random.below(4); count > 0; --count) {
    shape[axis] = random.below(5);
    total += shape[axis];
    arrays.push_back(numbers<T>(shape, 9 + static_cast<uint64_t>(count), random.below(3)));
  }
  shape[axis] = total;
  Array y = result<T>(shape, random);
  Invocation run{"concatenate", {}, {&y}, {{"axis", static_cast<double>(axis)}}};
  for (size_t i = 0; i < arrays.size(); ++i) {
    run.arguments.push_back(&arrays[i]);
    if (axis == 0) run.whole.push_back(i);
  }
  CHECK(same_in_tiles(table, run));
  for (int64_t i = 0; i < y.size(); ++i) {
    Shape at = index_of(i, shape);
    size_t source = 0;
    for (; at[axis] >= arrays[source].shape()[axis]; ++source)
      at[axis] -= arrays[source].shape()[axis];
    CHECK(y.data<T>()[i] == arrays[source].data<T>()[place_of(at, arrays[source].shape())]);
  }
}

template <typename T>
void check_reshape(const KernelTable& table, const Shape& shape, Random& random) {
  Array x = numbers<T>(shape, 10, random.below(3)), flat = result<T>({x.size()}, random);
  Array again = result<T>(shape, random);
  const auto same = [](int64_t i) {
    return [i](const Shape& at) { return at.empty() ? i : at[0]; };
  };
  check_move<T>(table, {"reshape", {&x}, {&flat}, {}, {0}}, same(0));
  if (shape.empty()) return;
  check_move<T>(table, {"reshape", {&x}, {&again}},
                [&](const Shape& at) { return place_of(at, shape); });
}

template <typename T>
void check_fill(const KernelTable& table, const Shape& shape, Random& random) {
  Array y = result<T>(shape, random);
  const double value = dtype_of<T>() == DType::u8 ? 200 : -3;
  CHECK(same_in_tiles(table, {"fill", {}, {&y}, {{"value", value}}}));
  for (int64_t i = 0; i < y.size(); ++i) CHECK(y.data<T>()[i] == static_cast<T>(value));
}

template <typename T>
void check_iota(const KernelTable& table, const Shape& shape, Random& random) {
  if (shape.empty()) return;
  const int64_t axis = random.below(static_cast<int64_t>(shape.size()));
  Array y = result<T>(shape, random);
  CHECK(same_in_tiles(table, {"iota", {}, {&y}, {{"axis", static_cast<double>(axis)}}}));
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t want = index_of(i, shape)[static_cast<size_t>(axis)];
    CHECK(y.data<T>()[i] == static_cast<T>(want));
  }
}

template <typename T>
void check_shape(const KernelTable& table, const Shape& shape, Random& random) {
  const auto rank = static_cast<int64_t>(shape.size());
  check_transpose<T>(table, shape, random.permutation(rank), random);
  check_broadcast<T>(table, shape, random.axes(rank), random);
  check_slice<T>(table, shape, random);
  check_reverse<T>(table, shape, random.axes(rank), random);
  check_pad<T>(table, shape, random);
  check_concatenate<T>(table, shape, random);
  check_reshape<T>(table, shape, random);
  check_fill<T>(table, shape, random);
  check_iota<T>(table, shape, random);
}

template <typename T>
void check_type(const KernelTable& table, uint64_t seed) {
  Random random(seed);
  for (int round = 0; round < 120; ++round)
    check_shape<T>(table, random.shape(random.below(9)), random);
  for (const int64_t n : test_sizes()) {
    for (const int64_t m : {1, 9, 33}) {
      check_transpose<T>(table, {n, m}, {1, 0}, random);
      check_transpose<T>(table, {m, n}, {1, 0}, random);
      check_transpose<T>(table, {2, n, m}, {0, 2, 1}, random);
      check_transpose<T>(table, {m, 2, n}, {2, 1, 0}, random);
      for (const Shape& axes : {Shape{}, Shape{0}, Shape{1}, Shape{0, 1}})
        check_broadcast<T>(table, {n, m}, axes, random);
    }
    check_shape<T>(table, {n}, random);
  }
}

}  // namespace

int main() {
  for_each_set([](const KernelTable& table) {
    check_type<float>(table, 1);
    check_type<double>(table, 2);
    check_type<int32_t>(table, 3);
    check_type<int64_t>(table, 4);
    check_type<uint8_t>(table, 5);
  });
  return check_result();
}
