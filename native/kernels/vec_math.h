// Elementary functions of a vector, for float and double. Within 2 units in the last place, tanh
// and sigmoid within 2.5 (measured on a million arguments). Zeros, denormals, infinities and NaN
// give what the C library gives. The coefficients interpolate the functions at Chebyshev nodes;
// beside each stands its largest error.
#pragma once

#include "simd.h"

namespace chainrule::CHAINRULE_ISA {

template <typename T>
using IntVec = Vec<IntOf<T>>;
// For arithmetic on the bits of a number, which may wrap where the number is not one that matters.
template <typename T>
using Bits = Vec<std::make_unsigned_t<IntOf<T>>>;

template <typename T>
inline constexpr T kInfinity = static_cast<T>(__builtin_inf());
template <typename T>
inline constexpr T kNan = static_cast<T>(__builtin_nan(""));

// How a float of type T is laid out.
template <typename T>
struct Format;
template <>
struct Format<float> {
  static constexpr int mantissa = 23;
  static constexpr int32_t bias = 127;
  static constexpr int32_t sign = INT32_MIN;
};
template <>
struct Format<double> {
  static constexpr int mantissa = 52;
  static constexpr int64_t bias = 1023;
  static constexpr int64_t sign = INT64_MIN;
};

template <typename T>
inline Vec<T> absolute(Vec<T> x) noexcept {
  return (Vec<T>)((IntVec<T>)x & ~Format<T>::sign);
}
// |magnitude| with the sign of `signed_by`.
template <typename T>
inline Vec<T> copy_sign(Vec<T> magnitude, Vec<T> signed_by) noexcept {
  constexpr IntOf<T> sign = Format<T>::sign;
  return (Vec<T>)(((IntVec<T>)magnitude & ~sign) | ((IntVec<T>)signed_by & sign));
}
template <typename T>
inline Vec<T> maximum(Vec<T> a, Vec<T> b) noexcept {  // b where either is NaN
  return select<T>(a > b, a, b);
}
// 2^n. requires: n in [1 - bias, bias]
template <typename T>
inline Vec<T> power_of_two(IntVec<T> n) noexcept {
  return (Vec<T>)(((Bits<T>)n + static_cast<std::make_unsigned_t<IntOf<T>>>(Format<T>::bias))
                  << Format<T>::mantissa);
}
// c[0] + c[1] x + ... by Horner's rule: loops over vectors are bound by the number of instructions,
// and splitting the chain in two (Estrin) was measured as no faster.
template <typename T, int size>
inline Vec<T> polynomial(Vec<T> x, const T (&c)[size]) noexcept {
  Vec<T> sum = splat<T>(c[size - 1]);
  for (int i = size - 2; i >= 0; --i) sum = fma(sum, x, splat<T>(c[i]));
  return sum;
}
// F of each lane, for functions that are not worth a vector version.
template <typename T, typename F>
inline Vec<T> each_lane(Vec<T> x, F f) noexcept {
  for (int64_t i = 0; i < kLanes<T>; ++i) x[i] = f(x[i]);
  return x;
}

// (exp(r) - 1 - r) / r^2 on |r| <= ln(2) / 2.
inline Vec<float> exp_rest(Vec<float> r) noexcept {  // 2^-31
  return polynomial<float>(r, {0.5000000014f, 0.1666666668f, 0.0416664642f, 0.008333310845f,
                               0.001393373072f, 0.0001989108046f});
}
inline Vec<double> exp_rest(Vec<double> r) noexcept {  // 2^-60
  return polynomial<double>(
      r, {0.5, 0.166666666666666713, 0.0416666666666667092, 0.00833333333332579085,
          0.00138888888888533252, 0.000198412698760120144, 0.0000248015874058459656,
          2.7557253904304353e-6, 2.75571885342503587e-7, 2.51058333281625959e-8,
          2.09458587626405386e-9});
}
// x = n ln(2) + r. The high part of ln(2) has so few bits that its product with n is exact.
template <typename T>
struct ExpParts {
  Vec<T> n;
  Vec<T> r;
};
// Adding it rounds a number below 2^(mantissa - 1) to an integer and leaves that in the low bits.
template <typename T>
inline constexpr T kRounder =
    static_cast<T>(1.5) * static_cast<T>(int64_t{1} << Format<T>::mantissa);
template <typename T>
inline IntVec<T> to_integer(Vec<T> n) noexcept {
  const Bits<T> zero = (Bits<T>)splat<T>(kRounder<T>);
  const Bits<T> shifted = (Bits<T>)(n + kRounder<T>);
  return (IntVec<T>)(shifted - zero);
}
template <typename T>
inline Vec<T> to_real(IntVec<T> n) noexcept {
  return (Vec<T>)((Bits<T>)n + (Bits<T>)splat<T>(kRounder<T>)) - kRounder<T>;
}
// y * 2^n for 1/2 < y < 2, rounded once, and any n that `exp` meets.
template <typename T>
inline Vec<T> scale_by_power(Vec<T> y, Vec<T> n) noexcept {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    return (Vec<T>)_mm512_maskz_scalef_ps(0xffff, (__m512)y, (__m512)n);
  } else {
    return (Vec<T>)_mm512_maskz_scalef_pd(0xff, (__m512d)y, (__m512d)n);
  }
#else
  // In two factors, as 2^n itself may overflow or be denormal.
  const IntVec<T> whole = to_integer<T>(n);
  const IntVec<T> half = whole >> 1;
  return y * power_of_two<T>(half) * power_of_two<T>(whole - half);
#endif
}
template <typename T>
inline ExpParts<T> split_exponent(Vec<T> x) noexcept {
  constexpr bool single = sizeof(T) == 4;
  constexpr T log2_e = static_cast<T>(1.4426950408889634074);
  constexpr T high = static_cast<T>(single ? 0.6923828125 : 0.69314718036912381649);
  constexpr T low = static_cast<T>(single ? 0.000764368059945 : 1.9082149292705878161e-10);
  const Vec<T> n = fma(x, splat<T>(log2_e), splat<T>(kRounder<T>)) - kRounder<T>;
  return {n, fma(n, splat<T>(-low), fma(n, splat<T>(-high), x))};
}

template <typename T>
inline Vec<T> exp(Vec<T> x) noexcept {
  constexpr T highest = static_cast<T>(sizeof(T) == 4 ? 89 : 710);
  constexpr T lowest = static_cast<T>(sizeof(T) == 4 ? -105 : -747);
  x = select<T>(x > highest, splat<T>(highest), x);
  x = select<T>(x < lowest, splat<T>(lowest), x);
  const ExpParts<T> part = split_exponent<T>(x);
  const Vec<T> y = fma(part.r * part.r, exp_rest(part.r), part.r) + static_cast<T>(1);
  return scale_by_power<T>(y, part.n);
}

// Below it expm1(x) and log1p(x) round to x.
template <typename T>
inline constexpr T kTiny = static_cast<T>(1) / static_cast<T>(int64_t{2} << Format<T>::mantissa);

// exp(x) - 1
template <typename T>
inline Vec<T> expm1(Vec<T> x) noexcept {
  constexpr T highest = static_cast<T>(sizeof(T) == 4 ? 89 : 710);
  constexpr T lowest = static_cast<T>(sizeof(T) == 4 ? -20 : -40);
  const Vec<T> clamped = select<T>(x > highest, splat<T>(highest), x);
  const ExpParts<T> part =
      split_exponent<T>(select<T>(clamped < lowest, splat<T>(lowest), clamped));
  const Vec<T> y = fma(part.r * part.r, exp_rest(part.r), part.r);
  // Half of the result, as 2^n alone would overflow for the greatest n.
  const Vec<T> half = power_of_two<T>(to_integer<T>(part.n) - 1);
  const Vec<T> result = fma(y, half, half - static_cast<T>(0.5)) * static_cast<T>(2);
  return select<T>(absolute<T>(x) < kTiny<T>, x, result);
}

// log(1 + f) + n ln(2) for f in [sqrt(1/2) - 1, sqrt(2) - 1].
inline Vec<float> log_of_parts(Vec<float> f, Vec<float> n) noexcept {
  const Vec<float> p = polynomial<float>(  // 2^-31
      f, {0.3333333328f, -0.2499999f, 0.2000000956f, -0.1666802983f, 0.1428658643f, -0.1245004349f,
          0.1103591225f, -0.1065043485f, 0.1054619444f, -0.06210604844f});
  const Vec<float> square = f * f;
  const Vec<float> low = fma(n, splat(0.000764368059945f), square * f * p);
  const Vec<float> rest = fma(square, splat(-0.5f), low);
  return fma(n, splat(0.6923828125f), f + rest);
}
inline Vec<double> log_of_parts(Vec<double> f, Vec<double> n) noexcept {
  // log(1 + f) = 2 artanh(s), s = f / (2 + f); (2 artanh(s) - 2 s) / s^3 is a polynomial in s^2.
  const Vec<double> s = f / (2.0 + f);
  const Vec<double> s2 = s * s;
  const Vec<double> p = polynomial<double>(  // 2^-63
      s2, {0.666666666666666665, 0.400000000000009022, 0.285714285707881774, 0.222222223952060257,
           0.181817952677252605, 0.153862599182649088, 0.13268232831763745, 0.130922653524208336});
  // 2 s = f - s f, and s f = f^2/2 - s f^2/2: so that f itself is added last, with its full
  // precision.
  const Vec<double> half_square = 0.5 * f * f;
  const Vec<double> rest = fma(s, fma(s2, p, half_square), n * 1.9082149292705878161e-10);
  return fma(n, splat(0.69314718036912381649), f - (half_square - rest));
}

// x = 2^n (1 + f). requires: x positive, finite and not denormal
template <typename T>
struct LogParts {
  IntVec<T> n;
  Vec<T> f;
};
template <typename T>
inline LogParts<T> split_mantissa(Vec<T> x) noexcept {
  constexpr int mantissa = Format<T>::mantissa;
  constexpr IntOf<T> one = Format<T>::bias << mantissa;
  constexpr IntOf<T> root_half = sizeof(T) == 4 ? static_cast<IntOf<T>>(0x3f3504f3)
                                                : static_cast<IntOf<T>>(0x3fe6a09e667f3bcdLL);
  const IntVec<T> above = (IntVec<T>)((Bits<T>)x - (Bits<T>)splat<IntOf<T>>(root_half));
  const IntVec<T> n = above >> mantissa;
  const IntVec<T> m = (above & ((IntOf<T>{1} << mantissa) - 1)) + root_half;
  static_assert(one > root_half);
  return {n, (Vec<T>)m - static_cast<T>(1)};
}
template <typename T>
inline Vec<T> log_edges(Vec<T> x, Vec<T> result) noexcept {
  result = select<T>(x == kInfinity<T>, x, result);
  result = select<T>(x == 0, splat<T>(-kInfinity<T>), result);
  return select<T>(x >= 0, result, splat<T>(kNan<T>));
}
template <typename T>
inline Vec<T> log(Vec<T> x) noexcept {
  constexpr int lift = Format<T>::mantissa + 1;
  const T least = sizeof(T) == 4 ? static_cast<T>(__FLT_MIN__) : static_cast<T>(__DBL_MIN__);
  const IntVec<T> denormal = x < least;
  const Vec<T> lifted = select<T>(denormal, x * static_cast<T>(int64_t{1} << lift), x);
  const LogParts<T> part = split_mantissa<T>(lifted);
  const IntVec<T> n = part.n - (denormal & static_cast<IntOf<T>>(lift));
  return log_edges<T>(x, log_of_parts(part.f, to_real<T>(n)));
}
template <typename T>
inline Vec<T> log1p(Vec<T> x) noexcept {
  const Vec<T> u = x + static_cast<T>(1);
  const Vec<T> back = u - static_cast<T>(1);
  const Vec<T> lost = (static_cast<T>(1) - (u - back)) + (x - back);  // u + lost = 1 + x exactly
  const LogParts<T> part = split_mantissa<T>(u);
  // Of a large u nothing that matters is lost, and 2^-n may not exist.
  const Vec<T> f = part.f + select<T>(u < kRounder<T>, lost * power_of_two<T>(-part.n), Vec<T>{});
  const Vec<T> result = log_edges<T>(u, log_of_parts(f, to_real<T>(part.n)));
  return select<T>(absolute<T>(x) < kTiny<T>, x, result);
}

template <typename T>
inline Vec<T> tanh(Vec<T> x) noexcept {
  // (e - 1) / (e + 1) with e = exp(2 |x|); beyond the bound the quotient rounds to 1.
  constexpr T bound = static_cast<T>(sizeof(T) == 4 ? 10 : 20);
  const Vec<T> size = absolute<T>(x);
  const Vec<T> e = expm1<T>(select<T>(size > bound, splat<T>(bound), size) * static_cast<T>(2));
  return copy_sign<T>(e / (e + static_cast<T>(2)), x);
}
template <typename T>
inline Vec<T> sigmoid(Vec<T> x) noexcept {
  const Vec<T> e = exp<T>(-absolute<T>(x));
  return select<T>(x < 0, e, splat<T>(1)) / (e + static_cast<T>(1));
}
// log(1 + e) for e in [0, 1], where log1p would look for an exponent in vain.
inline Vec<float> log1p_of_unit(Vec<float> e) noexcept {
  const Vec<float> s = e / (e + 2.0f);  // as in log_of_parts for double
  const Vec<float> s2 = s * s;
  const Vec<float> p = polynomial<float>(  // 2^-35
      s2,
      {0.6666666665f, 0.4000001077f, 0.2857030572f, 0.2226471121f, 0.1746470247f, 0.2078761686f});
  return e - s * (e - s2 * p);
}
inline Vec<double> log1p_of_unit(Vec<double> e) noexcept { return log1p<double>(e); }
// log(1 + exp(x))
template <typename T>
inline Vec<T> softplus(Vec<T> x) noexcept {
  const Vec<T> positive = select<T>(x <= 0, splat<T>(0), x);
  return positive + log1p_of_unit(exp<T>(-absolute<T>(x)));
}

inline Vec<float> erf_of(Vec<float> x) noexcept {
  const Vec<float> size = absolute<float>(x);
  const Vec<float> square = size * size;
  const Vec<float> low = polynomial<float>(  // erf(x) / x - 1 on [0, 1], 2^-34
      square, {0.1283791671f, -0.3761263847f, 0.112837825f, -0.02686543073f, 0.005221031808f,
               -0.0008484080406f, 0.0001126595903f, -9.667044571e-6f});
  const Vec<float> capped = select<float>(size > 4.0f, splat(4.0f), size);
  const Vec<float> high = polynomial<float>(  // -log(erfc(x)) on [1, 4], 2^-30
      capped, {-0.0003214710264f, 1.130239201f, 0.6318156996f, 0.1100901975f, -0.02642704377f,
               0.004761717236f, -0.0005972644331f, 4.611291391e-5f, -1.639938016e-6f});
  const Vec<float> far = 1.0f - exp<float>(-high);
  return copy_sign<float>(select<float>(size < 1.0f, fma(size, low, size), far), x);
}
inline Vec<double> erf_of(Vec<double> x) noexcept {
  return each_lane<double>(x, [](double lane) { return __builtin_erf(lane); });
}
template <typename T>
inline Vec<T> erf(Vec<T> x) noexcept {
  return erf_of(x);
}
template <typename T>
inline Vec<T> sin(Vec<T> x) noexcept {
  return each_lane<T>(x, [](T lane) {
    if constexpr (sizeof(T) == 4)
      return __builtin_sinf(lane);
    else
      return __builtin_sin(lane);
  });
}
template <typename T>
inline Vec<T> cos(Vec<T> x) noexcept {
  return each_lane<T>(x, [](T lane) {
    if constexpr (sizeof(T) == 4)
      return __builtin_cosf(lane);
    else
      return __builtin_cos(lane);
  });
}
template <typename T>
inline Vec<T> power(Vec<T> x, Vec<T> y) noexcept {
  for (int64_t i = 0; i < kLanes<T>; ++i) {
    if constexpr (sizeof(T) == 4)
      x[i] = __builtin_powf(x[i], y[i]);
    else
      x[i] = __builtin_pow(x[i], y[i]);
  }
  return x;
}
}  // namespace chainrule::CHAINRULE_ISA
