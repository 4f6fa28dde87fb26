// Products of a matrix that lies scattered: element (i, p) of the first factor is at
// x[row[i] + step[p]]. A convolution is such a product (i a place of the output, p a place of the
// kernel and a channel), and so are both of its derivatives, so that no matrix of patches is ever
// written. Each element of the result is one chain of fused multiply-adds in the order of p.
#pragma once

#include "gemm.h"

namespace chainrule::CHAINRULE_ISA {

// y[to[i] + j] (+)= sum_p x[row[i] + step[p]] * b[p * b_row + j].
template <typename T>
struct Gathered {
  const T* x;
  const int32_t* row;
  const int32_t* to;
  int64_t rows;
  const int32_t* step;
  int64_t depth;
  const T* b;
  int64_t b_row;
  T* y;
  int64_t columns;
  const T* bias;  // read where `start` says so
  Start start;
  bool relu;
};

// sum[r, v] += sum_p a[r][step[p]] * b[p * b_row + v]
template <typename T, int rows, int vectors, bool part>
inline void add_gathered(Vec<T> (&sum)[rows][vectors], const T* const (&a)[rows],
                         const int32_t* step, int64_t depth, const T* b, int64_t b_row,
                         int64_t tail) noexcept {
  for (int64_t p = 0; p < depth; ++p, b += b_row) {
    const int64_t at = step[p];
    add_product<T, rows, vectors, part>(sum, [&](int r) { return a[r][at]; }, b, tail);
  }
}

// In gemm_gather.cpp, once for all kernels: each of these is many loops.
template <typename T>
void multiply_gathered(const Gathered<T>& s) noexcept;

// y[to[i] + j] (+)= sum_p x[row[i] + step[p] + j] * b[p * b_row + j]: every column for itself, as
// in a convolution of each channel on its own.
template <typename T>
void multiply_lanes(const Gathered<T>& s) noexcept;

// `multiply`, compiled apart.
template <typename T>
void multiply_apart(const Product<T>& p) noexcept;

}  // namespace chainrule::CHAINRULE_ISA
