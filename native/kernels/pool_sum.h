// Sums of pooled slopes that stand in some place: what the bias before the pooling is given.
#pragma once

#include "pool.h"
#include "widen.h"

namespace chainrule::CHAINRULE_ISA {

// Of one vector of channels: what stands in some place, over all `places` of a sample. Sums of
// blocks are held in double, as those of `reduce_sum` are.
template <typename T, typename Place, typename At>
inline Vec<T> sum_of_placed(At at, const T* g, const Place* place, int64_t places, int64_t m,
                            Numbers<T> none) noexcept {
  constexpr int64_t block = 64, chains = 4, halves = kLanes<T> / kLanes<double>;
  Vec<double> total[halves] = {};
  const auto term = [=](int64_t i) {
    return select<T>(load_numbers(at, place + i * m) == none, Vec<T>{}, at.load(g + i * m));
  };
  for (int64_t start = 0; start < places; start += block) {
    const int64_t end = start + block < places ? start + block : places;
    Vec<T> sum[chains] = {};
    int64_t i = start;
    for (; i + chains <= end; i += chains) {
      for (int64_t k = 0; k < chains; ++k) sum[k] += term(i + k);
    }
    for (; i < end; ++i) sum[0] += term(i);
    T joined[kLanes<T>];
    store(joined, (sum[0] + sum[1]) + (sum[2] + sum[3]));
    for (int64_t h = 0; h < halves; ++h)
      total[h] += widened<T, double>(joined + h * kLanes<double>);
  }
  Vec<T> sum;
  for (int64_t i = 0; i < kLanes<T>; ++i)
    sum[i] = static_cast<T>(total[i / kLanes<double>][i % kLanes<double>]);
  return sum;
}

// body(at, j, sum) for the vectors of the m channels of a sample, which has `size` slopes; `none`
// is the number of no place.
template <typename T, typename Place, typename Body>
inline void each_sum_of_placed(const T* g, const Place* place, int64_t size, int64_t m,
                               int64_t none, Body body) noexcept {
  const int64_t places = m > 0 ? size / m : 0;
  const Numbers<T> number = splat_number<T>(none);
  each_vector<T>(m, [=](auto at, int64_t j) {
    body(at, j, sum_of_placed<T>(at, g + j, place + j, places, m, number));
  });
}

}  // namespace chainrule::CHAINRULE_ISA
