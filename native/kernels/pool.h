// Walks over the windows of an image [n, *space, c], and over its cells with the windows they are
// in, a vector of channels at a time; and the numbers of places in a window, which are bytes.
#pragma once

#include "elementwise.h"

namespace chainrule::CHAINRULE_ISA {

template <typename T>
using Numbers = Vec<IntOf<T>>;

// The sizes of a pooling over three axes of space; those that the image lacks stand in front, with
// one cell. Kept in `integers` of the call.
struct Form {
  int64_t size[3] = {1, 1, 1};
  int64_t out[3] = {1, 1, 1};
  int64_t window[3] = {1, 1, 1};
  int64_t stride[3] = {1, 1, 1};
  int64_t low[3] = {0, 0, 0};
  int64_t c = 1;

  int64_t image() const noexcept { return size[0] * size[1] * size[2] * c; }
  int64_t pooled() const noexcept { return out[0] * out[1] * out[2] * c; }
};

inline Form form_of(const Call& call) noexcept {
  Form form;
  static_assert(sizeof form <= sizeof call.integers);
  std::memcpy(&form, call.integers, sizeof form);
  return form;
}

inline int64_t cells_of(const Form& f) noexcept { return f.window[0] * f.window[1] * f.window[2]; }

inline void keep_form(Call& call, const Operand& image, const Operand& pooled) {
  Form form;
  const int rank = image.rank - 2;
  const std::vector<double>& window = call.find("window")->numbers;
  const std::vector<double>& strides = call.find("strides")->numbers;
  const std::vector<double>& padding = call.find("padding")->numbers;
  for (int i = 0; i < rank; ++i) {
    const int axis = 3 - rank + i;
    const auto at = static_cast<size_t>(i);
    form.size[axis] = image.shape[i + 1];
    form.out[axis] = pooled.shape[i + 1];
    form.window[axis] = static_cast<int64_t>(window[at]);
    form.stride[axis] = static_cast<int64_t>(strides[at]);
    form.low[axis] = static_cast<int64_t>(padding[2 * at]);
  }
  form.c = image.shape[image.rank - 1];
  std::memcpy(call.integers, &form, sizeof form);
}

// Numbers of places beside vectors of T: bytes, or int32 where windows are large.
template <typename T>
inline Numbers<T> load_numbers(const uint8_t* p) noexcept {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return (Numbers<T>)_mm512_maskz_cvtepu8_epi32(0xffff, bytes);
  } else {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return (Numbers<T>)_mm512_maskz_cvtepu8_epi64(0xff, bytes);
  }
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return (Numbers<T>)_mm256_cvtepu8_epi32(bytes);
  }
#endif
  Numbers<T> v;
  for (int64_t i = 0; i < kLanes<T>; ++i) v[i] = p[i];
  return v;
}
template <typename T>
inline Numbers<T> load_numbers(const int32_t* p) noexcept {
  Numbers<T> v;
  for (int64_t i = 0; i < kLanes<T>; ++i) v[i] = p[i];
  return v;
}
template <typename T>
inline void store_numbers(uint8_t* p, Numbers<T> v) noexcept {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    const __m128i bytes = _mm512_maskz_cvtepi32_epi8(0xffff, (__m512i)v);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
  } else {
    const __m128i bytes = _mm512_maskz_cvtepi64_epi8(0xff, (__m512i)v);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), bytes);
  }
#else
#if defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    const __m128i low = _mm256_castsi256_si128((__m256i)v);
    const __m128i words = _mm_packs_epi32(low, _mm256_extracti128_si256((__m256i)v, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
    return;
  }
#endif
  for (int64_t i = 0; i < kLanes<T>; ++i) p[i] = static_cast<uint8_t>(v[i]);
#endif
}
template <typename T>
inline void store_numbers(int32_t* p, Numbers<T> v) noexcept {
  for (int64_t i = 0; i < kLanes<T>; ++i) p[i] = static_cast<int32_t>(v[i]);
}
template <typename T, typename Place>
inline Numbers<T> load_numbers(WholeVector<T>, const Place* p) noexcept {
  return load_numbers<T>(p);
}
template <typename T, typename Place>
inline Numbers<T> load_numbers(PartVector<T> at, const Place* p) noexcept {
  Place part[kLanes<T>] = {};
  for (int64_t i = 0; i < at.n; ++i) part[i] = p[i];
  return load_numbers<T>(part);
}
template <typename T, typename Place>
inline void store_numbers(WholeVector<T>, Place* p, Numbers<T> v) noexcept {
  store_numbers<T>(p, v);
}
template <typename T, typename Place>
inline void store_numbers(PartVector<T> at, Place* p, Numbers<T> v) noexcept {
  Place part[kLanes<T>];
  store_numbers<T>(part, v);
  for (int64_t i = 0; i < at.n; ++i) p[i] = part[i];
}
template <typename T>
inline Numbers<T> splat_number(int64_t number) noexcept {
  return static_cast<IntOf<T>>(number) - Numbers<T>{};
}

// The greatest so far and the number of its place; the first stays where two are equal or NaN.
template <typename T>
struct Greatest {
  Vec<T> value;
  Numbers<T> number;

  void meet(Vec<T> x, Numbers<T> its) noexcept {
#if defined(__AVX512F__)
    // Masks that are joined as vectors would leave the mask registers and come back.
    if constexpr (sizeof(T) == 4) {
      const auto a = (__m512)value, b = (__m512)x;
      const __mmask16 known = _mm512_cmp_ps_mask(a, a, _CMP_ORD_Q);
      const __mmask16 greater = _mm512_mask_cmp_ps_mask(known, b, a, _CMP_NLE_UQ);
      value = (Vec<T>)_mm512_mask_mov_ps(a, greater, b);
      number = (Numbers<T>)_mm512_mask_mov_epi32((__m512i)number, greater, (__m512i)its);
    } else {
      const auto a = (__m512d)value, b = (__m512d)x;
      const __mmask8 known = _mm512_cmp_pd_mask(a, a, _CMP_ORD_Q);
      const __mmask8 greater = _mm512_mask_cmp_pd_mask(known, b, a, _CMP_NLE_UQ);
      value = (Vec<T>)_mm512_mask_mov_pd(a, greater, b);
      number = (Numbers<T>)_mm512_mask_mov_epi64((__m512i)number, greater, (__m512i)its);
    }
#else
    const auto greater = ~(x <= value) & (value == value);
    value = select<T>(greater, x, value);
    number = greater ? its : number;
#endif
  }
  // The relu of it; where it is not above 0, it stands in no place.
  void rectify(Numbers<T> none) noexcept {
#if defined(__AVX512F__)
    // As written below, GCC 12 fails to compile it where a number comes from memory.
    if constexpr (sizeof(T) == 4) {
      const __mmask16 low = _mm512_cmp_ps_mask((__m512)value, _mm512_setzero_ps(), _CMP_NGT_UQ);
      number = (Numbers<T>)_mm512_mask_mov_epi32((__m512i)number, low, (__m512i)none);
    } else {
      const __mmask8 low = _mm512_cmp_pd_mask((__m512d)value, _mm512_setzero_pd(), _CMP_NGT_UQ);
      number = (Numbers<T>)_mm512_mask_mov_epi64((__m512i)number, low, (__m512i)none);
    }
#else
    number = value > 0 ? number : none;
#endif
    value = select<T>(value <= 0, Vec<T>{}, value);
  }
};

// Of the places 0 to 3, as a tournament, which need not wait for itself as a chain does.
template <typename T>
inline Greatest<T> greatest_of_four(Vec<T> a, Vec<T> b, Vec<T> c, Vec<T> d) noexcept {
  Greatest<T> first{a, splat_number<T>(0)}, second{c, splat_number<T>(2)};
  first.meet(b, splat_number<T>(1));
  second.meet(d, splat_number<T>(3));
  first.meet(second.value, second.number);
  return first;
}

// body(at, i) for the vectors of `count` elements; where `spill`, the last one may be whole: what
// it writes too much is written again later, what it reads too much is there.
template <typename T, typename Body>
inline void each_of(int64_t count, bool spill, Body body) noexcept {
  if (!spill) return each_vector<T>(count, body);
  for (int64_t i = 0; i < count; i += kLanes<T>) body(WholeVector<T>{}, i);
}
template <typename T>
inline int64_t whole_vectors(int64_t count) noexcept {
  return (count + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
}

struct Span {
  int64_t begin;
  int64_t end;
};

// A window: its places within the image along each axis, the element of the image where place
// (0, 0, 0) stands, or would, and the element of the output. `count` elements from there on have
// windows of this form: the channels, and those of neighbours where windows move by one cell.
struct Window {
  Span span[3];
  int64_t start;
  int64_t pooled;
  int64_t count;
  bool spill;
};

inline Span span_of(const Form& f, int axis, int64_t o) noexcept {
  const int64_t start = o * f.stride[axis] - f.low[axis];
  const int64_t rest = f.size[axis] - start;
  return {start < 0 ? -start : 0, rest < f.window[axis] ? rest : f.window[axis]};
}

template <typename T, typename Body>
inline void each_window(const Form& f, int64_t samples, Body body) noexcept {
  const int64_t image = samples * f.image(), pooled = samples * f.pooled();
  Window w{{}, 0, 0, 0, false};
  for (int64_t n = 0; n < samples; ++n) {
    for (int64_t i = 0; i < f.out[0]; ++i) {
      w.span[0] = span_of(f, 0, i);
      for (int64_t j = 0; j < f.out[1]; ++j) {
        w.span[1] = span_of(f, 1, j);
        const int64_t plane = n * f.size[0] + i * f.stride[0] - f.low[0];
        const int64_t row = plane * f.size[1] + j * f.stride[1] - f.low[1];
        for (int64_t k = 0; k < f.out[2];) {
          w.span[2] = span_of(f, 2, k);
          w.start = (row * f.size[2] + k * f.stride[2] - f.low[2]) * f.c;
          int64_t run = 1;
          if (f.stride[2] == 1 && w.span[2].begin == 0 && w.span[2].end == f.window[2]) {
            const int64_t last = f.size[2] + f.low[2] - f.window[2];  // the last one in full
            run = (last < f.out[2] - 1 ? last : f.out[2] - 1) - k + 1;
          }
          w.count = run * f.c;
          const int64_t most = whole_vectors<T>(w.count);
          const int64_t cell = ((w.span[0].end - 1) * f.size[1] + w.span[1].end - 1) * f.size[2];
          const int64_t last = w.start + (cell + w.span[2].end - 1) * f.c;
          w.spill = w.pooled + most <= pooled && last + most <= image;
          body(w);
          w.pooled += w.count;
          k += run;
        }
      }
    }
  }
}

// body(element, number) for the places of a window, in row-major order: the element of the image
// for the window's first channel.
template <typename Body>
inline void each_place(const Form& f, const Window& w, Body body) noexcept {
  for (int64_t i = w.span[0].begin; i < w.span[0].end; ++i) {
    for (int64_t j = w.span[1].begin; j < w.span[1].end; ++j) {
      const int64_t row = w.start + (i * f.size[1] + j) * f.size[2] * f.c;
      const int64_t number = (i * f.window[1] + j) * f.window[2];
      for (int64_t k = w.span[2].begin; k < w.span[2].end; ++k) body(row + k * f.c, number + k);
    }
  }
}

// The windows that a cell is in, along one axis, for cells in rising order.
struct Cover {
  int64_t window, stride, low, out;
  int64_t begin = 0, end = 0;

  Cover(const Form& f, int axis) noexcept
      : window(f.window[axis]), stride(f.stride[axis]), low(f.low[axis]), out(f.out[axis]) {}
  void move(int64_t cell) noexcept {
    while (end < out && end * stride <= cell + low) ++end;
    while (begin < end && begin * stride + window <= cell + low) ++begin;
  }
  // The place of the cell in its first window.
  int64_t place(int64_t cell) const noexcept { return cell + low - begin * stride; }
};

// dx[cell] = sum of term(at, element of the output, number of the cell's place in its window) over
// the windows that the cell is in.
template <typename T, typename Term>
inline void each_cell(const Form& f, int64_t samples, T* dx, Term term) noexcept {
  const int64_t image = samples * f.image(), pooled = samples * f.pooled();
  int64_t element = 0;
  for (int64_t n = 0; n < samples; ++n) {
    Cover planes(f, 0);
    for (int64_t i = 0; i < f.size[0]; ++i) {
      planes.move(i);
      Cover rows(f, 1);
      for (int64_t j = 0; j < f.size[1]; ++j) {
        rows.move(j);
        Cover cells(f, 2);
        for (int64_t k = 0; k < f.size[2];) {
          cells.move(k);
          // Where windows move by one cell, neighbours in as many of them are done together.
          const bool full = f.stride[2] == 1 && cells.end - cells.begin == f.window[2];
          const int64_t run = full ? f.out[2] - cells.end + 1 : 1;
          const int64_t count = run * f.c, most = whole_vectors<T>(count);
          const int64_t line = ((n * f.out[0] + planes.end - 1) * f.out[1] + rows.end - 1);
          const int64_t last = (line * f.out[2] + cells.end - 1) * f.c;
          each_of<T>(
              count, element + most <= image && last + most <= pooled, [=, &f](auto at, int64_t c) {
                Vec<T> total = {};
                int64_t plane = planes.place(i);
                for (int64_t a = planes.begin; a < planes.end; ++a, plane -= f.stride[0]) {
                  int64_t row = plane * f.window[1] + rows.place(j);
                  for (int64_t b = rows.begin; b < rows.end; ++b, row -= f.stride[1]) {
                    const int64_t from = ((n * f.out[0] + a) * f.out[1] + b) * f.out[2];
                    int64_t number = row * f.window[2] + cells.place(k);
                    for (int64_t o = cells.begin; o < cells.end; ++o, number -= f.stride[2]) {
                      total += term(at, (from + o) * f.c + c, number);
                    }
                  }
                }
                at.store(dx + element + c, total);
              });
          element += count;
          k += run;
        }
      }
    }
  }
}

}  // namespace chainrule::CHAINRULE_ISA
