// Convolutions and both of their derivatives on one sample: products of scattered matrices, strip
// by strip. Where the kernel reaches over the edge, a strip of the source is copied into scratch
// with zeros around it; elsewhere it is read where it lies. How a sample is cut changes no bit.
#pragma once

#include "activation.h"
#include "conv_space.h"
#include "elementwise.h"
#include "gemm_gather.h"
#include "winograd.h"

namespace chainrule::CHAINRULE_ISA {

// Numbers of an attribute for each axis of space, `otherwise` for the axes in front that are
// missing; `each` of them an axis, of which the one at `at` is wanted.
inline void spread_out(const Call& call, const char* name, int64_t otherwise,
                       int64_t (&numbers)[kSpace], size_t each = 1, size_t at = 0) {
  for (int64_t& number : numbers) number = otherwise;
  const Attribute* given = call.find(name);
  if (given == nullptr) return;
  const size_t rank = given->numbers.size() / each;
  for (size_t i = 0; i < rank; ++i) {
    numbers[kSpace - rank + i] = static_cast<int64_t>(given->numbers[i * each + at]);
  }
}

// The sizes of the `rank` axes of space from `first` on.
inline void space_of(const Operand& operand, int first, int rank, int64_t (&sizes)[kSpace]) {
  for (int i = 0; i < kSpace; ++i) sizes[i] = 1;
  for (int i = 0; i < rank; ++i) sizes[kSpace - rank + i] = operand.shape[first + i];
}

// x [n, space, c] and y [n, space, m] of the convolution, whichever of them the call reads.
inline std::shared_ptr<Conv> described(const Call& call, const Operand& x, const Operand& y,
                                       const int64_t (&kernel)[kSpace], bool transposed) {
  int64_t size[kSpace], out[kSpace], stride[kSpace], dilation[kSpace], low[kSpace];
  space_of(x, 1, x.rank - 2, size);
  space_of(y, 1, y.rank - 2, out);
  spread_out(call, "strides", 1, stride);
  spread_out(call, "dilation", 1, dilation);
  spread_out(call, "padding", 0, low, 2, 0);
  auto c = std::make_shared<Conv>();
  for (int i = 0; i < kSpace; ++i) {
    const AxisForm form{size[i], out[i], kernel[i], stride[i], dilation[i], low[i]};
    c->axis[i] = transposed ? transposed_axis(form) : forward_axis(form);
  }
  c->groups = static_cast<int64_t>(call.number("groups", 1));
  const int64_t inner = x.shape[x.rank - 1], m = y.shape[y.rank - 1];
  c->channels = transposed ? m : inner;
  c->columns = transposed ? inner : m;
  arrange(*c, size_of(x.dtype));
  return c;
}

// For the gradient of the kernel of x [n, space, c], the first argument, by the slopes of y.
inline std::shared_ptr<Conv> described_gradient(const Call& call, const Operand& slopes) {
  int64_t kernel[kSpace];
  spread_out(call, "kernel", 1, kernel);
  std::shared_ptr<Conv> c = described(call, call.operand[0], slopes, kernel, false);
  const auto rows = static_cast<int64_t>(c->classes.front().step.size());
  for (int64_t i = 0; i < rows; ++i) c->slope.push_back(static_cast<int32_t>(i * c->columns));
  return c;
}

template <typename T>
inline void copy_elements(T* to, const T* from, int64_t n) noexcept {
  each_vector<T>(n, [=](auto at, int64_t i) { at.store(to + i, at.load(from + i)); });
}
template <typename T>
inline void clear_elements(T* to, int64_t n) noexcept {
  each_vector<T>(n, [=](auto at, int64_t i) { at.store(to + i, Vec<T>{}); });
}

// One row of the last axis, from place `first` of the source on, which may lie before its start.
template <typename T>
inline void copy_row(const Conv& c, const T* row, int64_t first, T* to) noexcept {
  const int64_t n = c.extent[2], size = c.axis[2].source;
  const int64_t left = std::clamp<int64_t>(-first, 0, n);
  const int64_t end = std::clamp<int64_t>(size - first, left, n);
  clear_elements(to, left * c.channels);
  copy_elements(to + left * c.channels, row + (first + left) * c.channels,
                (end - left) * c.channels);
  clear_elements(to + end * c.channels, (n - end) * c.channels);
}

// The source of a strip whose first place along the cut axis is `q`: where it is read from.
template <typename T>
inline const T* strip_source(const Conv& c, const T* x, int64_t q, T* scratch) noexcept {
  int64_t first[kSpace];
  for (int i = 0; i < kSpace; ++i) {
    first[i] = c.axis[i].least + (i == c.cut ? q * c.axis[i].scale : 0);
  }
  if (c.direct) {
    return x + ((first[0] * c.extent[1] + first[1]) * c.extent[2] + first[2]) * c.channels;
  }
  T* to = scratch;
  const int64_t row = c.extent[2] * c.channels;
  for (int64_t z = first[0]; z < first[0] + c.extent[0]; ++z) {
    for (int64_t y = first[1]; y < first[1] + c.extent[1]; ++y, to += row) {
      if (z < 0 || z >= c.axis[0].source || y < 0 || y >= c.axis[1].source) {
        clear_elements(to, row);
      } else {
        const int64_t line = (z * c.axis[1].source + y) * c.axis[2].source;
        copy_row(c, x + line * c.channels, first[2], to);
      }
    }
  }
  return scratch;
}

// Elements of the target from one place of the cut axis to the next.
inline int64_t target_row(const Conv& c) noexcept {
  int64_t row = c.axis[c.cut].spread * c.columns;
  for (int i = c.cut + 1; i < kSpace; ++i) row *= c.axis[i].target;
  return row;
}

inline int64_t places_in_strip(const Conv& c, const Places& places, int64_t q) noexcept {
  return std::clamp<int64_t>(places.rows - q, 0, c.strip) * places.a_row;
}

template <typename T>
inline void multiply_places(const Conv& c, const Gathered<T>& s) noexcept {
  if (c.by_channel()) {
    multiply_lanes(s);
  } else {
    multiply_gathered(s);
  }
}

// y of one strip, from `source`; w as the kernel's matrix [taps * depth, columns].
template <typename T>
inline void fill_strip(const Conv& c, const T* source, const T* w, const T* bias, bool relu, T* y,
                       int64_t q) noexcept {
  const int64_t groups = c.by_channel() ? 1 : c.groups;
  const int64_t width = c.by_channel() ? c.columns : c.width;
  for (const Places& places : c.classes) {
    const int64_t count = places_in_strip(c, places, q);
    for (int64_t g = 0; g < groups; ++g) {
      Start start = bias != nullptr ? Start::bias : Start::zero;
      for (const Run& run : places.runs) {
        const T* b = w + run.row * c.columns + g * width;
        const bool last = &run == &places.runs.back();
        multiply_places<T>(
            c, {source + g * c.depth, places.row.data(), places.to.data(), count,
                places.step.data() + run.begin, run.depth, b, c.columns, y + g * width, width,
                bias != nullptr ? bias + g * width : nullptr, start, relu && last});
        start = Start::sum;
      }
    }
  }
}

// Where in scratch what belongs to transformed kernels lies.
template <typename T>
struct Transformed {
  T* kernel;  // or its slopes
  T* padded;
  T* source;
  T* target;
};

template <typename T>
inline Transformed<T> transformed(const Conv& c, T* scratch) noexcept {
  T* const padded = scratch + kProducts * c.channels * c.columns;
  T* const source = padded + c.winograd.source;
  return {scratch, padded, source, source + kProducts * c.winograd.tiles * c.channels};
}

// The kernel as `fill_sample` wants it, for all samples of a tile.
template <typename T>
inline const T* ready_kernel(const Conv& c, const T* w, T* scratch) noexcept {
  if (!c.winograd.used) return w;
  transform_kernel(c, w, scratch);
  return scratch;
}

template <typename T>
inline void fill_by_tiles(const Conv& c, const T* x, const T* bias, bool relu, T* y,
                          T* scratch) noexcept {
  const Transformed<T> at = transformed(c, scratch);
  const Winograd& w = c.winograd;
  for (int64_t first = 0; first < w.down; first += w.strip) {
    const int64_t rows = std::min(w.strip, w.down - first);
    transform_source(c, strip_source(c, x, kTile * first, at.padded), rows, at.source);
    for (int64_t k = 0; k < kProducts; ++k) {
      multiply_apart<T>({rows * w.across, c.channels, c.columns,
                         at.source + k * w.tiles * c.channels, c.channels, 1,
                         at.kernel + k * c.channels * c.columns, c.columns,
                         at.target + k * w.tiles * c.columns, c.columns});
    }
    transform_target(c, at.target, bias, relu, first, rows, y);
  }
}

// requires: w is what `ready_kernel` gave for this scratch.
template <typename T>
inline void fill_sample(const Conv& c, const T* x, const T* w, const T* bias, bool relu, T* y,
                        T* scratch) noexcept {
  if (c.winograd.used) return fill_by_tiles(c, x, bias, relu, y, scratch);
  const int64_t row = target_row(c);
  for (int64_t strip = 0; strip < c.strips; ++strip) {
    const int64_t q = strip * c.strip;
    fill_strip(c, strip_source(c, x, q, scratch), w, bias, relu, y + q * row, q);
  }
}

// The same with any activation: relu in registers, the others in a pass over the sample.
template <typename T>
inline void fill_activated(const Conv& c, const T* x, const T* w, const T* bias,
                           Activation activation, T* y, T* scratch) noexcept {
  const bool relu = activation == Activation::relu;
  fill_sample<T>(c, x, w, bias, relu, y, scratch);
  if (!relu) activate_all(activation, y, c.target_size);
}

// Rows [first, first + count) of the kernel's matrix, whose slopes begin at `w`; those of the bias
// at `b`, where they are wanted.
template <typename T>
struct Slopes {
  int64_t first;
  int64_t count;
  T* w;
  T* b = nullptr;
};

template <typename T>
inline void add_slopes_by_tiles(const Conv& c, const T* x, const T* g, Start start,
                                T* scratch) noexcept {
  const Transformed<T> at = transformed(c, scratch);
  const Winograd& w = c.winograd;
  for (int64_t first = 0; first < w.down; first += w.strip, start = Start::sum) {
    const int64_t rows = std::min(w.strip, w.down - first);
    transform_source(c, strip_source(c, x, kTile * first, at.padded), rows, at.source);
    transform_slopes(c, g, first, rows, at.target);
    for (int64_t k = 0; k < kProducts; ++k) {
      Product<T> p{c.channels,
                   rows * w.across,
                   c.columns,
                   at.source + k * w.tiles * c.channels,
                   1,
                   c.channels,
                   at.target + k * w.tiles * c.columns,
                   c.columns,
                   at.kernel + k * c.channels * c.columns,
                   c.columns};
      p.add = start == Start::sum;
      multiply_apart(p);
    }
  }
}

// What one sample adds to the slopes: the product with rows and steps exchanged.
template <typename T>
inline void add_slopes(const Conv& c, const T* x, const T* g, const Slopes<T>& s, Start start,
                       T* scratch) noexcept {
  if (c.winograd.used) return add_slopes_by_tiles(c, x, g, start, scratch);
  const Places& places = c.classes.front();
  const int64_t groups = c.by_channel() ? 1 : c.groups;
  const int64_t width = c.by_channel() ? c.columns : c.width;
  for (int64_t strip = 0; strip < c.strips; ++strip, start = Start::sum) {
    const int64_t q = strip * c.strip;
    const T* source = strip_source(c, x, q, scratch);
    const T* slopes = g + q * places.a_row * c.columns;
    for (int64_t group = 0; group < groups; ++group) {
      multiply_places<T>(
          c, {source + group * c.depth, places.step.data() + s.first, c.slope.data(), s.count,
              places.row.data(), places_in_strip(c, places, q), slopes + group * width, c.columns,
              s.w + group * width, width, nullptr, start, false});
    }
  }
}

// What is left to do when all samples are added: `w` is where the slopes are wanted.
template <typename T>
inline void finish_slopes(const Conv& c, T* w, const T* scratch) noexcept {
  if (c.winograd.used) transform_kernel_back(c, scratch, w);
}

struct Samples {
  int64_t begin, end;
};

// add(n, slopes, start) of what a sample gives, whose slopes of y are slopes_of(n), asked for one
// sample after the other.
template <typename T, typename SlopesOf>
inline auto adding(const Conv& c, const T* x, SlopesOf slopes_of, T* scratch) noexcept {
  return [=, &c](int64_t n, const Slopes<T>& s, Start start) {
    add_slopes<T>(c, x + n * c.source_size, slopes_of(n), s, start, scratch);
  };
}

// The slopes of the kernel from some samples.
template <typename T, typename Add>
inline void sum_slopes(const Conv& c, Samples some, Add add, const Slopes<T>& s,
                       const T* scratch) noexcept {
  if (s.b != nullptr) clear_elements(s.b, c.columns);
  if (some.begin >= some.end || c.strips == 0) return clear_elements(s.w, s.count * c.columns);
  for (int64_t n = some.begin; n < some.end; ++n) {
    add(n, s, n == some.begin ? Start::zero : Start::sum);
  }
  finish_slopes(c, s.w, scratch);
}

// requires: x, the first argument, whole; a row of the output is what a part of the samples gives,
// and of a second one that of the bias.
template <typename T, typename Add>
inline void sum_parts(const Call& call, const Tile& tile, const Conv& c, Add add,
                      const T* scratch) noexcept {
  const int64_t samples = call.operand[0].shape[0], parts = call.output().shape[0];
  T* w = output<T>(call, tile);
  T* b = call.operands() - call.arguments > 1 ? output<T>(call, tile, 1) : nullptr;
  for (int64_t part = tile.begin; part < tile.end; ++part, w += call.output().row_size) {
    const int64_t each = (samples + parts - 1) / parts, begin = std::min(part * each, samples);
    const Slopes<T> slopes{0, call.output().shape[1], w, b};
    sum_slopes<T>(c, {begin, std::min(begin + each, samples)}, add, slopes, scratch);
    if (b != nullptr) b += c.columns;
  }
}

}  // namespace chainrule::CHAINRULE_ISA
