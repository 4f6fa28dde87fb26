// The function f that a layer applies to its sums, and its choice by the name in an attribute.
#pragma once

#include <optional>

#include "vec_math.h"

namespace chainrule::CHAINRULE_ISA {

enum class Activation : uint8_t { linear, relu, tanh, sigmoid };

template <Activation activation>
using ActivationOf = std::integral_constant<Activation, activation>;

// f(x)
template <typename T, Activation activation>
inline Vec<T> activate(Vec<T> x) noexcept {
  if constexpr (activation == Activation::relu) return select<T>(x <= 0, Vec<T>{}, x);
  if constexpr (activation == Activation::tanh) return tanh<T>(x);
  if constexpr (activation == Activation::sigmoid) return sigmoid<T>(x);
  return x;
}

// The n elements of y, where they lie.
template <typename T, Activation activation>
inline void activate_all(T* y, int64_t n) noexcept {
  if constexpr (activation != Activation::linear) {
    each_vector<T>(
        n, [=](auto at, int64_t i) { at.store(y + i, activate<T, activation>(at.load(y + i))); });
  }
}

// body(ActivationOf<...>{}): what it is given names the activation for the compiler.
template <typename Body>
inline auto with_activation(Activation activation, Body body) {
  switch (activation) {
    case Activation::relu: return body(ActivationOf<Activation::relu>{});
    case Activation::tanh: return body(ActivationOf<Activation::tanh>{});
    case Activation::sigmoid: return body(ActivationOf<Activation::sigmoid>{});
    default: return body(ActivationOf<Activation::linear>{});
  }
}

// The same for an activation chosen as the program runs.
template <typename T>
inline void activate_all(Activation activation, T* y, int64_t n) noexcept {
  with_activation(activation, [=](auto known) { activate_all<T, known.value>(y, n); });
}

// The activation that an attribute of the call names, linear without the attribute; none where no
// activation has that name.
inline std::optional<Activation> activation_of(const Call& call,
                                               const char* attribute = "activation") {
  const Attribute* given = call.find(attribute);
  if (given == nullptr || given->word == "linear") return Activation::linear;
  if (given->word == "relu") return Activation::relu;
  if (given->word == "tanh") return Activation::tanh;
  if (given->word == "sigmoid") return Activation::sigmoid;
  return std::nullopt;
}

// The kernel that prepare(ActivationOf<...>{}) gives for the activation of the call; nullptr where
// its name is unknown.
template <typename Prepare>
inline Kernel with_activation(const Call& call, Prepare prepare) {
  const std::optional<Activation> activation = activation_of(call);
  return activation ? with_activation(*activation, prepare) : nullptr;
}

}  // namespace chainrule::CHAINRULE_ISA
