// The rules of optimizers, and one pass of a rule over weights, gradient and state.
#pragma once

#include "vec_math.h"

namespace chainrule::CHAINRULE_ISA {

// A rule says how many arrays it takes (weight, gradient, slots), how many scalars that change from
// step to step (`rates`), and how many numbers that do not (`call.reals`). Its `step` is given a
// vector x[i] of each array, and c of the scalars, then the numbers; it leaves the outputs in x,
// where they replace all arrays but the gradient. Where a rule is `scaled`, two more scalars are
// factors of the weight and the gradient: decay and clipping, which cost nothing here, while a pass
// of their own over cached rows took half as long as Adam.
template <int slots, int rate_count, int number_count>
struct Takes {
  static constexpr int arrays = 2 + slots, rates = rate_count, numbers = number_count;
  static constexpr int unwritten = 1;
  static constexpr bool scaled = true;
};

// The arrays of a tile, and what a rule needs beside them. Not `scaled`: both factors are 1.
template <typename T, typename Rule, bool scaled = Rule::scaled>
class Updater {
 public:
  // `gradients`: how many arguments the gradient is or is made of; they follow the weight.
  Updater(const Call& call, const Tile& tile, int gradients) noexcept {
    constexpr int rates = Rule::rates, numbers = Rule::numbers;
    int next = 0;
    for (int k = 0, written = 0; k < arrays; ++k) {
      from_[k] = argument<T>(tile, next);
      next += k == 1 ? gradients : 1;
      to_[k] = k == Rule::unwritten ? nullptr : output<T>(call, tile, written++);
    }
    for (int k = 0; k < rates; ++k) c_[k] = splat<T>(*argument<T>(tile, next++));
    for (int k = 0; k < numbers; ++k) c_[rates + k] = splat<T>(static_cast<T>(call.reals[k]));
    if constexpr (scaled) {
      keep_ = splat<T>(*argument<T>(tile, next));
      share_ = splat<T>(*argument<T>(tile, next + 1));
    }
  }

  // Whether a factor is not 1.
  [[nodiscard]] bool scales() const noexcept { return keep_[0] != 1 || share_[0] != 1; }

  // What will be updated soon may be far away: where neighbours use the memory of the machine, a
  // step of 28 x 28 places, 32 filters and 128 units at batch 128 is 10 % faster by it.
  void fetch(int64_t i) const noexcept {
    for (int k = 0; k < arrays; ++k)
      if (k != Rule::unwritten) __builtin_prefetch(from_[k] + i);
  }

  // The elements from i on, of which the gradient is at g.
  template <typename At>
  void update(At at, int64_t i, const T* g) const noexcept {
    Vec<T> x[arrays];
    for (int k = 0; k < arrays; ++k) x[k] = at.load(k == 1 ? g : from_[k] + i);
    if constexpr (scaled) {
      x[0] = x[0] * keep_;
      x[1] = x[1] * share_;
    }
    Rule::template step<T>(x, c_);
    for (int k = 0; k < arrays; ++k)
      if (k != Rule::unwritten) at.store(to_[k] + i, x[k]);
  }

 private:
  static constexpr int arrays = Rule::arrays;
  const T* from_[arrays];
  T* to_[arrays];
  Vec<T> c_[Rule::rates + Rule::numbers];
  Vec<T> keep_, share_;
};

// mean + (x - mean) share: one step of a running mean, of x or of x^2.
template <typename T>
Vec<T> toward(Vec<T> mean, Vec<T> x, Vec<T> share) noexcept {
  return fma(x - mean, share, mean);
}
template <typename T>
Vec<T> toward_square(Vec<T> mean, Vec<T> x, Vec<T> share) noexcept {
  return fma(fma(x, x, -mean), share, mean);
}
// The greater one; the one that is NaN if either is.
template <typename T>
Vec<T> greater(Vec<T> a, Vec<T> b) noexcept {
  return select<T>((a > b) | (a != a), a, b);
}

// m' = m + (g - m)(1 - beta_1); v' = v + (g^2 - v)(1 - beta_2); w' = w - rate m' / (sqrt(v') +
// epsilon), with v_max' = max(v_max, v') for v' where `amsgrad`.
template <bool amsgrad>
struct Adam : Takes<2 + amsgrad, 1, 3> {
  template <typename T>
  static void step(Vec<T>* x, const Vec<T>* c) noexcept {
    x[2] = toward<T>(x[2], x[1], c[1]);
    x[3] = toward_square<T>(x[3], x[1], c[2]);
    if constexpr (amsgrad) x[4] = greater<T>(x[4], x[3]);
    x[0] = x[0] - c[0] * x[2] / (sqrt(x[2 + 1 + amsgrad]) + c[3]);
  }
};

inline void read_adam(Call& call) {
  call.reals[0] = 1.0 - call.number("beta_1", 0.9);
  call.reals[1] = 1.0 - call.number("beta_2", 0.999);
  call.reals[2] = call.number("epsilon", 1e-7);
}

}  // namespace chainrule::CHAINRULE_ISA
