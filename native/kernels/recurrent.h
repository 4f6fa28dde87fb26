// What recurrent layers over whole sequences share: the samples of a tile go through time in blocks
// of a few rows, whose states stay in the scratch, and whose kernel was packed once.
#pragma once

#include "activation.h"
#include "elementwise.h"
#include "gemm_panels.h"

namespace chainrule::CHAINRULE_ISA {

// Samples that go through time together: as many as keep their sums in the first-level cache while
// the kernel, from the second, is read once for each 8 of them.
inline constexpr int64_t kSamples = 16;

// The form of a call. Lives in Call::integers.
struct Sequence {
  int64_t count;  // steps
  int64_t units;
  int shift;  // by which arguments stand later, as the inputs come with a kernel and a bias
  bool masked;
  bool kept;
  bool reverse;
  bool reset_after;
  Activation bend;  // of the candidates and the output
  Activation gate;

  // The step that comes i-th, and where the states before and after it stand.
  [[nodiscard]] int64_t step(int64_t i) const noexcept { return reverse ? count - 1 - i : i; }
  [[nodiscard]] int64_t before(int64_t step) const noexcept { return reverse ? step + 1 : step; }
  [[nodiscard]] int64_t after(int64_t step) const noexcept { return reverse ? step : step + 1; }
  [[nodiscard]] int64_t first() const noexcept { return reverse ? count : 0; }
  [[nodiscard]] int64_t last() const noexcept { return reverse ? 0 : count; }
};

inline const Sequence& sequence_of(const Call& call) noexcept {
  return *reinterpret_cast<const Sequence*>(call.integers);
}

// Reads the form of a call: the steps and units are given, `mask` is the operand of the mask, after
// which `keep` follows. False where an activation is unknown.
inline bool read_sequence(Call& call, int64_t count, int64_t units, int mask, int shift = 0) {
  const auto bend = activation_of(call), gate = activation_of(call, "recurrent_activation");
  if (!bend || !gate) return false;
  const Sequence s{count,
                   units,
                   shift,
                   call.operand[mask].shape[1] > 0,
                   call.operand[mask + 1].shape[1] > 0,
                   call.number("reverse", 0) != 0,
                   call.number("reset_after", 1) != 0,
                   *bend,
                   *gate};
  static_assert(sizeof s <= sizeof call.integers);
  std::memcpy(call.integers, &s, sizeof s);
  return true;
}

// An operand [n, steps, width] of a tile, from its first sample on.
template <typename T>
struct Steps {
  T* at;
  int64_t steps;
  int64_t width;

  T* row(int64_t sample, int64_t step) const noexcept {
    return at + (sample * steps + step) * width;
  }
};

template <typename T>
inline Steps<const T> steps_in(const Call& call, const Tile& tile, int i) noexcept {
  return {argument<T>(tile, i), call.operand[i].shape[1], call.operand[i].shape[2]};
}
template <typename T>
inline Steps<T> steps_out(const Call& call, const Tile& tile, int i) noexcept {
  const Operand& y = call.output(i);
  return {output<T>(call, tile, i), y.shape[1], y.shape[2]};
}

// Which samples take which steps.
struct Mask {
  const bool* at;  // nullptr where all do
  int64_t count;

  [[nodiscard]] bool live(int64_t sample, int64_t step) const noexcept {
    return at == nullptr || at[sample * count + step];
  }
  [[nodiscard]] bool any(int64_t first, int64_t rows, int64_t step) const noexcept {
    for (int64_t r = 0; r < rows; ++r) {
      if (live(first + r, step)) return true;
    }
    return false;
  }
};

inline Mask mask_of(const Call& call, const Tile& tile, int i) noexcept {
  const Sequence& s = sequence_of(call);
  return {s.masked ? argument<bool>(tile, i) : nullptr, s.count};
}

// Pieces of the scratch, each from a whole vector on.
template <typename T>
struct Pieces {
  T* next;

  T* take(int64_t elements) noexcept {
    T* const piece = next;
    next += pieces(elements, kLanes<T>) * kLanes<T>;
    return piece;
  }
};
template <typename T>
inline Pieces<T> pieces_of(const Tile& tile) noexcept {
  return {reinterpret_cast<T*>(tile.scratch)};
}
// Room for rows of `width` of the samples of a block.
inline int64_t block_bytes(const Call& call, int64_t width) noexcept {
  return (kSamples * width + 16) * size_of(call.operand[0].dtype);
}
inline int64_t panels_bytes(const Call& call, int64_t depth, int64_t columns) noexcept {
  return call.operand[0].dtype == DType::f32 ? panels_size<float>(depth, columns) * 4
                                             : panels_size<double>(depth, columns) * 8;
}

template <typename T>
inline void copy_row(const T* from, int64_t n, T* to) noexcept {
  each_vector<T>(n, [=](auto at, int64_t i) { at.store(to + i, at.load(from + i)); });
}
// The n elements from `row` on are read or written soon: processors foresee lines that follow one
// another, but not those of the step before, or of the next one in memory that others wrote.
template <int written, typename T>
inline void expect_row(const T* row, int64_t n) noexcept {
  for (int64_t i = 0; i < n; i += 64 / static_cast<int64_t>(sizeof(T))) {
    __builtin_prefetch(row + i, written);
  }
}
template <typename T>
inline void clear_row(T* to, int64_t n) noexcept {
  each_vector<T>(n, [=](auto at, int64_t i) { at.store(to + i, Vec<T>{}); });
}

// The states that a block begins with, in h and where they stand before the first step.
template <typename T>
inline void begin_block(const T* given, int64_t first, int64_t rows, const Sequence& s, T* h,
                        const Steps<T>& states) noexcept {
  copy_row(given + first * s.units, rows * s.units, h);
  for (int64_t r = 0; r < rows; ++r) {
    copy_row(h + r * s.units, s.units, states.row(first + r, s.first()));
  }
}

// What the inputs add at every step: it is given, or it is the product of the inputs with a kernel.
template <typename T>
struct Inputs {
  Steps<const T> x;
  Panels<T> w;
  const T* bias;
  T* room;  // for the products of a block; nullptr where the sums are given

  // Makes the sums of a block at a step.
  void enter(int64_t first, int64_t rows, int64_t step) const noexcept {
    if (room == nullptr) return;
    multiply_panels(w, x.row(first, step), x.steps * x.width, rows, room, w.columns, bias);
  }
  // Those of sample r of the block.
  const T* row(int64_t first, int64_t r, int64_t step) const noexcept {
    return room != nullptr ? room + r * w.columns : x.row(first + r, step);
  }
};

template <typename T>
inline Inputs<T> inputs_of(const Call& call, const Tile& tile, Pieces<T>& pieces) noexcept {
  const Steps<const T> x = steps_in<T>(call, tile, 0);
  if (sequence_of(call).shift == 0) return {x, {}, nullptr, nullptr};
  const Operand& w = call.operand[1];
  const int64_t k = w.shape[0], g = w.shape[1];
  T* const packed = pieces.take(panels_size<T>(k, g));
  return {x, pack_panels(argument<T>(tile, 1), g, false, k, g, packed), argument<T>(tile, 2),
          pieces.take(kSamples * g)};
}
// The scratch that these take.
inline int64_t inputs_bytes(const Call& call) {
  if (sequence_of(call).shift == 0) return 0;
  const Operand& w = call.operand[1];
  return panels_bytes(call, w.shape[0], w.shape[1]) + block_bytes(call, w.shape[1]);
}

// The cotangents of the inputs, where the call has their kernel: its last argument, the last
// output.
template <typename T>
struct Outputs {
  Steps<T> dx;
  Panels<T> w;  // transposed

  [[nodiscard]] bool wanted() const noexcept { return w.at != nullptr; }
  // From what the block leaves at a step, in rows of z; `any` of its samples took it.
  void leave(int64_t first, int64_t rows, int64_t step, const T* z, bool any) const noexcept {
    if (!wanted()) return;
    if (any) {
      multiply_panels(w, z, w.depth, rows, dx.row(first, step), dx.steps * dx.width);
    } else {
      for (int64_t r = 0; r < rows; ++r) clear_row(dx.row(first + r, step), dx.width);
    }
  }
};

template <typename T>
inline Outputs<T> outputs_of(const Call& call, const Tile& tile, Pieces<T>& pieces) noexcept {
  if (sequence_of(call).shift == 0) return {};
  const Operand& w = call.operand[call.arguments - 1];
  const int64_t k = w.shape[0], g = w.shape[1];
  T* const packed = pieces.take(panels_size<T>(g, k));
  return {steps_out<T>(call, tile, call.operands() - call.arguments - 1),
          pack_panels(argument<T>(tile, call.arguments - 1), g, true, g, k, packed)};
}
// The scratch that these take.
inline int64_t outputs_bytes(const Call& call) {
  if (sequence_of(call).shift == 0) return 0;
  const Operand& w = call.operand[call.arguments - 1];
  return panels_bytes(call, w.shape[1], w.shape[0]);
}

// The states as they go into the products: times `keep`, where there is one.
template <typename T>
struct Keep {
  const T* at;  // nullptr where there is none
  int64_t units;
  T* room;

  const T* apply(const T* h, int64_t first, int64_t rows) const noexcept {
    if (at == nullptr) return h;
    const T* k = at + first * units;
    T* to = room;
    each_vector<T>(rows * units,
                   [=](auto v, int64_t i) { v.store(to + i, v.load(h + i) * v.load(k + i)); });
    return to;
  }
};

// The functions of a cell: tanh and sigmoid as in most, for the compiler to see, or any.
template <typename T, bool usual>
struct Functions {
  Activation bent;
  Activation gated;

  static Vec<T> any(Activation f, Vec<T> x) noexcept {
    return with_activation(f, [=](auto known) { return activate<T, known.value>(x); });
  }
  // g times the slope where f has the value y.
  static Vec<T> any_slope(Activation f, Vec<T> g, Vec<T> y) noexcept {
    constexpr T one = 1;
    switch (f) {
      case Activation::relu: return select<T>(y > 0, g, Vec<T>{});
      case Activation::tanh: return g * (one - y * y);
      case Activation::sigmoid: return g * y * (one - y);
      default: return g;
    }
  }
  Vec<T> bend(Vec<T> x) const noexcept { return any(usual ? Activation::tanh : bent, x); }
  Vec<T> gate(Vec<T> x) const noexcept { return any(usual ? Activation::sigmoid : gated, x); }
  Vec<T> bend_slope(Vec<T> g, Vec<T> y) const noexcept {
    return any_slope(usual ? Activation::tanh : bent, g, y);
  }
  Vec<T> gate_slope(Vec<T> g, Vec<T> y) const noexcept {
    return any_slope(usual ? Activation::sigmoid : gated, g, y);
  }
};

template <typename T, bool usual>
inline Functions<T, usual> functions_of(const Sequence& s) noexcept {
  return {s.bend, s.gate};
}

// The kernel for the functions of the call.
template <template <bool> typename Loop>
inline Kernel cell_kernel(const Call& call) {
  const Sequence& s = sequence_of(call);
  const bool gates = call.find("recurrent_activation") != nullptr;
  const bool usual = s.bend == Activation::tanh && (s.gate == Activation::sigmoid || !gates);
  return usual ? floats<Loop<true>>(call) : floats<Loop<false>>(call);
}

// body(first, rows) for each block of samples of a tile.
template <typename Body>
inline void each_block(const Tile& tile, Body body) noexcept {
  const int64_t samples = tile.end - tile.begin;
  for (int64_t first = 0; first < samples; first += kSamples) {
    body(first, least(kSamples, samples - first));
  }
}

// What comes back to the state before a step: through the products where the sample took the step,
// else as it was; and what the state itself got.
template <typename T, typename Back>
inline void carry_back(const Mask& mask, int64_t first, int64_t rows, int64_t step, int64_t units,
                       const Steps<const T>& g, int64_t before, T* dh, Back back) noexcept {
  for (int64_t r = 0; r < rows; ++r, dh += units) {
    const T* own = g.row(first + r, before);
    const bool live = mask.live(first + r, step);
    each_vector<T>(units, [=](auto at, int64_t v) {
      const Vec<T> old = at.load(dh + v);
      at.store(dh + v, (live ? back(at, r, v, old) : old) + at.load(own + v));
    });
  }
}

// What comes back through the products alone, which are rows of `back`: times `keep`, where there
// is one.
template <typename T>
inline auto through_products(const T* back, const T* keep, int64_t first, int64_t units) noexcept {
  return [=](auto at, int64_t r, int64_t v, Vec<T>) {
    const Vec<T> sum = at.load(back + r * units + v);
    return keep == nullptr ? sum : sum * at.load(keep + (first + r) * units + v);
  };
}

}  // namespace chainrule::CHAINRULE_ISA
