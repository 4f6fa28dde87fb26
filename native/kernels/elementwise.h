// The loops that elementwise kernels are made of, and the choice of a loop by element type. A loop
// is a struct with a static template `run<T>`.
#pragma once

#include "simd.h"

namespace chainrule::CHAINRULE_ISA {

// y = f(x), element by element.
template <typename T, typename F>
inline void map_unary(const Call& call, const Tile& tile, F f) noexcept {
  const T* x = argument<T>(tile, 0);
  T* y = output<T>(call, tile);
  each_vector<T>(tile_size(call, tile, 0),
                 [=](auto at, int64_t i) { at.store(y + i, f(at.load(x + i))); });
}

template <typename Op>
struct Unary {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    map_unary<T>(call, tile, [](Vec<T> x) { return Op::template of<T>(x); });
  }
};

template <typename Op>
struct Binary {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const T* a = argument<T>(tile, 0);
    const T* b = argument<T>(tile, 1);
    T* y = output<T>(call, tile);
    each_vector<T>(tile_size(call, tile, 0), [=](auto at, int64_t i) {
      at.store(y + i, Op::template of<T>(at.load(a + i), at.load(b + i)));
    });
  }
};

// Comparisons give bytes, so they are loops over scalars that the compiler makes vectors of.
template <typename Op>
struct Comparison {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const T* a = argument<T>(tile, 0);
    const T* b = argument<T>(tile, 1);
    uint8_t* y = output<uint8_t>(call, tile);
    const int64_t n = tile_size(call, tile, 0);
    CHAINRULE_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) y[i] = Op::of(a[i], b[i]);
  }
};

template <typename Loop>
inline Kernel floats(const Call& call) {
  switch (call.operand[0].dtype) {
    case DType::f32: return Loop::template run<float>;
    case DType::f64: return Loop::template run<double>;
    default: return nullptr;
  }
}
template <typename Loop>
inline Kernel numbers(const Call& call) {
  switch (call.operand[0].dtype) {
    case DType::i32: return Loop::template run<int32_t>;
    case DType::i64: return Loop::template run<int64_t>;
    default: return floats<Loop>(call);
  }
}
template <typename Loop>
inline Kernel booleans(const Call& call) {
  return call.operand[0].dtype == DType::boolean ? Loop::template run<uint8_t> : nullptr;
}
template <typename Loop>
inline Kernel all_types(const Call& call) {
  return size_of(call.operand[0].dtype) == 1 ? Loop::template run<uint8_t> : numbers<Loop>(call);
}

}  // namespace chainrule::CHAINRULE_ISA

// prepare_<name> for an operation whose value is an expression in the vectors x, or a and b, of T.
#define CHAINRULE_UNARY(name, types, value) \
  namespace {                               \
  struct Op_##name {                        \
    template <typename T>                   \
    static Vec<T> of(Vec<T> x) noexcept {   \
      return value;                         \
    }                                       \
  };                                        \
  }                                         \
  Kernel prepare_##name(Call& call) { return types<Unary<Op_##name>>(call); }

#define CHAINRULE_BINARY(name, types, value)        \
  namespace {                                       \
  struct Op_##name {                                \
    template <typename T>                           \
    static Vec<T> of(Vec<T> a, Vec<T> b) noexcept { \
      return value;                                 \
    }                                               \
  };                                                \
  }                                                 \
  Kernel prepare_##name(Call& call) { return types<Binary<Op_##name>>(call); }

#define CHAINRULE_COMPARISON(name, value)  \
  namespace {                              \
  struct Op_##name {                       \
    template <typename T>                  \
    static uint8_t of(T a, T b) noexcept { \
      return value;                        \
    }                                      \
  };                                       \
  }                                        \
  Kernel prepare_##name(Call& call) { return all_types<Comparison<Op_##name>>(call); }
