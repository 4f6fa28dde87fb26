// Where the elements of a convolution lie, worked out once for a plan: three axes of space (those
// that an array lacks are in front, of size 1), cut into strips whose rows stay in the cache.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "kernel.h"

namespace chainrule::CHAINRULE_ISA {

inline constexpr int kSpace = 3;

// Places along one axis that see the same places of the kernel: of a convolution all, of its
// transpose those that are a stride apart.
struct AxisClass {
  int64_t first;
  int64_t count;
  std::vector<int64_t> tap;    // places of the kernel, rising
  std::vector<int64_t> shift;  // where each of them looks
};

// Place q of a class is place first + q * spread of the target. Through a place of the kernel it
// sees place q * scale + shift of the source; where the source has none, 0.
struct Axis {
  int64_t source, target, kernel;
  int64_t scale, spread;
  std::vector<AxisClass> classes;
  int64_t count = 0;            // of the largest class
  int64_t least = 0, most = 0;  // of all shifts

  [[nodiscard]] int64_t reach(int64_t places) const noexcept {
    return places > 0 ? (places - 1) * scale + most - least + 1 : 0;
  }
};

// One axis of a convolution.
struct AxisForm {
  int64_t size, out, kernel, stride, dilation, low;
};

inline void measure(Axis& axis) {
  bool any = false;
  for (const AxisClass& c : axis.classes) {
    axis.count = std::max(axis.count, c.count);
    for (const int64_t shift : c.shift) {
      axis.least = any ? std::min(axis.least, shift) : shift;
      axis.most = any ? std::max(axis.most, shift) : shift;
      any = true;
    }
  }
}

inline Axis forward_axis(const AxisForm& f) {
  Axis axis{f.size, f.out, f.kernel, f.stride, 1, {}};
  AxisClass all{0, f.out, {}, {}};
  for (int64_t k = 0; k < f.kernel; ++k) {
    all.tap.push_back(k);
    all.shift.push_back(k * f.dilation - f.low);
  }
  axis.classes.push_back(std::move(all));
  measure(axis);
  return axis;
}

inline Axis transposed_axis(const AxisForm& f) {
  Axis axis{f.out, f.size, f.kernel, 1, f.stride, {}};
  for (int64_t r = 0; r < std::min(f.stride, f.size); ++r) {
    AxisClass some{r, (f.size - r + f.stride - 1) / f.stride, {}, {}};
    for (int64_t k = 0; k < f.kernel; ++k) {
      const int64_t shift = r + f.low - k * f.dilation;
      if (shift % f.stride != 0) continue;
      some.tap.push_back(k);
      some.shift.push_back(shift / f.stride);
    }
    axis.classes.push_back(std::move(some));
  }
  measure(axis);
  return axis;
}

// Neighbouring rows of the kernel's matrix that are multiplied in one go.
struct Run {
  int64_t begin;  // in `step`
  int64_t depth;
  int64_t row;  // of the kernel's matrix
};

// The places of one class for each axis, in a strip.
struct Places {
  int64_t rows;   // along the axis of the strips
  int64_t a_row;  // places for each of these
  std::vector<int32_t> row, to, step;
  std::vector<Run> runs;
};

// How a sample is cut where kernels are transformed: see winograd.h.
struct Winograd {
  bool used = false;
  bool turned = false;   // the kernel is seen turned by half a turn
  int64_t down, across;  // tiles of the target
  int64_t strip;         // rows of tiles in a strip
  int64_t tiles;         // of a strip
  int64_t source;        // elements of the source of a strip with what lies around it
};

struct Conv {
  Axis axis[kSpace];
  int64_t channels, columns;     // of the source and of the target
  int64_t groups, depth, width;  // channels and columns of a group
  int cut;                       // the axis of the strips
  int64_t strip;                 // places of a class along it in a strip
  int64_t strips;
  bool direct;                       // the source is read where it lies
  int64_t extent[kSpace];            // of the source of a strip, as it is read
  int64_t source_size, target_size;  // elements of a sample
  std::vector<Places> classes;
  Winograd winograd;
  std::vector<int32_t> slope;  // where the rows of the kernel's matrix begin, for its gradient

  // Each channel on its own.
  [[nodiscard]] bool by_channel() const noexcept { return groups > 1 && depth == 1 && width == 1; }
  // Elements of scratch: the source of a strip; or the transformed kernel, that source, and source
  // and target transformed.
  [[nodiscard]] int64_t scratch() const noexcept {
    if (winograd.used) {
      return 16 * channels * columns + winograd.source + 16 * winograd.tiles * (channels + columns);
    }
    return direct ? 0 : extent[0] * extent[1] * extent[2] * channels;
  }
};

// Bytes of the source and the target of a strip: half of a second-level cache of 512 KiB.
inline constexpr int64_t kStripBytes = 256 * 1024;
// Rows of the kernel's matrix in a run, so that a block of columns stays in the first-level cache.
inline constexpr int64_t kRunDepth = 400;

inline void cut_strips(Conv& c, int64_t element) {
  c.cut = c.axis[0].target == 1 && c.axis[0].source == 1 && c.axis[0].kernel == 1 ? 1 : 0;
  const Axis& along = c.axis[c.cut];
  int64_t source = along.scale * c.channels, target = along.spread * c.columns;
  for (int i = c.cut + 1; i < kSpace; ++i) {
    source *= c.axis[i].reach(c.axis[i].count);
    target *= c.axis[i].target;
  }
  const int64_t bytes = std::max<int64_t>((source + target) * element, 1);
  const int64_t most =
      std::clamp<int64_t>(kStripBytes / bytes, 1, std::max<int64_t>(along.count, 1));
  c.strips = (along.count + most - 1) / most;
  c.strip = c.strips > 0 ? (along.count + c.strips - 1) / c.strips : 0;
}

inline void place_source(Conv& c) {
  c.direct = true;
  for (const Axis& axis : c.axis) {
    c.direct = c.direct && axis.least >= 0 && axis.least + axis.reach(axis.count) <= axis.source;
  }
  for (int i = 0; i < kSpace; ++i) {
    const Axis& axis = c.axis[i];
    c.extent[i] = c.direct ? axis.source : axis.reach(i == c.cut ? c.strip : axis.count);
  }
}

inline void add_steps(const Conv& c, const AxisClass* const (&at)[kSpace], Places& places) {
  const auto taps = static_cast<int64_t>(at[0]->tap.size() * at[1]->tap.size() * at[2]->tap.size());
  const int64_t all = std::max<int64_t>(taps * c.depth, 1),
                runs = (all + kRunDepth - 1) / kRunDepth;
  const int64_t most = (all + runs - 1) / runs;
  for (size_t i = 0; i < at[0]->tap.size(); ++i) {
    for (size_t j = 0; j < at[1]->tap.size(); ++j) {
      for (size_t k = 0; k < at[2]->tap.size(); ++k) {
        const int64_t z = at[0]->shift[i] - c.axis[0].least, y = at[1]->shift[j] - c.axis[1].least;
        const int64_t x = at[2]->shift[k] - c.axis[2].least;
        const int64_t step = ((z * c.extent[1] + y) * c.extent[2] + x) * c.channels;
        const int64_t tap =
            (at[0]->tap[i] * c.axis[1].kernel + at[1]->tap[j]) * c.axis[2].kernel + at[2]->tap[k];
        for (int64_t d = 0; d < c.depth; ++d) {
          const auto begin = static_cast<int64_t>(places.step.size());
          const int64_t row = tap * c.depth + d;
          Run* last = places.runs.empty() ? nullptr : &places.runs.back();
          if (last == nullptr || last->row + last->depth != row || last->depth == most) {
            places.runs.push_back({begin, 0, row});
            last = &places.runs.back();
          }
          ++last->depth;
          places.step.push_back(static_cast<int32_t>(step + d));
        }
      }
    }
  }
  if (places.runs.empty()) places.runs.push_back({0, 0, 0});
}

inline void add_places(Conv& c, const AxisClass* const (&at)[kSpace]) {
  int64_t count[kSpace];
  for (int i = 0; i < kSpace; ++i) count[i] = at[i]->count;
  Places places;
  places.rows = count[c.cut];
  count[c.cut] = std::min(c.strip, count[c.cut]);
  places.a_row = count[0] * count[1] * count[2] / std::max<int64_t>(count[c.cut], 1);
  const auto target = [&](int i, int64_t q) { return at[i]->first + q * c.axis[i].spread; };
  for (int64_t z = 0; z < count[0]; ++z) {
    for (int64_t y = 0; y < count[1]; ++y) {
      for (int64_t x = 0; x < count[2]; ++x) {
        const int64_t from =
            (z * c.axis[0].scale * c.extent[1] + y * c.axis[1].scale) * c.extent[2];
        places.row.push_back(static_cast<int32_t>((from + x * c.axis[2].scale) * c.channels));
        const int64_t to = target(0, z) * c.axis[1].target + target(1, y);
        places.to.push_back(
            static_cast<int32_t>((to * c.axis[2].target + target(2, x)) * c.columns));
      }
    }
  }
  add_steps(c, at, places);
  c.classes.push_back(std::move(places));
}

// requires: axes, channels, columns and groups are set.
inline void arrange(Conv& c, int64_t element) {
  c.depth = c.channels / c.groups;
  c.width = c.columns / c.groups;
  c.source_size = c.channels * c.axis[0].source * c.axis[1].source * c.axis[2].source;
  c.target_size = c.columns * c.axis[0].target * c.axis[1].target * c.axis[2].target;
  cut_strips(c, element);
  place_source(c);
  for (const AxisClass& z : c.axis[0].classes) {
    for (const AxisClass& y : c.axis[1].classes) {
      for (const AxisClass& x : c.axis[2].classes) {
        const AxisClass* const at[kSpace] = {&z, &y, &x};
        add_places(c, at);
      }
    }
  }
}

}  // namespace chainrule::CHAINRULE_ISA
