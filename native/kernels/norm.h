// What kernels of normalization share: sums in double, and loops down the columns of an array. The
// columns are its last axis, its rows all others.
#pragma once

#include "elementwise.h"
#include "widen.h"

namespace chainrule::CHAINRULE_ISA {

constexpr int64_t kWide = kLanes<double>;

// Where a loop over vectors of doubles stands: at a whole one, or at the last n < kWide elements.
template <typename T>
struct WholeWide {
  Vec<double> load(const T* p) const noexcept { return widened<T, double>(p); }
  Vec<double> keep(Vec<double> v) const noexcept { return v; }
  void store(T* p, Vec<double> v) const noexcept {
    for (int64_t i = 0; i < kWide; ++i) p[i] = static_cast<T>(v[i]);
  }
};
template <typename T>
struct PartWide {
  int64_t n;
  Vec<double> load(const T* p) const noexcept { return widened_part<T, double>(p, n); }
  // v without what the missing lanes hold.
  Vec<double> keep(Vec<double> v) const noexcept {
    return select<double>(lane_numbers<double>() < n, v, Vec<double>{});
  }
  void store(T* p, Vec<double> v) const noexcept {
    for (int64_t i = 0; i < n; ++i) p[i] = static_cast<T>(v[i]);
  }
};

// body(at, i, count) for elements i of [0, n): `count` vectors of doubles, four where there are so
// many, as each sum waits for the one before.
template <typename T, typename Body>
inline void each_wide(int64_t n, Body body) noexcept {
  int64_t i = 0;
  for (; i + 4 * kWide <= n; i += 4 * kWide) {
    body(WholeWide<T>{}, i, std::integral_constant<int, 4>{});
  }
  for (; i + kWide <= n; i += kWide) body(WholeWide<T>{}, i, std::integral_constant<int, 1>{});
  if (i < n) body(PartWide<T>{n - i}, i, std::integral_constant<int, 1>{});
}

inline double share_of(int64_t n) noexcept { return 1.0 / static_cast<double>(n > 0 ? n : 1); }

inline int64_t columns_of(const Operand& x) noexcept { return x.shape[x.rank - 1]; }
inline int64_t rows_of(const Operand& x) noexcept {
  const int64_t columns = columns_of(x);
  return columns > 0 ? x.size / columns : 0;
}
// The rows of operand i in this tile.
inline int64_t rows_in(const Call& call, const Tile& tile, int i) noexcept {
  const int64_t columns = columns_of(call.operand[i]);
  return columns > 0 ? tile_size(call, tile, i) / columns : 0;
}

// Rows of few columns are taken side by side, as one row of `times * columns`, so that vectors are
// full: six channels fill 6 of 16 lanes, eight rows of them fill three vectors.
constexpr int64_t kJoinedColumns = 1024;
template <typename T>
inline int64_t side_by_side(int64_t columns, int64_t rows) noexcept {
  int64_t times = 1;
  while (columns * times % kLanes<T> != 0) times *= 2;
  return columns * times <= kJoinedColumns && 8 * times <= rows ? times : 1;
}
// Room for a table of the columns, however many rows are taken side by side.
inline int64_t table_size(int64_t columns) noexcept {
  const int64_t most = columns > kJoinedColumns ? columns : kJoinedColumns;
  return (most + 15) / 16 * 16;
}
// Repeats the first n elements of a table until there are `times` of each.
template <typename T>
inline void repeat(T* table, int64_t n, int64_t times) noexcept {
  for (int64_t t = 1; t < times; ++t) {
    std::memcpy(table + t * n, table, static_cast<size_t>(n) * sizeof(T));
  }
}

// Columns that a loop down the rows takes at once, in vectors: what it holds for each of them stays
// in registers.
constexpr int kStrip = kBytes == 64 ? 4 : 2;

// body(at, column, count) for strips of `count` vectors of columns.
template <typename T, typename Body>
inline void each_strip(int64_t columns, Body body) noexcept {
  constexpr int64_t lanes = kLanes<T>;
  int64_t c = 0;
  for (; c + kStrip * lanes <= columns; c += kStrip * lanes) {
    body(WholeVector<T>{}, c, std::integral_constant<int, kStrip>{});
  }
  if constexpr (kStrip == 4) {
    if (c + 2 * lanes <= columns) {
      body(WholeVector<T>{}, c, std::integral_constant<int, 2>{});
      c += 2 * lanes;
    }
  }
  if (c + lanes <= columns) {
    body(WholeVector<T>{}, c, std::integral_constant<int, 1>{});
    c += lanes;
  }
  if (c < columns) body(PartVector<T>{columns - c}, c, std::integral_constant<int, 1>{});
}

}  // namespace chainrule::CHAINRULE_ISA
