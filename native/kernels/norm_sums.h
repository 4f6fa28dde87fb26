// Sums over the columns of many rows, read once. Blocks of rows are summed in T, in registers, and
// their sums added up in double. What is summed is the difference from a number close to the mean
// of the block, so that a large mean costs no digits. The order depends on the shape alone.
#pragma once

#include "norm.h"

namespace chainrule::CHAINRULE_ISA {

// Rows of a block: few enough that a sum in float loses next to nothing, and that a block of a
// strip stays in the nearest cache.
constexpr int64_t kBlockRows = 64;

// Rows whose mean the numbers of a block are taken from. Were it one row, one that is far from all
// others would cost the digits of the square of its distance, in standard deviations.
constexpr int64_t kSampled = 8;

// Two sums for each column, and the number that x is taken from in them; in scratch, `table_size`
// numbers each.
struct ColumnSums {
  double* from;
  double* first;
  double* second;
};

// The sums that lie at the start of scratch, and the bytes they take.
inline ColumnSums sums_at(std::byte* scratch, int64_t columns) noexcept {
  double* from = reinterpret_cast<double*>(scratch);
  return {from, from + table_size(columns), from + 2 * table_size(columns)};
}
inline int64_t sums_bytes(int64_t columns) noexcept {
  return 3 * table_size(columns) * size_of(DType::f64);
}

// One strip of a block: two sums of each column, of terms that `term(at, row offset, v)` gives.
// Each sum is made in several chains where the strip has few, as an addition waits for the one
// before.
template <typename T, int vectors>
struct StripSums {
  static constexpr int chains = kStrip / vectors;
  Vec<T> first[chains][vectors];
  Vec<T> second[chains][vectors];

  StripSums() noexcept : first{}, second{} {}
  void store(T* a, T* b) noexcept {
    for (int v = 0; v < vectors; ++v) {
      for (int k = 1; k < chains; ++k) {
        first[0][v] += first[k][v];
        second[0][v] += second[k][v];
      }
      CHAINRULE_ISA::store(a + v * kLanes<T>, first[0][v]);
      CHAINRULE_ISA::store(b + v * kLanes<T>, second[0][v]);
    }
  }
};

// from = the mean of some rows down a strip, a = sum (x - from) and b = sum (x - from)^2.
template <int vectors, typename T, typename At>
inline void shifted_strip(At at, const T* x, int64_t rows, int64_t stride, T* from, T* a,
                          T* b) noexcept {
  using Sums = StripSums<T, vectors>;
  Sums sums;
  Vec<T> middle[vectors] = {};
  const int64_t sampled = rows < kSampled ? 1 : kSampled;
  const Vec<T> share = splat<T>(T(1) / static_cast<T>(sampled));
  for (int64_t r = 0; r < sampled; ++r) {
    const T* row = x + r * (rows / sampled) * stride;
    for (int v = 0; v < vectors; ++v) middle[v] += at.load(row + v * kLanes<T>) * share;
  }
  for (int v = 0; v < vectors; ++v) store(from + v * kLanes<T>, middle[v]);
  const auto add = [&middle, &at](Sums& to, int k, const T* row) {
    for (int v = 0; v < vectors; ++v) {
      const Vec<T> d = at.load(row + v * kLanes<T>) - middle[v];
      to.first[k][v] += d;
      to.second[k][v] = fma(d, d, to.second[k][v]);
    }
  };
  int64_t r = 0;
  for (; r + Sums::chains <= rows; r += Sums::chains) {
    for (int k = 0; k < Sums::chains; ++k) add(sums, k, x + (r + k) * stride);
  }
  for (; r < rows; ++r) add(sums, 0, x + r * stride);
  sums.store(a, b);
}

// a = sum g and b = sum g (x - mean) down a strip.
template <int vectors, typename T, typename At>
inline void product_strip(At at, const T* g, const T* x, const T* mean, int64_t rows,
                          int64_t stride, T* a, T* b) noexcept {
  using Sums = StripSums<T, vectors>;
  Sums sums;
  Vec<T> middle[vectors];
  for (int v = 0; v < vectors; ++v) middle[v] = at.load(mean + v * kLanes<T>);
  const auto add = [&middle, &at, g, x](Sums& to, int k, int64_t row)
                       __attribute__((always_inline)) {
                         for (int v = 0; v < vectors; ++v) {
                           const Vec<T> slope = at.load(g + row + v * kLanes<T>);
                           const Vec<T> d = at.load(x + row + v * kLanes<T>) - middle[v];
                           to.first[k][v] += slope;
                           to.second[k][v] = fma(slope, d, to.second[k][v]);
                         }
                       };
  int64_t r = 0;
  for (; r + Sums::chains <= rows; r += Sums::chains) {
    for (int k = 0; k < Sums::chains; ++k) add(sums, k, (r + k) * stride);
  }
  for (; r < rows; ++r) add(sums, 0, r * stride);
  sums.store(a, b);
}

// Adds the sums of `count` numbers, taken from a point that lies `far` above the point that the
// totals are taken from.
inline void add_shifted(double count, double far, double first, double second, double& to_first,
                        double& to_second) noexcept {
  to_first += first + count * far;
  to_second += second + far * (2 * first + count * far);
}

// Adds the columns that stand side by side with the first, and the rows that are left over.
template <typename T>
inline void join_shifted(const T* x, int64_t rows, int64_t columns, int64_t times,
                         const ColumnSums& total) noexcept {
  const int64_t width = columns * times, wide = rows / times;
  const double number = static_cast<double>(wide);
  for (int64_t j = columns; j < width; j += columns) {
    for (int64_t i = 0; i < columns; ++i) {
      add_shifted(number, total.from[j + i] - total.from[i], total.first[j + i],
                  total.second[j + i], total.first[i], total.second[i]);
    }
  }
  for (const T* row = x + wide * width; row < x + rows * columns; row += columns) {
    for (int64_t i = 0; i < columns; ++i) {
      const double far = static_cast<double>(row[i]) - total.from[i];
      add_shifted(1, far, 0, 0, total.first[i], total.second[i]);
    }
  }
}

// first = sum (x - from) and second = sum (x - from)^2 of each column, and what `from` is.
// requires: x is rows * columns elements, one row behind the other.
template <typename T>
void sum_shifted(const T* x, int64_t rows, int64_t columns, const ColumnSums& total) noexcept {
  const int64_t times = side_by_side<T>(columns, rows);
  const int64_t width = columns * times, wide = rows / times;
  const auto bytes = static_cast<size_t>(width) * sizeof(double);
  for (double* table : {total.from, total.first, total.second}) std::memset(table, 0, bytes);
  for (int64_t start = 0; start < wide; start += kBlockRows) {
    const int64_t n = wide - start < kBlockRows ? wide - start : kBlockRows;
    const T* block = x + start * width;
    each_strip<T>(width, [=](auto at, int64_t c, auto count) {
      constexpr int64_t most = decltype(count)::value * kLanes<T>;
      T from[most], a[most], b[most];
      shifted_strip<decltype(count)::value>(at, block + c, n, width, from, a, b);
      const int64_t here = width - c < most ? width - c : most;
      const double number = static_cast<double>(n);
      double* base = total.from + c;
      double* first = total.first + c;
      double* second = total.second + c;
      if (start == 0) {
        for (int64_t i = 0; i < here; ++i) base[i] = static_cast<double>(from[i]);
      }
      CHAINRULE_INDEPENDENT
      for (int64_t i = 0; i < here; ++i) {
        add_shifted(number, static_cast<double>(from[i]) - base[i], static_cast<double>(a[i]),
                    static_cast<double>(b[i]), first[i], second[i]);
      }
    });
  }
  join_shifted(x, rows, columns, times, total);
}

// first = sum g and second = sum g (x - mean) of each column.
// requires: g and x as x above; mean has room for `table_size` elements, and is repeated there.
template <typename T>
void sum_products(const T* g, const T* x, T* mean, int64_t rows, int64_t columns,
                  const ColumnSums& total) noexcept {
  const int64_t times = side_by_side<T>(columns, rows);
  const int64_t width = columns * times, wide = rows / times;
  double* first = total.first;
  double* second = total.second;
  std::memset(first, 0, static_cast<size_t>(width) * sizeof(double));
  std::memset(second, 0, static_cast<size_t>(width) * sizeof(double));
  repeat(mean, columns, times);
  for (int64_t start = 0; start < wide; start += kBlockRows) {
    const int64_t n = wide - start < kBlockRows ? wide - start : kBlockRows;
    const int64_t block = start * width;
    each_strip<T>(width, [=](auto at, int64_t c, auto count) {
      constexpr int64_t most = decltype(count)::value * kLanes<T>;
      T a[most], b[most];
      product_strip<decltype(count)::value>(at, g + block + c, x + block + c, mean + c, n, width, a,
                                            b);
      const int64_t here = width - c < most ? width - c : most;
      CHAINRULE_INDEPENDENT
      for (int64_t i = 0; i < here; ++i) {
        first[c + i] += static_cast<double>(a[i]);
        second[c + i] += static_cast<double>(b[i]);
      }
    });
  }
  for (int64_t j = columns; j < width; j += columns) {
    for (int64_t i = 0; i < columns; ++i) {
      first[i] += first[j + i];
      second[i] += second[j + i];
    }
  }
  for (int64_t at = wide * width; at < rows * columns; at += columns) {
    for (int64_t i = 0; i < columns; ++i) {
      const double slope = static_cast<double>(g[at + i]);
      first[i] += slope;
      second[i] += slope * (static_cast<double>(x[at + i]) - static_cast<double>(mean[i]));
    }
  }
}

}  // namespace chainrule::CHAINRULE_ISA
