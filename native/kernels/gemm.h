// Matrix products of any size out of blocks: cut along the contracted axis, the columns and the
// rows, with the second matrix packed or transposed into scratch where that is faster. How a
// product is cut changes no bit of it.
#pragma once

#include "gemm_micro.h"
#include "gemm_transpose.h"

namespace chainrule::CHAINRULE_ISA {

// Along the contracted axis: a block of b, of this depth and the width of a block of sums, stays
// near while all rows go by. On Zen 4, 1024 cubed runs at 98, 103, 107 GFLOP/s a core with depths
// of 128, 256 and 400.
inline constexpr int64_t kDepth = 400;
inline constexpr int64_t kPackedDepth = 128;

// y[i, j] = bias[j] + sum_p a[i, p] b[p, j]. b[p, j] is at b + p * b_row + j, or at b + j * b_row +
// p where it is transposed.
template <typename T>
struct Product {
  int64_t rows;
  int64_t depth;
  int64_t columns;
  const T* a;
  int64_t a_row;
  int64_t a_step;
  const T* b;
  int64_t b_row;
  T* y;
  int64_t y_row;
  const T* bias = nullptr;
  bool relu = false;
  bool b_transposed = false;
  T* packed = nullptr;  // packed_size<T> elements for blocks of b; needed where it is transposed
  bool add = false;     // to what y holds; without a bias
};

template <typename T>
inline constexpr int64_t packed_size = kPackedDepth * kBlockVectors * kLanes<T>;

inline int64_t least(int64_t a, int64_t b) noexcept { return a < b ? a : b; }
// n over d, rounded up.
inline int64_t pieces(int64_t n, int64_t d) noexcept { return (n + d - 1) / d; }

// All rows, in groups of the largest block first. requires: vectors <= vectors_of(largest used).
template <typename T, int rows = kBlockRows>
inline void multiply_rows(const Block<T>& s, const T* a, T* y, int64_t left, int64_t vectors,
                          bool part) noexcept {
  const int64_t groups = left / rows;
  if (groups > 0) {
    block_for<vectors_of(rows), MultiplyBlock<T, rows>::template Of>(vectors, part)(s, a, y,
                                                                                    groups);
    left -= groups * rows;
    a += groups * rows * s.a_row;
    y += groups * rows * s.y_row;
  }
  if constexpr (rows > 1) {
    if (left > 0) multiply_rows<T, rows / 2>(s, a, y, left, vectors, part);
  }
}

// The first s.depth steps of `width` columns from b on, in whole vectors, in rows of `row`
// elements.
template <typename T>
inline void pack(const Product<T>& p, const T* b, int64_t depth, int64_t width,
                 int64_t row) noexcept {
  if (p.b_transposed) {
    transpose_matrix<T>({b, p.b_row, width, depth, p.packed, row, true});
    return;
  }
  T* to = p.packed;
  for (int64_t i = 0; i < depth; ++i) {
    each_vector<T>(width,
                   [=](auto at, int64_t v) { CHAINRULE_ISA::store(to + v, at.load(b + v)); });
    b += p.b_row;
    to += row;
  }
}

// How many of `left` vectors of columns the next blocks take: not so many that one is left alone.
inline int64_t next_vectors(int64_t left, int64_t most) noexcept {
  return left <= most ? left : left == most + 1 ? (most + 1) / 2 : most;
}

// An outer product of long rows writes them one by one, as wide as can be.
template <typename T>
inline bool row_by_row(const Product<T>& p) noexcept {
  if (p.packed != nullptr) return false;
  return p.rows == 1 || (p.depth == 1 && p.columns > kBlockVectors * kLanes<T>);
}
// The vectors of columns of a block.
template <typename T>
inline int64_t most_vectors(const Product<T>& p) noexcept {
  if (row_by_row(p)) return vectors_of(1);
  return p.packed != nullptr || p.rows >= kBlockRows ? kBlockVectors : vectors_of(2);
}

// Adds the products of s.depth steps from `first` on to all elements. Sets what depends on columns.
template <typename T>
inline void multiply_slice(const Product<T>& p, Block<T>& s, int64_t first) noexcept {
  const T* a = p.a + first * p.a_step;
  const int64_t most = most_vectors(p);
  for (int64_t j = 0; j < p.columns;) {
    const int64_t left = p.columns - j;
    const int64_t vectors = next_vectors(pieces(left, kLanes<T>), most);
    const int64_t width = vectors * kLanes<T>;
    const bool part = width > left;
    s.tail = left - (width - kLanes<T>);
    s.bias = p.bias != nullptr ? p.bias + j : nullptr;
    s.b = p.b + (p.b_transposed ? j * p.b_row + first : first * p.b_row + j);
    if (p.packed != nullptr) {
      pack(p, s.b, s.depth, least(width, left), width);
      s.b = p.packed;
      s.b_row = width;
    }
    if (row_by_row(p)) {
      multiply_rows<T, 1>(s, a, p.y + j, p.rows, vectors, part);
    } else {
      multiply_rows(s, a, p.y + j, p.rows, vectors, part);
    }
    j += width;
  }
}

template <typename T>
inline void multiply(const Product<T>& p) noexcept {
  // With one group of rows and a in order there is nothing to keep in the cache.
  const bool whole = p.rows <= kBlockRows && p.a_step == 1 && p.packed == nullptr;
  const int64_t step = whole ? p.depth : p.packed != nullptr ? kPackedDepth : kDepth;
  // Written member by member, and not copied: reading what was just written in other pieces stalls.
  Block<T> s;
  s.a_row = p.a_row;
  s.a_step = p.a_step;
  s.b_row = p.b_row;
  s.y_row = p.y_row;
  s.b_padded = p.packed != nullptr;
  s.start = p.bias != nullptr ? Start::bias : p.add ? Start::sum : Start::zero;
  int64_t first = 0;
  do {
    s.depth = least(step, p.depth - first);
    s.relu = p.relu && first + s.depth == p.depth;
    multiply_slice(p, s, first);
    s.start = Start::sum;
    first += s.depth;
  } while (first < p.depth);
}

// Where b is transposed, packing it costs as much as 4 to 6 rows of products. The transposed
// result, y^T = b^T a^T, needs only a^T, which is small if the rows are few, and transposing y^T
// back.
template <typename T>
inline constexpr int64_t kTransposedRows = kBlockVectors * kLanes<T>;
template <typename T>
inline constexpr int64_t kTransposedColumns = 64;
template <typename T>
inline int64_t transposed_scratch(int64_t depth) noexcept {
  const int64_t whole = (depth + kTransposedColumns<T>)*kTransposedRows<T>;
  return whole < packed_size<T> ? packed_size<T> : whole;
}

// requires: b transposed, p.rows <= kTransposedRows, p.a_step == 1, no bias or relu; scratch of
// transposed_scratch(depth) elements.
template <typename T>
inline void multiply_transposed(const Product<T>& p, T* scratch) noexcept {
  const int64_t width = pieces(p.rows, kLanes<T>) * kLanes<T>;
  T* const a = scratch + kTransposedColumns<T> * kTransposedRows<T>;
  transpose_matrix<T>({p.a, p.a_row, p.rows, p.depth, a, width, true});
  for (int64_t j = 0; j < p.columns; j += kTransposedColumns<T>) {
    const int64_t columns = least(kTransposedColumns<T>, p.columns - j);
    multiply<T>({columns, p.depth, width, p.b + j * p.b_row, p.b_row, 1, a, width, scratch, width});
    transpose_matrix<T>({scratch, width, columns, p.rows, p.y + j, p.y_row, false});
  }
}

// For each slice of rows the cheaper way. requires: as above, but any number of rows.
template <typename T>
inline void multiply_by_transposed(Product<T> p, T* scratch) noexcept {
  p.b_transposed = true;
  for (int64_t i = 0; i < p.rows;) {
    Product<T> s = p;
    const int64_t left = p.rows - i;
    const int64_t vectors = next_vectors(pieces(left, kLanes<T>), kBlockVectors);
    s.rows = least(vectors * kLanes<T>, left);
    s.a += i * p.a_row;
    s.y += i * p.y_row;
    const bool fills_vectors = 4 * s.rows >= 3 * kLanes<T>;
    if (fills_vectors && s.depth * s.columns > s.rows * (s.depth + s.columns)) {
      multiply_transposed(s, scratch);
    } else {
      s.packed = scratch;
      multiply(s);
    }
    i += s.rows;
  }
}

}  // namespace chainrule::CHAINRULE_ISA
