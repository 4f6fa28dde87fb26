// What follows the sums of a normalization: one pass over its rows, with a few numbers for each
// column, which stay in registers down a strip of columns.
#pragma once

#include "activation.h"
#include "norm.h"

namespace chainrule::CHAINRULE_ISA {

// Rows of a strip before the next strip is taken: a block of them stays in the nearest cache, so
// that wide rows are read once, in order.
constexpr int64_t kStripRows = 16;

// formula.run<vectors>(at, column, start, rows, stride) for strips of `width` columns.
template <typename T, typename Formula>
inline void over_strips(int64_t rows, int64_t width, const Formula& formula) noexcept {
  const int64_t chunk = width <= kStrip * kLanes<T> ? rows : kStripRows;
  for (int64_t r = 0; r < rows; r += chunk) {
    const int64_t n = rows - r < chunk ? rows - r : chunk;
    each_strip<T>(width, [=, &formula](auto at, int64_t c, auto count) {
      formula.template run<decltype(count)::value>(at, c, r * width + c, n, width);
    });
  }
}

// y = f((x - mean) factor + beta)
template <typename T, Activation activation = Activation::linear>
struct Scaling {
  const T* x;
  T* y;
  T* mean;
  T* factor;
  T* beta;

  void repeat_tables(int64_t columns, int64_t times) const noexcept {
    for (T* table : {mean, factor, beta}) repeat(table, columns, times);
  }
  Scaling from(int64_t start) const noexcept { return {x + start, y + start, mean, factor, beta}; }
  template <int vectors, typename At>
  void run(At at, int64_t c, int64_t start, int64_t rows, int64_t stride) const noexcept {
    Vec<T> m[vectors], f[vectors], b[vectors];
    for (int v = 0; v < vectors; ++v) {
      m[v] = at.load(mean + c + v * kLanes<T>);
      f[v] = at.load(factor + c + v * kLanes<T>);
      b[v] = at.load(beta + c + v * kLanes<T>);
    }
    const T* from = x + start;
    T* to = y + start;
    for (int64_t r = 0; r < rows; ++r, from += stride, to += stride) {
      for (int v = 0; v < vectors; ++v) {
        const Vec<T> z = fma(at.load(from + v * kLanes<T>) - m[v], f[v], b[v]);
        at.store(to + v * kLanes<T>, activate<T, activation>(z));
      }
    }
  }
};

// y = g factor - shift - (x - mean) pull.
template <typename T>
struct Slope {
  const T* g;
  const T* x;
  T* y;
  T* mean;
  T* factor;
  T* shift;
  T* pull;

  void repeat_tables(int64_t columns, int64_t times) const noexcept {
    for (T* table : {mean, factor, shift, pull}) repeat(table, columns, times);
  }
  Slope from(int64_t start) const noexcept {
    return {g + start, x + start, y + start, mean, factor, shift, pull};
  }
  template <int vectors, typename At>
  void run(At at, int64_t c, int64_t start, int64_t rows, int64_t stride) const noexcept {
    Vec<T> m[vectors], f[vectors], s[vectors], p[vectors];
    for (int v = 0; v < vectors; ++v) {
      m[v] = at.load(mean + c + v * kLanes<T>);
      f[v] = at.load(factor + c + v * kLanes<T>);
      s[v] = at.load(shift + c + v * kLanes<T>);
      p[v] = at.load(pull + c + v * kLanes<T>);
    }
    for (int64_t r = 0; r < rows; ++r, start += stride) {
      for (int v = 0; v < vectors; ++v) {
        const int64_t i = start + v * kLanes<T>;
        const Vec<T> rest = fma(at.load(g + i), f[v], -s[v]);
        at.store(y + i, fma(m[v] - at.load(x + i), p[v], rest));
      }
    }
  }
};

// The formula for all rows; its tables have room for `table_size` elements, of which the columns
// are filled.
template <typename T, typename Formula>
inline void over_rows(int64_t rows, int64_t columns, const Formula& formula) noexcept {
  const int64_t times = side_by_side<T>(columns, rows);
  const int64_t whole = rows - rows % times;
  formula.repeat_tables(columns, times);
  over_strips<T>(whole / times, columns * times, formula);
  over_strips<T>(rows - whole, columns, formula.from(whole * columns));
}

// Table i of those that scratch holds behind `bytes` of other use.
template <typename T>
inline T* table_at(std::byte* scratch, int64_t bytes, int64_t columns, int64_t i) noexcept {
  return reinterpret_cast<T*>(scratch + bytes) + i * table_size(columns);
}
template <typename T>
inline void copy_table(T* to, const T* from, int64_t columns) noexcept {
  std::memcpy(to, from, static_cast<size_t>(columns) * sizeof(T));
}

}  // namespace chainrule::CHAINRULE_ISA
