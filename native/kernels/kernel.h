// Included by every kernels/*.cpp. Each of these files is compiled once for each instruction set,
// into the namespace chainrule::CHAINRULE_ISA (baseline, avx2, avx512 or neon); the engine picks
// the table of the best set that the processor has. Kernels include nothing of the engine.
#pragma once

#include "call.h"

#ifndef CHAINRULE_ISA
#define CHAINRULE_ISA baseline
#endif

namespace chainrule::CHAINRULE_ISA {
#define OP(name, family) Kernel prepare_##name(Call& call);
#include "../ops.def"
#undef OP

template <typename T>
const T* argument(const Tile& tile, int i) noexcept {
  return static_cast<const T*>(tile.operand[i]);
}
template <typename T>
T* output(const Call& call, const Tile& tile, int i = 0) noexcept {
  return static_cast<T*>(tile.operand[call.arguments + i]);
}
// Elements of operand i in this tile.
inline int64_t tile_size(const Call& call, const Tile& tile, int i) noexcept {
  return (tile.end - tile.begin) * call.operand[i].row_size;
}
}  // namespace chainrule::CHAINRULE_ISA
