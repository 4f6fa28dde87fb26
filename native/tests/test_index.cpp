// Rows by number on each instruction set, against plain loops.
#include "shapes.h"

using namespace chainrule;
using namespace chainrule::test;

namespace {

Shape joined(Shape a, const Shape& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Indices in [low, high).
template <typename I>
Array indices(const Shape& shape, int64_t low, int64_t high, Random& random) {
  std::vector<I> values;
  for (int64_t i = 0; i < elements(shape); ++i)
    values.push_back(static_cast<I>(low + random.below(high - low)));
  return Array(shape, values, random.below(3) * static_cast<int64_t>(sizeof(I)));
}

template <typename T, typename I>
void check_take(const KernelTable& table, int64_t rows, const Shape& row, const Shape& where,
                Random& random) {
  Array x = numbers<T>(joined({rows}, row), 1, random.below(3));
  Array index = indices<I>(where, 0, rows, random);
  Array y(dtype_of<T>(), joined(where, row), random.below(3) * static_cast<int64_t>(sizeof(T)));
  Invocation run{"take", {&x, &index}, {&y}, {}, {0}};
  if (where.empty()) run.whole = {0, 1};
  CHECK(same_in_tiles(table, run));
  const int64_t width = elements(row);
  for (int64_t i = 0; i < y.size(); ++i)
    CHECK(y.data<T>()[i] == x.data<T>()[index.data<I>()[i / width] * width + i % width]);
}

// In order, as the kernel promises: the same bits as this loop.
template <typename T, typename I>
void check_scatter_add(const KernelTable& table, int64_t rows, const Shape& row, const Shape& where,
                       Random& random) {
  Array index = indices<I>(where, 0, rows, random);
  Array updates = numbers<T>(joined(where, row), 2, random.below(3));
  Array y(dtype_of<T>(), joined({rows}, row), random.below(3) * static_cast<int64_t>(sizeof(T)));
  const double count = static_cast<double>(rows);
  CHECK(same_in_tiles(table, {"scatter_add", {&index, &updates}, {&y}, {{"rows", count}}, {0, 1}}));
  const int64_t width = elements(row);
  std::vector<T> want(static_cast<size_t>(y.size()));
  for (int64_t i = 0; i < updates.size(); ++i)
    want[static_cast<size_t>(index.data<I>()[i / width] * width + i % width)] +=
        updates.data<T>()[i];
  CHECK(want.empty() || std::memcmp(want.data(), y.raw(), want.size() * sizeof(T)) == 0);
}

template <typename T, typename I>
void check_one_hot(const KernelTable& table, const Shape& where, int64_t depth, Random& random) {
  Array index = indices<I>(where, -2, depth + 2, random);
  Array y(dtype_of<T>(), joined(where, {depth}), random.below(3) * static_cast<int64_t>(sizeof(T)));
  Invocation run{"one_hot", {&index}, {&y}, {{"depth", static_cast<double>(depth)}}};
  if (where.empty()) run.whole = {0};  // the rows of the output are then those of `depth`
  CHECK(same_in_tiles(table, run));
  for (int64_t i = 0; i < y.size(); ++i)
    CHECK(y.data<T>()[i] == static_cast<T>(index.data<I>()[i / depth] == i % depth));
}

template <typename T, typename I>
void check_pair(const KernelTable& table, uint64_t seed) {
  Random random(seed);
  for (int round = 0; round < 60; ++round) {
    const int64_t rows = 1 + random.below(40);
    const Shape row = random.shape(random.below(4)), where = random.shape(random.below(3));
    if (elements(row) * elements(where) > 20000) continue;
    check_take<T, I>(table, rows, row, where, random);
    if constexpr (std::is_floating_point_v<T>) {
      check_scatter_add<T, I>(table, rows, row, where, random);
      check_one_hot<T, I>(table, where, random.below(30), random);
    }
  }
  for (const int64_t n : test_sizes()) check_take<T, I>(table, 5, {n}, {9}, random);
  check_take<T, I>(table, 30, {784}, {33}, random);
}

// An index outside is reported with the first row that has one, and reads row 0.
template <typename I>
void check_bad(const KernelTable& table, I bad) {
  Array x = numbers<float>({4, 3}, 1), y(DType::f32, {5, 2, 3});
  Array index({5, 2}, std::vector<I>{0, 1, 2, 3, 1, bad, 0, bad, 3, 2});
  for (const int64_t tile : {1, 2, 5}) {
    Status status;
    CHECK(run_call(table, {"take", {&x, &index}, {&y}, {}, {0}}, tile, &status));
    CHECK(status.fault == ((uint64_t{2} << 16) | 0xffff) + 1);
    for (int64_t i = 0; i < 3; ++i) {
      CHECK(y.data<float>()[5 * 3 + i] == x.data<float>()[i]);
      CHECK(y.data<float>()[8 * 3 + i] == x.data<float>()[3 * 3 + i]);
    }
  }
}

// There is no row to read.
void check_no_rows(const KernelTable& table) {
  Array x = numbers<float>({0, 3}, 1), y(DType::f32, {2, 3});
  Array index({2}, std::vector<int64_t>{0, 1});
  Status status;
  CHECK(run_call(table, {"take", {&x, &index}, {&y}, {}, {0}}, 2, &status));
  CHECK(status.fault == 0xffff + 1 && y.guarded());
}

// Updates for rows that are not there are left out.
void check_scatter_outside(const KernelTable& table) {
  Array index({4}, std::vector<int32_t>{-1, 0, 2, 1}), y(DType::f64, {2});
  Array updates({4}, std::vector<double>{1, 2, 4, 8});
  CHECK(run_call(table, {"scatter_add", {&index, &updates}, {&y}, {{"rows", 2}}, {0, 1}}));
  CHECK(y.data<double>()[0] == 2 && y.data<double>()[1] == 8 && y.guarded());
}

}  // namespace

int main() {
  for_each_set([](const KernelTable& table) {
    check_pair<float, int64_t>(table, 1);
    check_pair<double, int32_t>(table, 2);
    check_pair<int32_t, int64_t>(table, 3);
    check_pair<int64_t, int32_t>(table, 4);
    check_pair<uint8_t, int64_t>(table, 5);
    check_bad<int64_t>(table, -1);
    check_bad<int32_t>(table, 4);
    check_bad<int64_t>(table, int64_t{1} << 40);
    check_no_rows(table);
    check_scatter_outside(table);
  });
  return check_result();
}
