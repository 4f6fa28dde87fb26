// Convolutions of 3 x 3 places with stride 1 by Winograd's minimal filtering F(2 x 2, 3 x 3): 16
// products for 4 places of the output where the sum itself has 36 (Lavin and Gray, arXiv
// 1509.09308, section 4.1). With Y the output's tile of 2 x 2, d the source's of 4 x 4, w the
// kernel,
//   Y = A^T [(G w G^T) * (B^T d B)] A,   and so for slopes g of Y:
//   dw = G^T [(A g A^T) * (B^T d B)] G,
// where * is a sum over channels, or over tiles: 16 products of matrices. All other factors are 0,
// 1, -1 or 1/2.
//
// Its error on normal numbers in float32, as the root of the mean square against that of the
// values, is 2.0e-7 to 2.7e-7 forward and to the input where the sum taken by NumPy has 1.2e-7
// to 1.6e-7, and 1.3e-7 to 2.6e-7 for the gradient of the kernel where it has 0.9e-7 to 2.8e-7. A
// NaN, or an infinity, makes NaN of all four places of a tile that sees it with one of them.
//
// On one core of Zen 4 in GFLOP/s of the plain sum, which itself runs at 95 to 113 of 117: forward
// 148 (32 channels, 32 x 32), 176 (64, 16 x 16), 174 (128, 14 x 14), the gradient of the kernel
// 131, 166, 159. Strips of 96 to 400 KiB make no difference beyond 5 %.
#pragma once

#include "conv_space.h"
#include "elementwise.h"
#include "gemm.h"

namespace chainrule::CHAINRULE_ISA {

inline constexpr int kTile = 2, kSeen = 4, kProducts = 16;

// Bytes of the transformed source and target of a strip: they share the second-level cache with
// the transformed kernel.
inline constexpr int64_t kTransformedBytes = 256 * 1024;

// Whether the kernel's places are transformed; `element` is the size of a number.
inline bool suits_winograd(const Conv& c, int64_t lanes) noexcept {
  const bool plain = c.groups == 1 && c.axis[0].source == 1 && c.axis[0].kernel == 1 &&
                     c.axis[0].target == 1 && c.axis[0].least == 0;
  for (int i = 1; i < kSpace; ++i) {
    const Axis& a = c.axis[i];
    if (a.kernel != 3 || a.scale != 1 || a.spread != 1 || a.most - a.least != 2) return false;
    if (a.target < kSeen) return false;
  }
  return plain && c.channels % lanes == 0 && c.columns % lanes == 0 && c.channels > lanes &&
         c.columns > lanes;
}

// Tiles of a strip lie beside each other: [product][tile][channel].
inline void arrange_winograd(Conv& c, int64_t element) {
  Winograd& w = c.winograd;
  w.used = true;
  w.down = (c.axis[1].target + kTile - 1) / kTile;
  w.across = (c.axis[2].target + kTile - 1) / kTile;
  w.turned =
      c.classes.front().step.size() > 1 && c.axis[1].classes.front().shift[0] > c.axis[1].least;
  const int64_t row = kProducts * w.across * (c.channels + c.columns) * element;
  const int64_t most = std::clamp<int64_t>(kTransformedBytes / row, 1, w.down);
  const int64_t strips = (w.down + most - 1) / most;
  w.strip = (w.down + strips - 1) / strips;
  c.direct = false;
  c.cut = 1;
  c.extent[0] = 1;
  c.extent[1] = kTile * w.strip + 2;
  c.extent[2] = kTile * w.across + 2;
  w.source = c.extent[1] * c.extent[2] * c.channels;
  w.tiles = w.strip * w.across;
}

inline void consider_winograd(Conv& c, DType dtype) {
  const bool single = dtype == DType::f32;
  const int64_t lanes = single ? kLanes<float> : kLanes<double>;
  if ((single || dtype == DType::f64) && suits_winograd(c, lanes)) {
    arrange_winograd(c, size_of(dtype));
  }
}

// The four combinations of B^T with four vectors.
template <typename T>
inline void see(Vec<T>& a, Vec<T>& b, Vec<T>& c, Vec<T>& d) noexcept {
  const Vec<T> first = a - c, last = b - d, sum = b + c, difference = c - b;
  a = first, b = sum, c = difference, d = last;
}

// V[k][tile][channel] = B^T d B of the first `rows` rows of tiles; `source` is the strip with what
// lies around it.
template <typename T>
inline void transform_source(const Conv& c, const T* source, int64_t rows, T* v) noexcept {
  const int64_t channels = c.channels, line = c.extent[2] * channels;
  const int64_t next = c.winograd.tiles * channels;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < c.winograd.across; ++j, v += channels) {
      const T* from = source + kTile * (i * line + j * channels);
      for (int64_t q = 0; q < channels; q += kLanes<T>) {
        Vec<T> d[kSeen][kSeen];
        CHAINRULE_UNROLL
        for (int y = 0; y < kSeen; ++y) {
          CHAINRULE_UNROLL
          for (int x = 0; x < kSeen; ++x) d[y][x] = load(from + y * line + x * channels + q);
        }
        CHAINRULE_UNROLL
        for (int x = 0; x < kSeen; ++x) see<T>(d[0][x], d[1][x], d[2][x], d[3][x]);
        CHAINRULE_UNROLL
        for (int y = 0; y < kSeen; ++y) {
          see<T>(d[y][0], d[y][1], d[y][2], d[y][3]);
          CHAINRULE_UNROLL
          for (int x = 0; x < kSeen; ++x) store(v + (y * kSeen + x) * next + q, d[y][x]);
        }
      }
    }
  }
}

// Where a tile of the target lies: places past its edge are left out.
struct TargetTile {
  int64_t rows, columns;
};
inline TargetTile target_tile(const Conv& c, int64_t i, int64_t j) noexcept {
  return {std::min<int64_t>(kTile, c.axis[1].target - kTile * i),
          std::min<int64_t>(kTile, c.axis[2].target - kTile * j)};
}

// y = f(A^T M A + bias) for the tiles from row `first` on.
template <typename T>
inline void transform_target(const Conv& c, const T* m, const T* bias, bool relu, int64_t first,
                             int64_t rows, T* y) noexcept {
  const int64_t columns = c.columns, line = c.axis[2].target * columns;
  const int64_t next = c.winograd.tiles * columns;
  for (int64_t i = first; i < first + rows; ++i) {
    for (int64_t j = 0; j < c.winograd.across; ++j, m += columns) {
      const TargetTile inside = target_tile(c, i, j);
      T* to = y + kTile * (i * line + j * columns);
      for (int64_t q = 0; q < columns; q += kLanes<T>) {
        Vec<T> s[kTile][kSeen];
        CHAINRULE_UNROLL
        for (int x = 0; x < kSeen; ++x) {
          const T* at = m + x * next + q;
          const Vec<T> b = load(at + kSeen * next), d = load(at + 2 * kSeen * next);
          s[0][x] = load(at) + b + d;
          s[1][x] = b - d - load(at + 3 * kSeen * next);
        }
        const Vec<T> start = bias != nullptr ? load(bias + q) : Vec<T>{};
        for (int64_t r = 0; r < inside.rows; ++r) {
          Vec<T> left = s[r][0] + s[r][1] + s[r][2] + start;
          Vec<T> right = s[r][1] - s[r][2] - s[r][3] + start;
          if (relu) {
            left = select<T>(left <= 0, Vec<T>{}, left);
            right = select<T>(right <= 0, Vec<T>{}, right);
          }
          store(to + r * line + q, left);
          if (inside.columns > 1) store(to + r * line + columns + q, right);
        }
      }
    }
  }
}

// G[k][tile][column] = A g A^T for the tiles from row `first` on; g is 0 past its edge.
template <typename T>
inline void transform_slopes(const Conv& c, const T* g, int64_t first, int64_t rows,
                             T* to) noexcept {
  const int64_t columns = c.columns, line = c.axis[2].target * columns;
  const int64_t next = c.winograd.tiles * columns;
  for (int64_t i = first; i < first + rows; ++i) {
    for (int64_t j = 0; j < c.winograd.across; ++j, to += columns) {
      const TargetTile inside = target_tile(c, i, j);
      const T* from = g + kTile * (i * line + j * columns);
      for (int64_t q = 0; q < columns; q += kLanes<T>) {
        Vec<T> s[kTile][kTile] = {};
        for (int64_t r = 0; r < inside.rows; ++r) {
          s[r][0] = load(from + r * line + q);
          if (inside.columns > 1) s[r][1] = load(from + r * line + columns + q);
        }
        const Vec<T> row[kSeen][kTile] = {{s[0][0], s[0][1]},
                                          {s[0][0] + s[1][0], s[0][1] + s[1][1]},
                                          {s[0][0] - s[1][0], s[0][1] - s[1][1]},
                                          {-s[1][0], -s[1][1]}};
        CHAINRULE_UNROLL
        for (int y = 0; y < kSeen; ++y) {
          T* at = to + y * kSeen * next + q;
          store(at, row[y][0]);
          store(at + next, row[y][0] + row[y][1]);
          store(at + 2 * next, row[y][0] - row[y][1]);
          store(at + 3 * next, -row[y][1]);
        }
      }
    }
  }
}

// Three values by G.
template <typename T>
inline void spread_kernel(Vec<T> a, Vec<T> b, Vec<T> c, Vec<T> (&to)[kSeen]) noexcept {
  const Vec<T> half = splat<T>(T(0.5)), ends = (a + c) * half, middle = b * half;
  to[0] = a, to[1] = ends + middle, to[2] = ends - middle, to[3] = c;
}

// U[k][channel][column] = G w G^T, of the kernel [3, 3, channels, columns], turned by half a turn
// where the convolution is a transpose.
template <typename T>
inline void transform_kernel(const Conv& c, const T* w, T* u) noexcept {
  const int64_t size = c.channels * c.columns;
  for (int64_t i = 0; i < size; i += kLanes<T>) {
    Vec<T> rows[3][kSeen];
    CHAINRULE_UNROLL
    for (int y = 0; y < 3; ++y) {
      const T* at = w + (c.winograd.turned ? 2 - y : y) * 3 * size + i;
      const Vec<T> left = load(at), right = load(at + 2 * size);
      const bool turned = c.winograd.turned;
      spread_kernel<T>(turned ? right : left, load(at + size), turned ? left : right, rows[y]);
    }
    CHAINRULE_UNROLL
    for (int x = 0; x < kSeen; ++x) {
      Vec<T> column[kSeen];
      spread_kernel<T>(rows[0][x], rows[1][x], rows[2][x], column);
      CHAINRULE_UNROLL
      for (int y = 0; y < kSeen; ++y) store(u + (y * kSeen + x) * size + i, column[y]);
    }
  }
}

// Four values by G^T.
template <typename T>
inline void gather_kernel(const Vec<T> (&a)[kSeen], Vec<T> (&to)[3]) noexcept {
  const Vec<T> half = splat<T>(T(0.5)), sum = (a[1] + a[2]) * half;
  to[0] = a[0] + sum, to[1] = (a[1] - a[2]) * half, to[2] = sum + a[3];
}

// dw = G^T X G, X [k][channel][column].
template <typename T>
inline void transform_kernel_back(const Conv& c, const T* x, T* w) noexcept {
  const int64_t size = c.channels * c.columns;
  for (int64_t i = 0; i < size; i += kLanes<T>) {
    Vec<T> rows[kSeen][3];
    CHAINRULE_UNROLL
    for (int y = 0; y < kSeen; ++y) {
      Vec<T> line[kSeen];
      CHAINRULE_UNROLL
      for (int k = 0; k < kSeen; ++k) line[k] = load(x + (y * kSeen + k) * size + i);
      gather_kernel<T>(line, rows[y]);
    }
    CHAINRULE_UNROLL
    for (int k = 0; k < 3; ++k) {
      const Vec<T> column[kSeen] = {rows[0][k], rows[1][k], rows[2][k], rows[3][k]};
      Vec<T> result[3];
      gather_kernel<T>(column, result);
      CHAINRULE_UNROLL
      for (int y = 0; y < 3; ++y) store(w + (y * 3 + k) * size + i, result[y]);
    }
  }
}

}  // namespace chainrule::CHAINRULE_ISA
