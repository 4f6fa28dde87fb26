// Images sampled at the places that an affine map of each sample names (ops/warp.py says what
// stands where), and the derivative. Places are found for a run of pixels of a row by vectors,
// then read one by one.
#include <algorithm>

#include "simd.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

enum Fill : int64_t { fill_constant, fill_nearest, fill_reflect, fill_wrap };

// What `prepare` leaves in `integers`: the sizes of the images that are read by `warp`, and of
// those that it writes.
struct Form {
  int64_t h, w;    // the input of warp
  int64_t oh, ow;  // its output
  int64_t c;
  Fill fill;
};

Form form_of(const Call& call) noexcept {
  const int64_t* k = call.integers;
  return {k[0], k[1], k[2], k[3], k[4], static_cast<Fill>(k[5])};
}

// Pixels of a row that are located together.
constexpr int64_t kRun = 128;

// The pixel at or before each place, and how far behind it the place is.
template <typename T>
struct Places {
  int32_t h[kRun], w[kRun];
  T down[kRun], right[kRun];
};

// As many elements of T as a vector of doubles has lanes.
template <typename T>
struct NarrowOf {
  typedef T type
      __attribute__((vector_size(kLanes<double> * static_cast<int64_t>(sizeof(T))), may_alias));
};
template <typename T>
void store_as(T* p, Vec<double> v) noexcept {
  const auto narrow = __builtin_convertvector(v, typename NarrowOf<T>::type);
  std::memcpy(p, &narrow, sizeof narrow);
}

// One axis of the places base + step * (first + k). Far ones and NaN are cut so that they fit an
// integer: these steps, in this order and in double, are those of the reference. By vectors, for
// the compiler leaves the comparisons to jumps: they took half the time of a warp.
// requires: space for whole vectors in `index` and `rest`.
template <typename T>
void locate(double base, double step, double shift, int64_t first, int64_t count, int32_t* index,
            T* rest) noexcept {
  const Vec<double> far = splat(0x1p30);
  Vec<double> number = __builtin_convertvector(lane_numbers<double>(), Vec<double>);
  number += splat(static_cast<double>(first));
  for (int64_t k = 0; k < count; k += kLanes<double>) {
    Vec<double> at = base + step * number;
    at = select<double>(at >= -far, at, -far);
    at = select<double>(at <= far, at, far) + shift;
    const Vec<double> below = floor(at);
    store_as(index + k, below);
    store_as(rest + k, at - below);
    number += static_cast<double>(kLanes<double>);
  }
}

template <typename T, typename M>
void locate_run(const M* m, int64_t row, int64_t first, int64_t count, double shift,
                Places<T>& p) noexcept {
  const auto i = static_cast<double>(row);
  double a[6];
  for (int64_t k = 0; k < 6; ++k) a[k] = static_cast<double>(m[k]);
  locate(a[0] * i + a[2], a[1], shift, first, count, p.h, p.down);
  locate(a[3] * i + a[5], a[4], shift, first, count, p.w, p.right);
}

// The pixel of an axis of n that stands at i; -1 for none.
int64_t folded(int64_t i, int64_t n, Fill fill) noexcept {
  if (i >= 0 && i < n) return i;
  switch (fill) {
    case fill_constant: return -1;
    case fill_nearest: return i < 0 ? 0 : n - 1;
    case fill_wrap: i %= n; return i < 0 ? i + n : i;
    default: {
      i %= 2 * n;
      i = i < 0 ? i + 2 * n : i;
      return std::min(i, 2 * n - 1 - i);
    }
  }
}

// One pixel at the edge or beyond it. `none` stands for pixels that are not there.
template <typename T>
struct Image {
  const T* x;
  const Form& f;
  T none;

  const T* pixel(int64_t h, int64_t w) const noexcept {
    return h < 0 || w < 0 ? nullptr : x + (h * f.w + w) * f.c;
  }
  T value(const T* p, int64_t c) const noexcept { return p == nullptr ? none : p[c]; }
};

template <typename T>
T mixed(T a, T b, T share) noexcept {
  return a + share * (b - a);
}

template <typename T>
void edge_bilinear(const Image<T>& image, int64_t h, int64_t w, T down, T right, T* y) noexcept {
  const Form& f = image.f;
  const int64_t h0 = folded(h, f.h, f.fill), h1 = folded(h + 1, f.h, f.fill);
  const int64_t w0 = folded(w, f.w, f.fill), w1 = folded(w + 1, f.w, f.fill);
  const T *a = image.pixel(h0, w0), *b = image.pixel(h0, w1);
  const T *d = image.pixel(h1, w0), *e = image.pixel(h1, w1);
  for (int64_t c = 0; c < f.c; ++c) {
    const T top = mixed(image.value(a, c), image.value(b, c), right);
    y[c] = mixed(top, mixed(image.value(d, c), image.value(e, c), right), down);
  }
}

template <typename T>
void edge_nearest(const Image<T>& image, int64_t h, int64_t w, T* y) noexcept {
  const Form& f = image.f;
  const T* p = image.pixel(folded(h, f.h, f.fill), folded(w, f.w, f.fill));
  for (int64_t c = 0; c < f.c; ++c) y[c] = image.value(p, c);
}

// The places of a run whose pixels, `reach` more to each side among them, are all in the image:
// one stretch, as both coordinates rise or fall all along.
struct Stretch {
  int64_t begin, end;
};
template <typename T>
Stretch inside(const Places<T>& p, int64_t count, const Form& f, int64_t reach) noexcept {
  const auto in = [&](int64_t k) {
    return p.h[k] >= 0 && p.h[k] < f.h - reach && p.w[k] >= 0 && p.w[k] < f.w - reach;
  };
  int64_t begin = 0, end = count;
  while (begin < end && !in(begin)) ++begin;
  while (end > begin && !in(end - 1)) --end;
  return {begin, end};
}

// requires: all pixels of the stretch are in the image. `channels` is their number, 0 for any.
template <typename T, int channels>
void inner_bilinear(const T* x, const Form& f, const Places<T>& p, Stretch s, T* y) noexcept {
  const int64_t n = channels > 0 ? channels : f.c;
  const int64_t line = f.w * n;
  for (int64_t k = s.begin; k < s.end; ++k) {
    const T* a = x + p.h[k] * line + p.w[k] * n;
    for (int64_t c = 0; c < n; ++c) {
      const T top = mixed(a[c], a[n + c], p.right[k]);
      y[k * n + c] = mixed(top, mixed(a[line + c], a[line + n + c], p.right[k]), p.down[k]);
    }
  }
}

template <typename T, int channels>
void inner_nearest(const T* x, const Form& f, const Places<T>& p, Stretch s, T* y) noexcept {
  const int64_t n = channels > 0 ? channels : f.c;
  for (int64_t k = s.begin; k < s.end; ++k) {
    const T* a = x + (p.h[k] * f.w + p.w[k]) * n;
    for (int64_t c = 0; c < n; ++c) y[k * n + c] = a[c];
  }
}

template <typename T, int channels, bool nearest>
void warp_run(const Image<T>& image, const Places<T>& p, int64_t count, T* y) noexcept {
  const Form& f = image.f;
  const Stretch s = inside(p, count, f, nearest ? 0 : 1);
  const auto edge = [&](int64_t k) {
    if constexpr (nearest) {
      edge_nearest(image, p.h[k], p.w[k], y + k * f.c);
    } else {
      edge_bilinear(image, p.h[k], p.w[k], p.down[k], p.right[k], y + k * f.c);
    }
  };
  for (int64_t k = 0; k < s.begin; ++k) edge(k);
  if constexpr (nearest) {
    inner_nearest<T, channels>(image.x, f, p, s, y);
  } else {
    inner_bilinear<T, channels>(image.x, f, p, s, y);
  }
  for (int64_t k = s.end; k < count; ++k) edge(k);
}

template <typename T, typename M, int channels, bool nearest>
void warp(const Call& call, const Tile& tile) noexcept {
  const Form f = form_of(call);
  const M* m = argument<M>(tile, 1);
  Image<T> image{argument<T>(tile, 0), f, static_cast<T>(call.reals[0])};
  T* y = output<T>(call, tile);
  Places<T> p;
  for (int64_t n = tile.begin; n < tile.end; ++n, m += 6, image.x += f.h * f.w * f.c) {
    for (int64_t i = 0; i < f.oh; ++i) {
      for (int64_t j = 0; j < f.ow; j += kRun) {
        const int64_t count = std::min(kRun, f.ow - j);
        locate_run(m, i, j, count, nearest ? 0.5 : 0.0, p);
        warp_run<T, channels, nearest>(image, p, count, y);
        y += count * f.c;
      }
    }
  }
}

// x[pixel] += share * g, where there is such a pixel.
template <typename T>
void give(T* x, const Form& f, int64_t h, int64_t w, T share, const T* g) noexcept {
  h = folded(h, f.h, f.fill);
  w = folded(w, f.w, f.fill);
  if (h < 0 || w < 0) return;
  T* to = x + (h * f.w + w) * f.c;
  for (int64_t c = 0; c < f.c; ++c) to[c] += share * g[c];
}

template <typename T, bool nearest>
void give_run(T* x, const Form& f, const Places<T>& p, int64_t count, const T* g) noexcept {
  for (int64_t k = 0; k < count; ++k, g += f.c) {
    const int64_t h = p.h[k], w = p.w[k];
    if constexpr (nearest) {
      give(x, f, h, w, T{1}, g);
    } else {
      const T down = p.down[k], right = p.right[k];
      give(x, f, h, w, (1 - down) * (1 - right), g);
      give(x, f, h, w + 1, (1 - down) * right, g);
      give(x, f, h + 1, w, down * (1 - right), g);
      give(x, f, h + 1, w + 1, down * right, g);
    }
  }
}

template <typename T, typename M, bool nearest>
void warp_gradient(const Call& call, const Tile& tile) noexcept {
  const Form f = form_of(call);
  const T* g = argument<T>(tile, 0);
  const M* m = argument<M>(tile, 1);
  T* x = output<T>(call, tile);
  const int64_t image = f.h * f.w * f.c;
  Places<T> p;
  for (int64_t n = tile.begin; n < tile.end; ++n, m += 6, x += image) {
    std::fill(x, x + image, T{0});
    for (int64_t i = 0; i < f.oh; ++i) {
      for (int64_t j = 0; j < f.ow; j += kRun) {
        const int64_t count = std::min(kRun, f.ow - j);
        locate_run(m, i, j, count, nearest ? 0.5 : 0.0, p);
        give_run<T, nearest>(x, f, p, count, g);
        g += count * f.c;
      }
    }
  }
}

bool is_word(const Call& call, const char* name, const char* word) {
  const Attribute* a = call.find(name);
  return a != nullptr && a->word == word;
}

void prepare(Call& call, const Operand& in, const Operand& out) {
  const int64_t sizes[] = {in.shape[1], in.shape[2], out.shape[1], out.shape[2], in.shape[3]};
  std::copy(sizes, sizes + 5, call.integers);
  call.integers[5] = is_word(call, "fill_mode", "nearest")   ? fill_nearest
                     : is_word(call, "fill_mode", "reflect") ? fill_reflect
                     : is_word(call, "fill_mode", "wrap")    ? fill_wrap
                                                             : fill_constant;
  call.reals[0] = call.number("fill_value", 0.0);
}

template <typename T, typename M, bool nearest>
Kernel warp_of(const Call& call) {
  switch (call.integers[4]) {
    case 1: return warp<T, M, 1, nearest>;
    case 3: return warp<T, M, 3, nearest>;
    default: return warp<T, M, 0, nearest>;
  }
}

// of<T, M, nearest>(), for the types and the interpolation of the call.
template <typename Of>
Kernel by_type(const Call& call, Of of) {
  const bool nearest = is_word(call, "interpolation", "nearest");
  const auto of_matrix = [&]<typename T>(T) -> Kernel {
    switch (call.operand[1].dtype) {
      case DType::f32:
        return nearest ? of.template operator()<T, float, true>()
                       : of.template operator()<T, float, false>();
      case DType::f64:
        return nearest ? of.template operator()<T, double, true>()
                       : of.template operator()<T, double, false>();
      default: return nullptr;
    }
  };
  switch (call.operand[0].dtype) {
    case DType::f32: return of_matrix(float{});
    case DType::f64: return of_matrix(double{});
    default: return nullptr;
  }
}

}  // namespace

Kernel prepare_warp(Call& call) {
  prepare(call, call.operand[0], call.output());
  return by_type(
      call, [&]<typename T, typename M, bool nearest>() { return warp_of<T, M, nearest>(call); });
}

Kernel prepare_warp_gradient(Call& call) {
  prepare(call, call.output(), call.operand[0]);
  return by_type(call, []<typename T, typename M, bool nearest>() -> Kernel {
    return warp_gradient<T, M, nearest>;
  });
}

}  // namespace chainrule::CHAINRULE_ISA
