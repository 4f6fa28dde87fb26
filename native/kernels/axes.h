// Walks over some axes of an array: merging those that memory allows, and stepping through the
// rest.
#pragma once

#include "simd.h"

namespace chainrule::CHAINRULE_ISA {

struct Axis {
  int64_t size;
  int64_t stride;
};

// Appends an axis in front of `axes`, joined with the one behind it where memory allows; returns
// how many there are. Axes of one element are left out.
inline int64_t prepend(Axis* axes, int64_t count, Axis axis) noexcept {
  if (axis.size == 1) return count;
  if (count > 0 && axes[0].stride * axes[0].size == axis.stride) {
    axes[0].size *= axis.size;
    return count;
  }
  for (int64_t i = count; i > 0; --i) axes[i] = axes[i - 1];
  axes[0] = axis;
  return count + 1;
}

// The number of elements of all axes.
inline int64_t product(const Axis* axes, int64_t count) noexcept {
  int64_t n = 1;
  for (int64_t i = 0; i < count; ++i) n *= axes[i].size;
  return n;
}

// Steps through the indices of `axes` in row-major order; `offset` is the place in memory.
struct Odometer {
  const Axis* axes;
  int64_t count;
  int64_t offset = 0;
  int64_t at[max_rank];

  Odometer(const Axis* walked, int64_t number) noexcept : axes(walked), count(number) {
    for (int64_t i = 0; i < count; ++i) at[i] = 0;
  }
  void seek(int64_t place) noexcept {
    offset = 0;
    for (int64_t i = count - 1; i >= 0; --i) {
      at[i] = place % axes[i].size;
      place /= axes[i].size;
      offset += at[i] * axes[i].stride;
    }
  }
  void next() noexcept {
    for (int64_t i = count - 1; i >= 0; --i) {
      offset += axes[i].stride;
      if (++at[i] < axes[i].size) return;
      offset -= axes[i].stride * axes[i].size;
      at[i] = 0;
    }
  }
};

}  // namespace chainrule::CHAINRULE_ISA
