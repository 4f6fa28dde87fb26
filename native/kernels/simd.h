// A vector of the width of the instruction set this file is compiled for, on GCC and Clang vector
// extensions. One lane count for float and double alike would waste half of each register, so the
// width follows the element: Vec<float> has kBytes / 4 lanes, Vec<double> kBytes / 8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "kernel.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Before a loop whose iterations are independent although an output may be an input: the compiler
// would otherwise leave vectors for scalars whenever the two pointers are equal.
#if defined(__clang__)
#define CHAINRULE_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define CHAINRULE_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace chainrule::CHAINRULE_ISA {

#if defined(__AVX512F__)
inline constexpr int64_t kBytes = 64;
#elif defined(__AVX2__)
inline constexpr int64_t kBytes = 32;
#else
inline constexpr int64_t kBytes = 16;
#endif

template <typename T>
inline constexpr int64_t kLanes = kBytes / static_cast<int64_t>(sizeof(T));

template <typename T>
struct VecOf {
  typedef T type __attribute__((vector_size(kBytes), aligned(kBytes), may_alias));
};
template <typename T>
using Vec = typename VecOf<T>::type;

// The signed integer of the size of T; comparisons of Vec<T> give Vec<IntOf<T>> with all bits set
// or none.
template <typename T>
using IntOf = std::conditional_t<sizeof(T) == 8, int64_t,
                                 std::conditional_t<sizeof(T) == 4, int32_t, int8_t>>;

template <typename T>
inline Vec<T> load(const T* p) noexcept {
  Vec<T> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <typename T>
inline void store(T* p, Vec<T> v) noexcept {
  std::memcpy(p, &v, sizeof v);
}
// 0, 1, 2, ...
template <typename T>
inline Vec<IntOf<T>> lane_numbers() noexcept {
  Vec<IntOf<T>> lane = {};
  for (int64_t i = 0; i < kLanes<T>; ++i) lane[i] = static_cast<IntOf<T>>(i);
  return lane;
}
// Copies n < 2 * size bytes, by halves: a call of memcpy for a few bytes costs more than a kernel.
template <int64_t size>
inline void copy_part(std::byte* to, const std::byte* from, int64_t n) noexcept {
  if constexpr (size > 0) {
    if (n & size) {
      std::memcpy(to, from, size);
      to += size;
      from += size;
    }
    copy_part<size / 2>(to, from, n);
  }
}
#if defined(__AVX512BW__)
// The mask of the first n < 64 bytes.
inline __mmask64 first_bytes(int64_t n) noexcept { return (uint64_t{1} << n) - 1; }
#endif
// requires: 0 <= n < kLanes<T>; the missing lanes read as zero and are not written.
template <typename T>
inline Vec<T> load_part(const T* p, int64_t n) noexcept {
  const int64_t bytes = n * static_cast<int64_t>(sizeof(T));
#if defined(__AVX512BW__)
  return (Vec<T>)_mm512_maskz_loadu_epi8(first_bytes(bytes), p);
#else
#if defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    const auto mask = (__m256i)(lane_numbers<T>() < static_cast<IntOf<T>>(n));
    return (Vec<T>)_mm256_maskload_epi32(reinterpret_cast<const int*>(p), mask);
  } else if constexpr (sizeof(T) == 8) {
    const auto mask = (__m256i)(lane_numbers<T>() < static_cast<IntOf<T>>(n));
    return (Vec<T>)_mm256_maskload_epi64(reinterpret_cast<const long long*>(p), mask);
  }
#else
  // Reading pieces just written as one vector would wait for them to reach the cache.
  if constexpr (kLanes<T> == 4) {
    return Vec<T>{n > 0 ? p[0] : T{}, n > 1 ? p[1] : T{}, n > 2 ? p[2] : T{}, T{}};
  } else if constexpr (kLanes<T> == 2) {
    return Vec<T>{n > 0 ? p[0] : T{}, T{}};
  }
#endif
  alignas(kBytes) std::byte part[kBytes] = {};
  copy_part<kBytes / 2>(part, reinterpret_cast<const std::byte*>(p), bytes);
  return load(reinterpret_cast<const T*>(part));
#endif
}
template <typename T>
inline void store_part(T* p, Vec<T> v, int64_t n) noexcept {
  const int64_t bytes = n * static_cast<int64_t>(sizeof(T));
#if defined(__AVX512BW__)
  _mm512_mask_storeu_epi8(p, first_bytes(bytes), (__m512i)v);
#else
  alignas(kBytes) std::byte part[kBytes];
  store(reinterpret_cast<T*>(part), v);
  copy_part<kBytes / 2>(reinterpret_cast<std::byte*>(p), part, bytes);
#endif
}
template <typename T>
inline Vec<T> splat(T x) noexcept {
  return x - Vec<T>{};
}
template <typename T>
inline Vec<T> select(Vec<IntOf<T>> mask, Vec<T> yes, Vec<T> no) noexcept {
  return mask ? yes : no;
}

// a * b + c, rounded once where the processor can (all sets but baseline x86-64).
inline Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) noexcept {
#if defined(__AVX512F__)
  return (Vec<float>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
  return (Vec<float>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}
inline Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) noexcept {
#if defined(__AVX512F__)
  return (Vec<double>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__AVX2__)
  return (Vec<double>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
  return a * b + c;
#endif
}
inline Vec<float> sqrt(Vec<float> a) noexcept {
#if defined(__AVX512F__)
  return (Vec<float>)_mm512_maskz_sqrt_ps(0xffff, (__m512)a);
#elif defined(__AVX2__)
  return (Vec<float>)_mm256_sqrt_ps((__m256)a);
#else
  for (int64_t i = 0; i < kLanes<float>; ++i) a[i] = __builtin_sqrtf(a[i]);
  return a;
#endif
}
inline Vec<double> sqrt(Vec<double> a) noexcept {
#if defined(__AVX512F__)
  return (Vec<double>)_mm512_maskz_sqrt_pd(0xff, (__m512d)a);
#elif defined(__AVX2__)
  return (Vec<double>)_mm256_sqrt_pd((__m256d)a);
#else
  for (int64_t i = 0; i < kLanes<double>; ++i) a[i] = __builtin_sqrt(a[i]);
  return a;
#endif
}

// Each lane rounded towards minus infinity. Without SSE4.1 there is no instruction for it.
inline Vec<float> floor(Vec<float> a) noexcept {
#if defined(__AVX512F__)
  return (Vec<float>)_mm512_floor_ps((__m512)a);
#elif defined(__AVX2__)
  return (Vec<float>)_mm256_floor_ps((__m256)a);
#else
  for (int64_t i = 0; i < kLanes<float>; ++i) a[i] = __builtin_floorf(a[i]);
  return a;
#endif
}
inline Vec<double> floor(Vec<double> a) noexcept {
#if defined(__AVX512F__)
  return (Vec<double>)_mm512_floor_pd((__m512d)a);
#elif defined(__AVX2__)
  return (Vec<double>)_mm256_floor_pd((__m256d)a);
#else
  for (int64_t i = 0; i < kLanes<double>; ++i) a[i] = __builtin_floor(a[i]);
  return a;
#endif
}

// As many lanes of v as the sequence is long, from `first` on and round.
template <int first, typename V, int... lane>
inline auto lanes_from(V v, std::integer_sequence<int, lane...>) noexcept {
  constexpr int lanes = sizeof(V) / sizeof(v[0]);
  return __builtin_shufflevector(v, v, ((first + lane) % lanes)...);
}
// All lanes combined by `join`: halves of the register, then rotations of 16 bytes, as GCC 12
// passes vectors of 8 bytes through memory. The order of the sum depends on the width only.
template <typename T, int lanes = kLanes<T>, typename V, typename Join>
inline T fold(V v, Join join) noexcept {
  if constexpr (lanes == 1) {
    return v[0];
  } else {
    constexpr int half = lanes / 2;
    constexpr int kept = sizeof(V) > 16 ? half : static_cast<int>(sizeof(V) / sizeof(T));
    constexpr auto some = std::make_integer_sequence<int, kept>{};
    return fold<T, half>(join(lanes_from<0>(v, some), lanes_from<half>(v, some)), join);
  }
}
template <typename T>
inline T sum_lanes(Vec<T> v) noexcept {
  return fold<T>(v, [](auto a, auto b) { return a + b; });
}
// The greatest lane; a NaN may be lost.
template <typename T>
inline T max_lanes(Vec<T> v) noexcept {
  return fold<T>(v, [](auto a, auto b) { return a > b ? a : b; });
}
// Whether any bit of v is set.
template <typename T>
inline bool any_bit(Vec<T> v) noexcept {
#if defined(__AVX512F__)
  return _mm512_test_epi64_mask((__m512i)v, (__m512i)v) != 0;
#elif defined(__AVX2__)
  return _mm256_testz_si256((__m256i)v, (__m256i)v) == 0;
#else
  return fold<uint64_t>((Vec<uint64_t>)v, [](auto a, auto b) { return a | b; }) != 0;
#endif
}

// Where a loop over vectors stands: at a whole vector, or at the last `n` < kLanes<T> elements.
// `pad` is what the missing lanes read as.
template <typename T>
struct WholeVector {
  Vec<T> load(const T* p) const noexcept { return CHAINRULE_ISA::load(p); }
  Vec<T> load(const T* p, T) const noexcept { return CHAINRULE_ISA::load(p); }
  void store(T* p, Vec<T> v) const noexcept { CHAINRULE_ISA::store(p, v); }
};
template <typename T>
struct PartVector {
  int64_t n;
  Vec<T> load(const T* p) const noexcept { return load_part(p, n); }
  Vec<T> load(const T* p, T pad) const noexcept {
#if defined(__AVX512BW__)
    const __mmask64 mask = first_bytes(n * static_cast<int64_t>(sizeof(T)));
    return (Vec<T>)_mm512_mask_loadu_epi8((__m512i)splat<T>(pad), mask, p);
#endif
    return select<T>(lane_numbers<T>() < static_cast<IntOf<T>>(n), load_part(p, n), splat<T>(pad));
  }
  void store(T* p, Vec<T> v) const noexcept { store_part(p, v, n); }
};

// body(at, i) for i = 0, kLanes<T>, ... below n; `at` loads and stores T at i, as much as there is.
template <typename T, typename Body>
inline void each_vector(int64_t n, Body body) noexcept {
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) body(WholeVector<T>{}, i);
  if (i < n) body(PartVector<T>{n - i}, i);
}
// The same with a value that goes through: state = body(at, i, state). One that is written to from
// inside a closure would live in memory, 10 cycles a vector more.
template <typename T, typename State, typename Body>
inline State fold_vectors(int64_t n, State state, Body body) noexcept {
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) state = body(WholeVector<T>{}, i, state);
  return i < n ? body(PartVector<T>{n - i}, i, state) : state;
}
}  // namespace chainrule::CHAINRULE_ISA
