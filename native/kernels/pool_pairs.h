// Windows of 2 x 2 side by side, all within the image: no spans, and each cell is in one at most.
// With few channels a vector takes several windows.
#pragma once

#include "pool.h"

namespace chainrule::CHAINRULE_ISA {

// Whether the windows are such.
inline bool is_pairs(const Form& f) noexcept {
  const bool planes = f.window[0] == 1 && f.stride[0] == 1 && f.size[0] == f.out[0];
  bool pairs = planes && f.low[0] == 0;
  for (int axis = 1; axis < 3; ++axis) {
    pairs = pairs && f.window[axis] == 2 && f.stride[axis] == 2 && f.low[axis] == 0 &&
            2 * f.out[axis] <= f.size[axis];
  }
  return pairs;
}

// What goes to, or comes from, the left and the right cells of windows.
template <typename T>
struct Sides {
  Vec<T> left;
  Vec<T> right;
};

template <typename T>
inline constexpr auto kAllLanes = std::make_integer_sequence<int, static_cast<int>(kLanes<T>)>{};

// The left or the right cells, c channels each, of two vectors of a row, and back.
template <int c, int first, typename V, int... lane>
inline V parted(V a, V b, std::integer_sequence<int, lane...>) noexcept {
  return __builtin_shufflevector(a, b, (lane / c * 2 * c + lane % c + first)...);
}
template <int c, int from, typename V, int... lane>
inline V joined(V left, V right, std::integer_sequence<int, lane...>) noexcept {
  constexpr int lanes = sizeof...(lane);
  return __builtin_shufflevector(
      left, right, ((from + lane) / (2 * c) * c + lane % c + (from + lane) / c % 2 * lanes)...);
}

// Whether body(c) was called: for the numbers of channels of which a vector takes several.
template <typename T, typename Body>
inline bool with_few(int64_t c, Body body) noexcept {
  constexpr int most = kLanes<T> / 2;
  if (c > most || (c != 1 && c != 2 && c != 4)) return false;
  if (c == 1) body(std::integral_constant<int, 1>{});
  if (c == 2) body(std::integral_constant < int, most<2 ? most : 2>{});
  if (c == 4) body(std::integral_constant < int, most<4 ? most : 4>{});
  return true;
}

// The elements of a vector of which n are left, however many that are.
template <typename T>
inline Vec<T> load_some(const T* p, int64_t n) noexcept {
  return n >= kLanes<T> ? load(p) : n > 0 ? load_part(p, n) : Vec<T>{};
}
template <typename T>
inline void store_some(T* p, Vec<T> v, int64_t n) noexcept {
  if (n >= kLanes<T>) return store(p, v);
  if (n > 0) store_part(p, v, n);
}
template <typename T>
inline Sides<T> load_sides(const T* p, int64_t n) noexcept {
  return {load_some(p, n), load_some(p + kLanes<T>, n - kLanes<T>)};
}
// body(at) for a vector of which n elements are left.
template <typename T, typename Body>
inline auto at_some(int64_t n, Body body) noexcept {
  return n >= kLanes<T> ? body(WholeVector<T>{}) : body(PartVector<T>{n});
}

// One row of windows, n elements of the output: see `each_pair`.
template <typename T, int c, typename Body>
inline void few_of_row(const T* top, const T* below, int64_t n, int64_t element,
                       Body body) noexcept {
  for (int64_t i = 0; i < n; i += kLanes<T>) {
    const Sides<T> a = load_sides(top + 2 * i, 2 * (n - i));
    const Sides<T> b = load_sides(below + 2 * i, 2 * (n - i));
    const Sides<T> upper = {parted<c, 0>(a.left, a.right, kAllLanes<T>),
                            parted<c, c>(a.left, a.right, kAllLanes<T>)};
    const Sides<T> lower = {parted<c, 0>(b.left, b.right, kAllLanes<T>),
                            parted<c, c>(b.left, b.right, kAllLanes<T>)};
    at_some<T>(n - i, [=](auto at) { body(at, element + i, upper, lower); });
  }
}

// body(at, element of the output, upper cells, lower cells) for the vectors of all windows.
template <typename T, typename Body>
inline void each_pair(const Form& f, int64_t samples, const T* x, Body body) noexcept {
  const int64_t c = f.c, n = f.out[2] * c, width = f.size[2] * c, most = whole_vectors<T>(c);
  const int64_t pooled = samples * f.pooled();
  const T* const end = x + samples * f.image();
  int64_t element = 0;
  for (int64_t plane = 0; plane < samples * f.size[0]; ++plane, x += f.size[1] * width) {
    for (int64_t j = 0; j < f.out[1]; ++j) {
      const T* top = x + 2 * j * width;
      const bool few = with_few<T>(c, [=](auto channels) {
        few_of_row<T, decltype(channels)::value>(top, top + width, n, element, body);
      });
      const int64_t stop = element + n;
      for (element = few ? stop : element; element < stop; element += c, top += 2 * c) {
        const T* below = top + width;
        const bool spill = element + most <= pooled && c + most <= end - below;
        each_of<T>(c, spill, [=](auto at, int64_t i) {
          const Sides<T> upper = {at.load(top + i), at.load(top + c + i)};
          const Sides<T> lower = {at.load(below + i), at.load(below + c + i)};
          body(at, element + i, upper, lower);
        });
      }
    }
  }
}

// One row of cells, below or above the middle of n elements of the output: see `each_pair_back`.
template <typename T, int c, typename Body>
inline void few_back(T* dx, int64_t n, int64_t element, int64_t row, Body body) noexcept {
  for (int64_t i = 0; i < n; i += kLanes<T>) {
    const int64_t rest = 2 * (n - i) - kLanes<T>;
    const Sides<T> s = at_some<T>(n - i, [=](auto at) { return body(at, element + i, row); });
    store_some(dx + 2 * i, joined<c, 0>(s.left, s.right, kAllLanes<T>), rest + kLanes<T>);
    store_some(dx + 2 * i + kLanes<T>,
               joined<c, static_cast<int>(kLanes<T>)>(s.left, s.right, kAllLanes<T>), rest);
  }
}

// Each row of cells is what body(at, element of the output, 0 for upper and 1 for lower cells)
// gives for the row of windows that it is in; cells in no window are 0.
template <typename T, typename Body>
inline void each_pair_back(const Form& f, int64_t samples, T* dx, Body body) noexcept {
  const int64_t c = f.c, n = f.out[2] * c, width = f.size[2] * c, most = whole_vectors<T>(c);
  const int64_t pooled = samples * f.pooled();
  const bool one = c < kLanes<T>;  // else the left cell would spill over the right one
  int64_t element = 0;
  for (int64_t plane = 0; plane < samples * f.size[0]; ++plane) {
    for (int64_t j = 0; j < f.out[1]; ++j, element += n) {
      for (int64_t row = 0; row < 2; ++row, dx += width) {
        const bool few = with_few<T>(c, [=](auto channels) {
          few_back<T, decltype(channels)::value>(dx, n, element, row, body);
        });
        for (int64_t k = few ? n : 0; k < n; k += c) {
          T* cells = dx + 2 * k;
          const bool spill = one && 2 * k + c + most <= 2 * n && element + k + most <= pooled;
          each_of<T>(c, spill, [=](auto at, int64_t i) {
            const Sides<T> s = body(at, element + k + i, row);
            at.store(cells + i, s.left);
            at.store(cells + c + i, s.right);
          });
        }
        std::memset(dx + 2 * n, 0, static_cast<size_t>(width - 2 * n) * sizeof(T));
      }
    }
    const int64_t rest = (f.size[1] - 2 * f.out[1]) * width;
    std::memset(dx, 0, static_cast<size_t>(rest) * sizeof(T));
    dx += rest;
  }
}

}  // namespace chainrule::CHAINRULE_ISA
