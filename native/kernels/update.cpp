// Optimizer updates: one pass over weights, gradient and state. All are tiled but `rate`, a scalar
// of the same type; each output may be the same array as its argument. These are run on a few rows
// at a time, right after the gradient of those rows was computed.
#include "elementwise.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

struct Sgd {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const T* w = argument<T>(tile, 0);
    const T* g = argument<T>(tile, 1);
    const Vec<T> rate = splat<T>(-*argument<T>(tile, 2));
    T* w_new = output<T>(call, tile);
    each_vector<T>(tile_size(call, tile, 0), [=](auto at, int64_t i) {
      at.store(w_new + i, fma(rate, at.load(g + i), at.load(w + i)));
    });
  }
};

// v' = momentum v - rate g; w' = w + v', or with Nesterov's look ahead w + momentum v' - rate g.
template <bool nesterov>
struct Momentum {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const T* w = argument<T>(tile, 0);
    const T* g = argument<T>(tile, 1);
    const T* v = argument<T>(tile, 2);
    const Vec<T> rate = splat<T>(*argument<T>(tile, 3));
    const Vec<T> momentum = splat<T>(static_cast<T>(call.reals[0]));
    T* w_new = output<T>(call, tile, 0);
    T* v_new = output<T>(call, tile, 1);
    each_vector<T>(tile_size(call, tile, 0), [=](auto at, int64_t i) {
      const Vec<T> step = rate * at.load(g + i);
      const Vec<T> velocity = fma(momentum, at.load(v + i), -step);
      const Vec<T> move = nesterov ? fma(momentum, velocity, -step) : velocity;
      at.store(w_new + i, at.load(w + i) + move);
      at.store(v_new + i, velocity);
    });
  }
};

// m' = m + (g - m)(1 - beta_1); v' = v + (g^2 - v)(1 - beta_2); w' = w - rate m' / (sqrt(v') +
// epsilon)
struct Adam {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const T* w = argument<T>(tile, 0);
    const T* g = argument<T>(tile, 1);
    const T* m = argument<T>(tile, 2);
    const T* v = argument<T>(tile, 3);
    const Vec<T> rate = splat<T>(*argument<T>(tile, 4));
    const Vec<T> first = splat<T>(static_cast<T>(call.reals[0]));
    const Vec<T> second = splat<T>(static_cast<T>(call.reals[1]));
    const Vec<T> epsilon = splat<T>(static_cast<T>(call.reals[2]));
    T* w_new = output<T>(call, tile, 0);
    T* m_new = output<T>(call, tile, 1);
    T* v_new = output<T>(call, tile, 2);
    each_vector<T>(tile_size(call, tile, 0), [=](auto at, int64_t i) {
      const Vec<T> gradient = at.load(g + i);
      const Vec<T> mean = at.load(m + i);
      const Vec<T> spread = at.load(v + i);
      const Vec<T> mean_new = fma(gradient - mean, first, mean);
      const Vec<T> spread_new = fma(fma(gradient, gradient, -spread), second, spread);
      at.store(w_new + i, at.load(w + i) - rate * mean_new / (sqrt(spread_new) + epsilon));
      at.store(m_new + i, mean_new);
      at.store(v_new + i, spread_new);
    });
  }
};

}  // namespace

Kernel prepare_sgd_update(Call& call) { return floats<Sgd>(call); }

Kernel prepare_momentum_update(Call& call) {
  call.reals[0] = call.number("momentum", 0.0);
  const bool nesterov = call.number("nesterov", 0.0) != 0;
  return nesterov ? floats<Momentum<true>>(call) : floats<Momentum<false>>(call);
}

Kernel prepare_adam_update(Call& call) {
  call.reals[0] = 1.0 - call.number("beta_1", 0.9);
  call.reals[1] = 1.0 - call.number("beta_2", 0.999);
  call.reals[2] = call.number("epsilon", 1e-7);
  return floats<Adam>(call);
}

}  // namespace chainrule::CHAINRULE_ISA
