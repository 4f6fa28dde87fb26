// Products with a matrix that is used again and again: packed once into panels as wide as a block
// of sums, so that every product reads it in order.
#pragma once

#include "gemm.h"

namespace chainrule::CHAINRULE_ISA {

// b[depth, columns], packed by `pack_panels`.
template <typename T>
struct Panels {
  const T* at;
  int64_t depth;
  int64_t columns;
};

// Elements that the panels of a matrix take.
template <typename T>
inline constexpr int64_t panels_size(int64_t depth, int64_t columns) noexcept {
  return depth * pieces(columns, kLanes<T>) * kLanes<T>;
}

// b[p, j] is at b + p * b_row + j, or at b + j * b_row + p where it is transposed.
template <typename T>
Panels<T> pack_panels(const T* b, int64_t b_row, bool transposed, int64_t depth, int64_t columns,
                      T* to) noexcept;

// y[i, j] = bias[j] + sum_p a[i, p] b[p, j]; without a bias from 0.
template <typename T>
void multiply_panels(const Panels<T>& b, const T* a, int64_t a_row, int64_t rows, T* y,
                     int64_t y_row, const T* bias = nullptr) noexcept;

}  // namespace chainrule::CHAINRULE_ISA
