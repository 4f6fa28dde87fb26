// Optimizer updates: one pass over weights, gradient and state. All are tiled but the scalars at
// the end, of the same type; each output may be the same array as its argument. These are run on a
// few rows at a time, right after the gradient of those rows was computed.
#include "update.h"

#include "elementwise.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

template <typename Rule>
struct Update {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Updater<T, Rule> updater(call, tile, 1);
    const T* g = argument<T>(tile, 1);
    // By reference: GCC 12 takes a copy of the arrays through memory before the loop.
    each_vector<T>(tile_size(call, tile, 0),
                   [&](auto at, int64_t i) { updater.update(at, i, g + i); });
  }
};

template <typename T>
Vec<T> sign(Vec<T> x) noexcept {  // NaN for NaN
  return select<T>(x > 0, splat<T>(1), select<T>(x < 0, splat<T>(-1), x));
}

struct Sgd : Takes<0, 1, 0> {
  template <typename T>
  static void step(Vec<T>* x, const Vec<T>* c) noexcept {
    x[0] = fma(-c[0], x[1], x[0]);
  }
};

// v' = momentum v - rate g; w' = w + v', or with Nesterov's look ahead w + momentum v' - rate g.
template <bool nesterov>
struct Momentum : Takes<1, 1, 1> {
  template <typename T>
  static void step(Vec<T>* x, const Vec<T>* c) noexcept {
    const Vec<T> move = c[0] * x[1];
    x[2] = fma(c[1], x[2], -move);
    x[0] = x[0] + (nesterov ? fma(c[1], x[2], -move) : x[2]);
  }
};

// m' as Adam's; u' = max(beta_2 u, |g|); w' = w - rate m' / (u' + epsilon)
struct Adamax : Takes<2, 1, 3> {
  template <typename T>
  static void step(Vec<T>* x, const Vec<T>* c) noexcept {
    x[2] = toward<T>(x[2], x[1], c[1]);
    x[3] = greater<T>(c[2] * x[3], absolute<T>(x[1]));
    x[0] = x[0] - c[0] * x[2] / (x[3] + c[3]);
  }
};

// m', v' as Adam's; w' = w - (rate m' + rate_g g) / (sqrt(v') + epsilon)
struct Nadam : Takes<2, 3, 2> {
  template <typename T>
  static void step(Vec<T>* x, const Vec<T>* c) noexcept {
    x[2] = toward<T>(x[2], x[1], c[3]);
    x[3] = toward_square<T>(x[3], x[1], c[4]);
    x[0] = x[0] - fma(c[0], x[2], c[1] * x[1]) / (sqrt(x[3]) + c[2]);
  }
};

// w' = w - rate sign(beta_1 m + (1 - beta_1) g); m' = m + (g - m)(1 - beta_2). Both products are
// rounded, so that where they cancel no remainder of one of them decides the sign.
struct Lion : Takes<1, 1, 3> {
  template <typename T>
  static void step(Vec<T>* x, const Vec<T>* c) noexcept {
    x[0] = fma(-c[0], sign<T>(c[1] * x[2] + c[2] * x[1]), x[0]);
    x[2] = toward<T>(x[2], x[1], c[3]);
  }
};

// v' = v + (g^2 - v)(1 - rho); s = rate g / sqrt(v' + epsilon), where `centered` with v' - a'^2 for
// v', a' = a + (g - a)(1 - rho); w' = w - s, or with momentum b' = momentum b + s, w' = w - b'.
// Slots are v, b, a.
template <bool centered, bool momentum>
struct RmsProp : Takes<1 + centered + momentum, 1, 3> {
  template <typename T>
  static void step(Vec<T>* x, const Vec<T>* c) noexcept {
    constexpr int b = 3, a = 3 + momentum;
    x[2] = toward_square<T>(x[2], x[1], c[1]);
    Vec<T> spread = x[2];
    if constexpr (centered) {
      x[a] = toward<T>(x[a], x[1], c[1]);
      spread = spread - x[a] * x[a];
    }
    const Vec<T> move = c[0] * x[1] / sqrt(spread + c[2]);
    if constexpr (momentum) x[b] = fma(c[3], x[b], move);
    x[0] = x[0] - (momentum ? x[b] : move);
  }
};

// a' = a + g^2; w' = w - rate g / sqrt(a' + epsilon)
struct Adagrad : Takes<1, 1, 1> {
  template <typename T>
  static void step(Vec<T>* x, const Vec<T>* c) noexcept {
    x[2] = fma(x[1], x[1], x[2]);
    x[0] = x[0] - c[0] * x[1] / sqrt(x[2] + c[1]);
  }
};

// v' = v + (g^2 - v)(1 - rho); d = g sqrt(x + epsilon) / sqrt(v' + epsilon);
// x' = x + (d^2 - x)(1 - rho); w' = w - rate d
struct Adadelta : Takes<2, 1, 2> {
  template <typename T>
  static void step(Vec<T>* x, const Vec<T>* c) noexcept {
    x[2] = toward_square<T>(x[2], x[1], c[1]);
    const Vec<T> d = sqrt(x[3] + c[2]) * x[1] / sqrt(x[2] + c[2]);
    x[3] = toward_square<T>(x[3], d, c[1]);
    x[0] = fma(-c[0], d, x[0]);
  }
};

// s = sign(g g_before); size' = size (grow, 1, shrink for s = 1, 0, -1), from least to most; g = 0
// where s = -1; w' = w - sign(g) size'. Slots are g, size.
struct Rprop : Takes<2, 0, 4> {
  template <typename T>
  static void step(Vec<T>* x, const Vec<T>* c) noexcept {
    const Vec<T> agreement = x[1] * x[2];
    const auto turned = agreement < 0;
    const Vec<T> factor =
        select<T>(turned, c[0], select<T>(agreement > 0, c[1], sign<T>(agreement) + T{1}));
    const Vec<T> size = x[3] * factor;
    const Vec<T> raised = greater<T>(size, c[2]);
    x[3] = select<T>((raised < c[3]) | (raised != raised), raised, c[3]);
    x[2] = select<T>(turned, Vec<T>{}, x[1]);
    x[0] = fma(-sign<T>(x[2]), x[3], x[0]);
  }
};

// The direction of Adam: d = first m' / (sqrt(second v') + epsilon). Outputs are d, m', v'.
struct AdamDirection : Takes<1, 2, 3> {
  static constexpr int unwritten = -1;
  static constexpr bool scaled = false;
  template <typename T>
  static void step(Vec<T>* x, const Vec<T>* c) noexcept {
    x[1] = toward<T>(x[1], x[0], c[2]);
    x[2] = toward_square<T>(x[2], x[0], c[3]);
    x[0] = c[0] * x[1] / (sqrt(c[1] * x[2]) + c[4]);
  }
};

// A running average of weights: a' = momentum a + rest w.
struct Average : Takes<0, 2, 0> {
  static constexpr bool scaled = false;
  template <typename T>
  static void step(Vec<T>* x, const Vec<T>* c) noexcept {
    x[0] = fma(c[0], x[0], c[1] * x[1]);
  }
};

void read_rmsprop(Call& call) {
  call.reals[0] = 1.0 - call.number("rho", 0.9);
  call.reals[1] = call.number("epsilon", 1e-7);
  call.reals[2] = call.number("momentum", 0.0);
}

}  // namespace

Kernel prepare_sgd_update(Call& call) { return floats<Update<Sgd>>(call); }

Kernel prepare_average_update(Call& call) { return floats<Update<Average>>(call); }

Kernel prepare_momentum_update(Call& call) {
  call.reals[0] = call.number("momentum", 0.0);
  const bool nesterov = call.number("nesterov", 0.0) != 0;
  return nesterov ? floats<Update<Momentum<true>>>(call) : floats<Update<Momentum<false>>>(call);
}

Kernel prepare_adam_update(Call& call) {
  read_adam(call);
  return floats<Update<Adam<false>>>(call);
}

Kernel prepare_amsgrad_update(Call& call) {
  read_adam(call);
  return floats<Update<Adam<true>>>(call);
}

Kernel prepare_adamax_update(Call& call) {
  read_adam(call);
  call.reals[1] = call.number("beta_2", 0.999);
  return floats<Update<Adamax>>(call);
}

Kernel prepare_nadam_update(Call& call) {
  read_adam(call);
  return floats<Update<Nadam>>(call);
}

Kernel prepare_adam_direction(Call& call) {
  read_adam(call);
  return floats<Update<AdamDirection>>(call);
}

Kernel prepare_lion_update(Call& call) {
  call.reals[0] = call.number("beta_1", 0.9);
  call.reals[1] = 1.0 - call.reals[0];
  call.reals[2] = 1.0 - call.number("beta_2", 0.99);
  return floats<Update<Lion>>(call);
}

Kernel prepare_rmsprop_update(Call& call) {
  read_rmsprop(call);
  return floats<Update<RmsProp<false, false>>>(call);
}

Kernel prepare_rmsprop_momentum_update(Call& call) {
  read_rmsprop(call);
  return floats<Update<RmsProp<false, true>>>(call);
}

Kernel prepare_centered_rmsprop_update(Call& call) {
  read_rmsprop(call);
  return floats<Update<RmsProp<true, false>>>(call);
}

Kernel prepare_centered_rmsprop_momentum_update(Call& call) {
  read_rmsprop(call);
  return floats<Update<RmsProp<true, true>>>(call);
}

Kernel prepare_adagrad_update(Call& call) {
  call.reals[0] = call.number("epsilon", 1e-7);
  return floats<Update<Adagrad>>(call);
}

Kernel prepare_adadelta_update(Call& call) {
  read_rmsprop(call);
  return floats<Update<Adadelta>>(call);
}

Kernel prepare_rprop_update(Call& call) {
  call.reals[0] = call.number("shrink", 0.5);
  call.reals[1] = call.number("grow", 1.2);
  call.reals[2] = call.number("least", 1e-6);
  call.reals[3] = call.number("most", 50.0);
  return floats<Update<Rprop>>(call);
}

}  // namespace chainrule::CHAINRULE_ISA
