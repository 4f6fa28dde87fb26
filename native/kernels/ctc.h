// What the kernels of connectionist temporal classification share: logarithms of probabilities,
// in double.
#pragma once

#include "vec_math.h"
#include "widen.h"

namespace chainrule::CHAINRULE_ISA {

// Element i of an operand of whole numbers.
inline int64_t whole(const Call& call, const Tile& tile, int operand, int64_t i) noexcept {
  if (call.operand[operand].dtype == DType::i32) return argument<int32_t>(tile, operand)[i];
  return argument<int64_t>(tile, operand)[i];
}
inline bool is_whole(const Operand& operand) noexcept {
  return operand.dtype == DType::i32 || operand.dtype == DType::i64;
}

// body(x, i, count) for the elements of z as doubles, a vector at a time, `count` of them there.
template <typename T, typename Body>
inline void each_double(const T* z, int64_t m, double pad, Body body) noexcept {
  constexpr int64_t lanes = kLanes<double>;
  int64_t i = 0;
  for (; i + lanes <= m; i += lanes) body(widened<T, double>(z + i), i, lanes);
  if (i == m) return;
  const Vec<int64_t> there = lane_numbers<double>() < m - i;
  body(select<double>(there, widened_part<T, double>(z + i, m - i), splat(pad)), i, m - i);
}

// ln sum e^z over a row; NaN where one of them is.
template <typename T>
inline double log_sum(const T* z, int64_t m) noexcept {
  constexpr double low = -kInfinity<double>;
  Vec<double> top = splat(low), total = {};
  each_double(z, m, low, [&](Vec<double> x, int64_t, int64_t) { top = maximum<double>(x, top); });
  const double most = max_lanes<double>(top);
  each_double(z, m, low,
              [&](Vec<double> x, int64_t, int64_t) { total += exp<double>(x - splat(most)); });
  return most + log<double>(splat(sum_lanes<double>(total)))[0];
}

// ln(e^a + e^b)
inline Vec<double> log_add(Vec<double> a, Vec<double> b) noexcept {
  const Vec<int64_t> greater = a > b;
  const Vec<double> top = select<double>(greater, a, b), rest = select<double>(greater, b, a);
  const Vec<double> from = select<double>(top == -kInfinity<double>, Vec<double>{}, top);
  return top + log1p<double>(exp<double>(rest - from));
}

}  // namespace chainrule::CHAINRULE_ISA
