// Products with slopes of units that have none in a batch, as those behind a relu that is below 0
// for every sample. Zeros add nothing: where at most half of the units are live, the product is
// made of those alone, and every element has the bits that it has with all.
#pragma once

#include <algorithm>

#include "gemm.h"
#include "vec_math.h"

namespace chainrule::CHAINRULE_ISA {

// Whether it pays to gather what belongs to so many of all units.
inline bool are_few(int64_t live, int64_t all) noexcept { return 2 * live <= all; }

// Has bits where x is not 0, which may have a sign.
template <typename T>
inline IntVec<T> bits_of(Vec<T> x) noexcept {
  return (IntVec<T>)absolute<T>(x);
}

template <typename T>
inline bool is_live_row(const T* row, int64_t n) noexcept {
  const auto with = [=](auto at, int64_t i, IntVec<T> found) {
    return found | bits_of<T>(at.load(row + i));
  };
  const int64_t some = least(n, kLanes<T>);  // in which most live ones have something
  if (any_bit<IntOf<T>>(fold_vectors<T>(some, IntVec<T>{}, with))) return true;
  return any_bit<IntOf<T>>(fold_vectors<T>(n, IntVec<T>{}, with));
}

// Writes the numbers of the live rows of g[rows, columns], in order, and returns how many they are;
// where they are not few, some of both.
template <typename T>
int64_t find_live_rows(const T* g, int64_t rows, int64_t columns, int32_t* at) noexcept {
  int64_t live = 0;
  for (int64_t i = 0; i < rows && are_few(live, rows); ++i)
    if (is_live_row(g + i * columns, columns)) at[live++] = static_cast<int32_t>(i);
  return live;
}

// The same for its columns.
template <typename T>
int64_t find_live_columns(const T* g, int64_t rows, int64_t columns, int32_t* at) noexcept {
  const auto found_above = [=](int64_t end, auto part, int64_t j) {
    IntVec<T> found = {};
    for (int64_t i = 0; i < end; ++i) found |= bits_of<T>(part.load(g + i * columns + j));
    return found;
  };
  // Most live columns have something in a few rows.
  const auto some = fold_vectors<T>(columns, IntVec<T>{}, [=](auto part, int64_t j, auto count) {
    return count - (found_above(least(rows, 8), part, j) != 0);
  });
  int64_t live = sum_lanes<IntOf<T>>(some);
  if (!are_few(live, columns)) return live;
  live = 0;
  each_vector<T>(columns, [&](auto part, int64_t j) {
    const IntVec<T> found = found_above(rows, part, j);
    for (int64_t lane = 0; lane < least(kLanes<T>, columns - j); ++lane) {
      at[live] = static_cast<int32_t>(j + lane);
      live += found[lane] != 0;
    }
  });
  return live;
}

// to[p, j] = from[at[p], j]: the live rows.
template <typename T>
void gather_rows(const T* from, int64_t columns, const int32_t* at, int64_t live, T* to) noexcept {
  for (int64_t p = 0; p < live; ++p) std::copy_n(from + at[p] * columns, columns, to + p * columns);
}
// to[i, p] = from[i, at[p]]: the live columns.
template <typename T>
void gather_columns(const T* from, int64_t rows, int64_t columns, const int32_t* at, int64_t live,
                    T* to) noexcept {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t p = 0; p < live; ++p) to[i * live + p] = from[i * columns + at[p]];
}

}  // namespace chainrule::CHAINRULE_ISA
