// Transposes a matrix through registers, a square of one vector's lanes at a time.
#pragma once

#include <utility>

#include "gemm_micro.h"

namespace chainrule::CHAINRULE_ISA {

// Exchanges the off-diagonal quarters of every square of 2 * distance lanes in two rows that are
// `distance` apart.
template <typename T, int distance, int... lane>
inline void exchange(Vec<T>& a, Vec<T>& b, std::integer_sequence<int, lane...>) noexcept {
  constexpr int lanes = static_cast<int>(kLanes<T>);
  const Vec<T> low =
      __builtin_shufflevector(a, b, ((lane & distance) == 0 ? lane : lanes + lane - distance)...);
  b = __builtin_shufflevector(a, b, ((lane & distance) == 0 ? lane + distance : lanes + lane)...);
  a = low;
}

template <typename T, int distance>
inline void transpose_lanes(Vec<T> (&row)[kLanes<T>]) noexcept {
  constexpr int lanes = static_cast<int>(kLanes<T>);
  CHAINRULE_UNROLL
  for (int i = 0; i < lanes; ++i) {
    if ((i & distance) != 0) continue;
    exchange<T, distance>(row[i], row[i + distance], std::make_integer_sequence<int, lanes>{});
  }
  if constexpr (distance > 1) transpose_lanes<T, distance / 2>(row);
}

// to[c, r] = from[r, c], matrices with rows `from_row` and `to_row` apart.
template <typename T>
struct Transpose {
  const T* from;
  int64_t from_row;
  int64_t rows;
  int64_t columns;
  T* to;
  int64_t to_row;
  bool pad;  // rows of `to` end in zeros up to a whole vector; requires room for them
};

// One square that has all its rows and columns.
template <typename T>
inline void transpose_square(const T* from, int64_t from_row, T* to, int64_t to_row) noexcept {
  Vec<T> row[kLanes<T>];
  for (int64_t i = 0; i < kLanes<T>; ++i) row[i] = load(from + i * from_row);
  transpose_lanes<T, static_cast<int>(kLanes<T>) / 2>(row);
  for (int64_t i = 0; i < kLanes<T>; ++i) store(to + i * to_row, row[i]);
}

// The square at the end of the rows or columns.
template <typename T>
inline void transpose_edge(const Transpose<T>& s, int64_t r, int64_t c) noexcept {
  Vec<T> row[kLanes<T>] = {};
  const int64_t rows = s.rows - r, columns = s.columns - c;
  const T* from = s.from + r * s.from_row + c;
  T* to = s.to + c * s.to_row + r;
  for (int64_t i = 0; i < kLanes<T> && i < rows; ++i) {
    row[i] = columns < kLanes<T> ? load_part(from + i * s.from_row, columns)
                                 : load(from + i * s.from_row);
  }
  transpose_lanes<T, static_cast<int>(kLanes<T>) / 2>(row);
  for (int64_t i = 0; i < kLanes<T> && i < columns; ++i) {
    if (rows >= kLanes<T> || s.pad) {
      store(to + i * s.to_row, row[i]);
    } else {
      store_part(to + i * s.to_row, row[i], rows);
    }
  }
}

template <typename T>
[[gnu::noinline]] void transpose_matrix(const Transpose<T>& s) noexcept {
  for (int64_t r = 0; r < s.rows; r += kLanes<T>) {
    for (int64_t c = 0; c < s.columns; c += kLanes<T>) {
      if (r + kLanes<T> <= s.rows && c + kLanes<T> <= s.columns) {
        transpose_square(s.from + r * s.from_row + c, s.from_row, s.to + c * s.to_row + r,
                         s.to_row);
      } else {
        transpose_edge(s, r, c);
      }
    }
  }
}

}  // namespace chainrule::CHAINRULE_ISA
