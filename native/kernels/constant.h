// A constant of an operation as the bits of one element.
#pragma once

#include <cstring>

#include "kernel.h"

namespace chainrule::CHAINRULE_ISA {

template <typename T>
inline void put_constant(T value, void* to) noexcept {
  std::memcpy(to, &value, sizeof value);
}
// requires: the value is one of the dtype.
inline void store_constant(DType dtype, double value, void* to) noexcept {
  switch (dtype) {
    case DType::f32: return put_constant(static_cast<float>(value), to);
    case DType::f64: return put_constant(value, to);
    case DType::i32: return put_constant(static_cast<int32_t>(value), to);
    case DType::i64: return put_constant(static_cast<int64_t>(value), to);
    case DType::u8: return put_constant(static_cast<uint8_t>(value), to);
    default: return put_constant(static_cast<uint8_t>(value != 0), to);
  }
}

// Run<T>::run for an unsigned T of the size of an element: what moves elements does not read them.
template <template <typename> class Run>
inline Kernel by_size(const Operand& operand) noexcept {
  switch (size_of(operand.dtype)) {
    case 1: return Run<uint8_t>::run;
    case 4: return Run<uint32_t>::run;
    default: return Run<uint64_t>::run;
  }
}

}  // namespace chainrule::CHAINRULE_ISA
