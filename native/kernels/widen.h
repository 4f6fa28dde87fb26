// Elements read as double, a vector of doubles at a time: sums of floats are held in double, which
// costs little next to reading them.
#pragma once

#include "simd.h"

namespace chainrule::CHAINRULE_ISA {

// As many elements of T as a vector of Total has lanes, as Total.
template <typename T, typename Total>
inline Vec<Total> widened(const T* p) noexcept {
  if constexpr (std::is_same_v<T, Total>) {
    return load(p);
  } else {
#if defined(__AVX512F__)
    return (Vec<double>)_mm512_maskz_cvtps_pd(0xff, _mm256_loadu_ps(p));
#elif defined(__AVX2__)
    return (Vec<double>)_mm256_cvtps_pd(_mm_loadu_ps(p));
#elif defined(__SSE2__)
    return Vec<double>{static_cast<double>(p[0]), static_cast<double>(p[1])};
#else
    Vec<double> v;
    for (int64_t i = 0; i < kLanes<double>; ++i) v[i] = static_cast<double>(p[i]);
    return v;
#endif
  }
}
// requires: n is less than the lanes of Total.
template <typename T, typename Total>
inline Vec<Total> widened_part(const T* p, int64_t n) noexcept {
  if constexpr (std::is_same_v<T, Total>) {
    return load_part(p, n);
  } else {
    T part[kLanes<T>];
    store(part, load_part(p, n));
    return widened<T, Total>(part);
  }
}

}  // namespace chainrule::CHAINRULE_ISA
