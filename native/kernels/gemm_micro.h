// The one building block of everything that multiplies: rows x vectors of sums held in registers,
// to which products of a broadcast element of `a` and a vector of `b` are added. Every element of
// the result is one chain of fused multiply-adds in the order of the contracted axis, whatever
// block it falls in, so that results do not depend on how work is cut.
#pragma once

#include "simd.h"

#if defined(__clang__)
#define CHAINRULE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define CHAINRULE_UNROLL _Pragma("GCC unroll 64")
#endif

namespace chainrule::CHAINRULE_ISA {

// The largest block of sums that leaves registers for the operands. More rows than columns would
// be as good for the arithmetic, but tiles of 8 rows are common.
#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int kBlockRows = 8;
inline constexpr int kBlockVectors = 3;
#elif defined(__AVX2__)
inline constexpr int kBlockRows = 4;
inline constexpr int kBlockVectors = 3;
#else
inline constexpr int kBlockRows = 4;
inline constexpr int kBlockVectors = 2;
#endif
// Fewer rows are given more columns: a fused multiply-add takes four cycles, and each sum is one
// chain of them.
inline constexpr int vectors_of(int rows) noexcept {
  return rows == kBlockRows ? kBlockVectors : rows == 1 ? 8 : 4;
}

enum class Start : uint8_t { zero, bias, sum };

// y[i, j] (+)= sum_p a[i, p] * b[p, j] for some rows i and the columns of a few vectors.
template <typename T>
struct Block {
  int64_t a_row;   // from a[i, p] to a[i + 1, p]
  int64_t a_step;  // from a[i, p] to a[i, p + 1]
  const T* b;
  int64_t b_row;
  int64_t y_row;
  const T* bias;
  int64_t depth;  // products to add to each element
  int64_t tail;   // columns in the last vector, where that is not a whole one
  Start start;
  bool b_padded;  // whole vectors of b may be read
  bool relu;
};

// The last of the vectors of a row is at the end of the columns.
template <typename T, bool part>
inline Vec<T> load_last(const T* p, int64_t tail) noexcept {
  if constexpr (part) {
    return load_part(p, tail);
  } else {
    return load(p);
  }
}

template <typename T, int vectors, bool part>
inline void load_row(Vec<T> (&row)[vectors], const T* p, int64_t tail) noexcept {
  CHAINRULE_UNROLL
  for (int v = 0; v + 1 < vectors; ++v) row[v] = load(p + v * kLanes<T>);
  row[vectors - 1] = load_last<T, part>(p + (vectors - 1) * kLanes<T>, tail);
}
template <typename T, int vectors, bool part>
inline void store_row(const Vec<T> (&row)[vectors], T* p, int64_t tail) noexcept {
  CHAINRULE_UNROLL
  for (int v = 0; v + 1 < vectors; ++v) store(p + v * kLanes<T>, row[v]);
  if constexpr (part) {
    store_part(p + (vectors - 1) * kLanes<T>, row[vectors - 1], tail);
  } else {
    store(p + (vectors - 1) * kLanes<T>, row[vectors - 1]);
  }
}

template <typename T, int rows, int vectors, bool part>
inline void start_sums(Vec<T> (&sum)[rows][vectors], const Block<T>& s, const T* y) noexcept {
  if (s.start == Start::zero) {
    CHAINRULE_UNROLL
    for (int r = 0; r < rows; ++r) {
      CHAINRULE_UNROLL
      for (int v = 0; v < vectors; ++v) sum[r][v] = Vec<T>{};
    }
  } else {
    const T* from = s.start == Start::sum ? y : s.bias;
    const int64_t step = s.start == Start::sum ? s.y_row : 0;
    CHAINRULE_UNROLL
    for (int r = 0; r < rows; ++r) load_row<T, vectors, part>(sum[r], from + r * step, s.tail);
  }
}

// One step of the contracted axis: sum[r, v] += a(r) * b[v].
template <typename T, int rows, int vectors, bool part, typename Element>
inline void add_product(Vec<T> (&sum)[rows][vectors], Element a, const T* b,
                        int64_t tail) noexcept {
  Vec<T> column[vectors];
  load_row<T, vectors, part>(column, b, tail);
  CHAINRULE_UNROLL
  for (int r = 0; r < rows; ++r) {
    const Vec<T> x = splat(a(r));
    CHAINRULE_UNROLL
    for (int v = 0; v < vectors; ++v) sum[r][v] = fma(x, column[v], sum[r][v]);
  }
}

template <typename T, int rows, int vectors, bool part>
inline void add_products(Vec<T> (&sum)[rows][vectors], const Block<T>& s, const T* a) noexcept {
  const T* b = s.b;
  const int64_t a_row = s.a_row, a_step = s.a_step, b_row = s.b_row, tail = s.tail;
  for (int64_t p = s.depth; p > 0; --p) {
    add_product<T, rows, vectors, part>(sum, [=](int r) { return a[r * a_row]; }, b, tail);
    a += a_step;
    b += b_row;
  }
}

template <typename T, int rows, int vectors>
inline void relu_sums(Vec<T> (&sum)[rows][vectors]) noexcept {
  CHAINRULE_UNROLL
  for (int r = 0; r < rows; ++r) {
    CHAINRULE_UNROLL
    for (int v = 0; v < vectors; ++v) {  // NaN stays
      sum[r][v] = select<T>(sum[r][v] <= 0, Vec<T>{}, sum[r][v]);
    }
  }
}

// `groups` blocks of `rows` rows, one below the other.
template <typename T, int rows, int vectors, bool part>
[[gnu::noinline]] void multiply_block(const Block<T>& s, const T* a, T* y,
                                      int64_t groups) noexcept {
  const int64_t y_row = s.y_row;
  for (; groups > 0; --groups) {
    Vec<T> sum[rows][vectors];
    start_sums<T, rows, vectors, part>(sum, s, y);
    if (part && s.b_padded) {
      add_products<T, rows, vectors, false>(sum, s, a);
    } else {
      add_products<T, rows, vectors, part>(sum, s, a);
    }
    if (s.relu) relu_sums<T>(sum);
    CHAINRULE_UNROLL
    for (int r = 0; r < rows; ++r) store_row<T, vectors, part>(sum[r], y + r * y_row, s.tail);
    a += rows * s.a_row;
    y += rows * y_row;
  }
}

// The function for the columns of 1 <= vectors <= most vectors, the last of them partial or not:
// one of those that Made<vectors, part>::run are.
template <int most, template <int, bool> typename Made>
inline auto block_for(int64_t vectors, bool part) noexcept {
  constexpr auto table = []<int... v>(std::integer_sequence<int, v...>) {
    struct Table {
      std::remove_const_t<decltype(Made<1, false>::run)> of[2 * most];
    };
    return Table{{Made<v / 2 + 1, v % 2 == 1>::run...}};
  }(std::make_integer_sequence<int, 2 * most>{});
  return table.of[2 * (vectors - 1) + (part ? 1 : 0)];
}

template <typename T, int rows>
struct MultiplyBlock {
  template <int vectors, bool part>
  struct Of {
    static constexpr auto run = multiply_block<T, rows, vectors, part>;
  };
};

}  // namespace chainrule::CHAINRULE_ISA
