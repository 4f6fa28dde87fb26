// Products of rows with rows: y[i, j] = bias[j] + sum_p a[i, p] b[j, p], vectors along p. For a few
// rows this saves transposing b. An element is the sum of one chain for each lane, so its last bits
// are not those of gemm.h: the choice between the two must depend on shapes only.
#pragma once

#include "gemm_micro.h"

namespace chainrule::CHAINRULE_ISA {

template <typename T>
struct Dots {
  int64_t rows;
  int64_t depth;
  int64_t columns;
  const T* a;
  const T* b;  // rows of both are `depth` apart
  T* y;
  int64_t y_row;
  const T* bias;
};

template <typename T, int rows, int columns>
[[gnu::noinline]] void dot_block(const Dots<T>& s, int64_t i, int64_t j) noexcept {
  const T* a = s.a + i * s.depth;
  const T* b = s.b + j * s.depth;
  Vec<T> sum[rows][columns] = {};
  each_vector<T>(s.depth, [&](auto at, int64_t p) {
    Vec<T> column[columns];
    CHAINRULE_UNROLL
    for (int c = 0; c < columns; ++c) column[c] = at.load(b + c * s.depth + p);
    CHAINRULE_UNROLL
    for (int r = 0; r < rows; ++r) {
      const Vec<T> x = at.load(a + r * s.depth + p);
      CHAINRULE_UNROLL
      for (int c = 0; c < columns; ++c) sum[r][c] = fma(x, column[c], sum[r][c]);
    }
  });
  CHAINRULE_UNROLL
  for (int r = 0; r < rows; ++r) {
    CHAINRULE_UNROLL
    for (int c = 0; c < columns; ++c) {
      const T start = s.bias != nullptr ? s.bias[j + c] : T{};
      s.y[(i + r) * s.y_row + j + c] = start + sum_lanes<T>(sum[r][c]);
    }
  }
}

template <typename T, int rows, int columns>
inline void dot_columns(const Dots<T>& s, int64_t i) noexcept {
  int64_t j = 0;
  for (; j + columns <= s.columns; j += columns) dot_block<T, rows, columns>(s, i, j);
  for (; j < s.columns; ++j) dot_block<T, rows, 1>(s, i, j);
}

template <typename T>
inline void multiply_rows_with_rows(const Dots<T>& s) noexcept {
  // With one column, 8 rows give as many independent chains as the processor can keep busy.
  constexpr int tall = 8;
  constexpr int square = kBlockRows == 8 ? 4 : 2;
  int64_t i = 0;
  if (s.columns == 1) {
    for (; i + tall <= s.rows; i += tall) dot_block<T, tall, 1>(s, i, 0);
  } else {
    for (; i + square <= s.rows; i += square) dot_columns<T, square, 4>(s, i);
  }
  for (; i < s.rows; ++i) dot_columns<T, 1, 8>(s, i);
}

}  // namespace chainrule::CHAINRULE_ISA
