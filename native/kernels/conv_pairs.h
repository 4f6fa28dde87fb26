// Convolutions joined with a pooling of 2 x 2 places side by side, window by window: what lies
// between the two stays in registers. An element of the convolution is the same chain of
// multiply-adds as elsewhere.
#pragma once

#include "conv_sample.h"
#include "pool_pairs.h"

namespace chainrule::CHAINRULE_ISA {

// Whether a sample of the convolution is one strip, which is multiplied in one go, and pairs of its
// places are pooled. requires: `space` of the pooling are the axes of the convolution's target.
inline bool fits_pairs(const Conv& c, const Form& pool) {
  return is_pairs(pool) && !c.winograd.used && c.groups == 1 && c.strips == 1 &&
         c.classes.size() == 1 && c.classes.front().runs.size() == 1 && c.columns == pool.c;
}

// Windows at once: as many rows of sums as a block has.
inline constexpr int kPairWindows = kBlockRows / 4;

template <typename T>
struct PooledPairs {
  const T* x;
  const int32_t* row;  // of each place of the convolution
  const int32_t* step;
  int64_t depth;
  const T* w;
  int64_t columns;
  const T* bias;
  bool relu;
  bool rectified;
  int64_t line;  // places from one row of the convolution to the next
  T* y;
  uint8_t* place;
};

// Windows whose first places are `at`, in a row of the output from `to` on.
template <typename T, int windows, int vectors, bool part>
[[gnu::noinline]] void pool_block(const PooledPairs<T>& s, const int64_t* at, int64_t to, int64_t j,
                                  int64_t tail) noexcept {
  constexpr int rows = 4 * windows;
  const T* a[rows];
  Vec<T> sum[rows][vectors];
  Vec<T> bias[vectors];
  load_row<T, vectors, part>(bias, s.bias + j, tail);
  CHAINRULE_UNROLL
  for (int r = 0; r < rows; ++r) {
    a[r] = s.x + s.row[at[r / 4] + (r & 1) + ((r & 2) != 0 ? s.line : 0)];
    CHAINRULE_UNROLL
    for (int v = 0; v < vectors; ++v) sum[r][v] = bias[v];
  }
  add_gathered<T, rows, vectors, part>(sum, a, s.step, s.depth, s.w + j, s.columns, tail);
  if (s.relu) relu_sums<T>(sum);
  CHAINRULE_UNROLL
  for (int w = 0; w < windows; ++w) {
    CHAINRULE_UNROLL
    for (int v = 0; v < vectors; ++v) {
      Greatest<T> best = greatest_of_four<T>(sum[4 * w][v], sum[4 * w + 1][v], sum[4 * w + 2][v],
                                             sum[4 * w + 3][v]);
      if (s.rectified) best.rectify(splat_number<T>(4));
      const int64_t element = (to + w) * s.columns + j + v * kLanes<T>;
      if (part && v == vectors - 1) {
        PartVector<T>{tail}.store(s.y + element, best.value);
        store_numbers(PartVector<T>{tail}, s.place + element, best.number);
      } else {
        store(s.y + element, best.value);
        store_numbers<T>(s.place + element, best.number);
      }
    }
  }
}

template <typename T, int windows>
struct PoolBlock {
  template <int vectors, bool part>
  struct Of {
    static constexpr auto run = pool_block<T, windows, vectors, part>;
  };
};

// The pooled sample. requires: fits_pairs(c, pool); w and scratch as `fill_sample` wants them.
template <typename T>
inline void fill_pairs(const Conv& c, const Form& pool, const T* x, const T* w, const T* bias,
                       bool relu, bool rectified, T* y, uint8_t* place, T* scratch) noexcept {
  const Places& places = c.classes.front();
  const Run& run = places.runs.front();
  const PooledPairs<T> s{strip_source(c, x, 0, scratch),
                         places.row.data(),
                         places.step.data() + run.begin,
                         run.depth,
                         w + run.row * c.columns,
                         c.columns,
                         bias,
                         relu,
                         rectified,
                         pool.size[2],
                         y,
                         place};
  const int64_t lines = pool.size[0] * pool.out[1];
  for (int64_t j = 0; j < c.columns;) {
    const int64_t left = c.columns - j;
    const int64_t vectors = next_vectors(pieces(left, kLanes<T>), kBlockVectors);
    const int64_t width = vectors * kLanes<T>, tail = left - (width - kLanes<T>);
    const bool part = width > left;
    const auto several =
        block_for<kBlockVectors, PoolBlock<T, kPairWindows>::template Of>(vectors, part);
    const auto one = block_for<kBlockVectors, PoolBlock<T, 1>::template Of>(vectors, part);
    int64_t at[kPairWindows], known = 0, to = 0;
    for (int64_t line = 0; line < lines; ++line) {
      const int64_t plane = line / pool.out[1], first = 2 * (line % pool.out[1]);
      const int64_t begin = (plane * pool.size[1] + first) * pool.size[2];
      for (int64_t k = 0; k < pool.out[2]; ++k) {
        at[known++] = begin + 2 * k;
        if (known < kPairWindows) continue;
        several(s, at, to, j, tail);
        to += known;
        known = 0;
      }
    }
    for (int64_t i = 0; i < known; ++i) one(s, at + i, to + i, j, tail);
    j += width;
  }
}

// Where only one of four places has a slope, and the source of a window, of one channel, is as many
// elements as a register has: the elements that the slopes meet are picked there, lane by lane.
inline bool fits_picking(const Conv& c, const Form& pool, DType dtype) {
#if defined(__AVX512F__)
  bool plain = fits_pairs(c, pool) && dtype == DType::f32 && c.channels == 1 &&
               c.axis[0].target == 1 && c.axis[1].kernel <= 3 && c.axis[2].kernel == 3;
  for (const Axis& axis : c.axis) plain = plain && axis.scale == 1;
  const std::vector<int32_t>& step = c.classes.front().step;
  for (size_t tap = 0; plain && tap < step.size(); ++tap) {
    plain =
        step[tap] == static_cast<int64_t>(tap / 3) * c.extent[2] + static_cast<int64_t>(tap % 3);
  }
  return plain;
#else
  static_cast<void>(c), static_cast<void>(pool), static_cast<void>(dtype);
  return false;
#endif
}

#if defined(__AVX512F__)
// The slopes of one window, 0 where they have no place, and their places, of which two bits count.
struct Picked {
  Vec<float> slope;
  Vec<int32_t> place;
};
template <typename At>
inline Picked picked(At at, const float* g, const uint8_t* place) noexcept {
  const Vec<int32_t> number = load_numbers(at, place);
  const auto placed = _mm512_cmplt_epi32_mask((__m512i)number, _mm512_set1_epi32(4));
  const auto slope = (Vec<float>)_mm512_maskz_mov_ps(placed, (__m512)at.load(g));
  return {slope, number};
}

// The four elements that places 0 to 3 meet at each of three taps, where `upper` and `lower` are
// four elements each of two rows of the source, in every 128 bits.
inline void patches_of(__m512 upper, __m512 lower, __m512 (&patch)[3]) noexcept {
  patch[0] = _mm512_maskz_shuffle_ps(0xffff, upper, lower, 0x44);
  patch[1] = _mm512_maskz_shuffle_ps(0xffff, upper, lower, 0x99);
  patch[2] = _mm512_maskz_shuffle_ps(0xffff, upper, lower, 0xee);
}

// Adds to the sums of `vectors` vectors of columns what one sample gives; `b` may be null.
template <int taps, int vectors, typename At>
inline void add_picked(const Conv& c, const Form& pool, At at, const float* x, const float* g,
                       const uint8_t* place, Start start, float* w, float* b) noexcept {
  constexpr int high = taps / 3;  // rows of the kernel
  Vec<float> sum[taps][vectors], slopes[vectors] = {};
  CHAINRULE_UNROLL
  for (int t = 0; t < taps; ++t) {
    CHAINRULE_UNROLL
    for (int v = 0; v < vectors; ++v) {
      const float* from = w + t * c.columns + v * kLanes<float>;
      sum[t][v] = start == Start::zero ? Vec<float>{} : at.load(from);
    }
  }
  const int64_t row = c.extent[2];
  for (int64_t i = 0; i < pool.out[1]; ++i) {
    for (int64_t k = 0; k < pool.out[2]; ++k, g += c.columns, place += c.columns) {
      const float* from = x + 2 * i * row + 2 * k;
      __m512 rows[high + 1];
      CHAINRULE_UNROLL
      for (int r = 0; r <= high; ++r)
        rows[r] = _mm512_maskz_broadcast_f32x4(0xffff, _mm_loadu_ps(from + r * row));
      Picked p[vectors];
      CHAINRULE_UNROLL
      for (int v = 0; v < vectors; ++v) {
        p[v] = picked(at, g + v * kLanes<float>, place + v * kLanes<float>);
        slopes[v] += p[v].slope;
      }
      CHAINRULE_UNROLL
      for (int r = 0; r < high; ++r) {
        __m512 patch[3];
        patches_of(rows[r], rows[r + 1], patch);
        CHAINRULE_UNROLL
        for (int t = 0; t < 3; ++t) {
          CHAINRULE_UNROLL
          for (int v = 0; v < vectors; ++v) {
            const auto which = (__m512i)p[v].place;
            const auto met = (Vec<float>)_mm512_maskz_permutevar_ps(0xffff, patch[t], which);
            sum[3 * r + t][v] = fma(p[v].slope, met, sum[3 * r + t][v]);
          }
        }
      }
    }
  }
  CHAINRULE_UNROLL
  for (int t = 0; t < taps; ++t) {
    CHAINRULE_UNROLL
    for (int v = 0; v < vectors; ++v) at.store(w + t * c.columns + v * kLanes<float>, sum[t][v]);
  }
  if (b == nullptr) return;
  CHAINRULE_UNROLL
  for (int v = 0; v < vectors; ++v, b += kLanes<float>) at.store(b, at.load(b) + slopes[v]);
}

template <int taps>
inline void add_picked_columns(const Conv& c, const Form& pool, const float* x, const float* g,
                               const uint8_t* place, Start start, const Slopes<float>& s) noexcept {
  constexpr int64_t two = 2 * kLanes<float>;
  const auto bias = [&](int64_t j) { return s.b == nullptr ? nullptr : s.b + j; };
  int64_t j = 0;
  for (; j + two <= c.columns; j += two) {
    const WholeVector<float> at;
    add_picked<taps, 2>(c, pool, at, x, g + j, place + j, start, s.w + j, bias(j));
  }
  for (; j < c.columns; j += kLanes<float>) {
    at_some<float>(c.columns - j, [&](auto at) {
      add_picked<taps, 1>(c, pool, at, x, g + j, place + j, start, s.w + j, bias(j));
    });
  }
}

// What one sample adds to the slopes. requires: fits_picking(c, pool).
inline void add_pair_slopes(const Conv& c, const Form& pool, const float* x, const float* g,
                            const uint8_t* place, Start start, const Slopes<float>& s,
                            float* scratch) noexcept {
  const float* source = strip_source(c, x, 0, scratch);
  switch (c.axis[1].kernel) {
    case 1: return add_picked_columns<3>(c, pool, source, g, place, start, s);
    case 2: return add_picked_columns<6>(c, pool, source, g, place, start, s);
    default: return add_picked_columns<9>(c, pool, source, g, place, start, s);
  }
}
#endif

}  // namespace chainrule::CHAINRULE_ISA
