// Operations on each element by itself: every operand is tiled and has the shape of the output. The
// output may be the same array as an argument of its type. NaN goes through as in NumPy.
#include "elementwise.h"

#include "vec_math.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

// Integers as unsigned ones, whose overflow is defined: they wrap, as in NumPy.
template <typename T>
auto wrapping(Vec<T> x) noexcept {
  if constexpr (std::is_floating_point_v<T>) {
    return x;
  } else {
    return (Vec<std::make_unsigned_t<T>>)x;
  }
}
template <typename T>
Vec<T> negated(Vec<T> x) noexcept {
  return (Vec<T>)(-wrapping<T>(x));
}
template <typename T>
Vec<T> product(Vec<T> a, Vec<T> b) noexcept {
  return (Vec<T>)(wrapping<T>(a) * wrapping<T>(b));
}
template <typename T>
Vec<T> magnitude(Vec<T> x) noexcept {
  if constexpr (std::is_floating_point_v<T>) {
    return absolute<T>(x);
  } else {
    return select<T>(x < 0, negated<T>(x), x);
  }
}
template <typename T>
Vec<T> sign_of(Vec<T> x) noexcept {  // +0 for -0, NaN for NaN
  const Vec<T> rest = x + static_cast<T>(0);
  return select<T>(x > 0, splat<T>(1), select<T>(x < 0, splat<T>(-1), rest));
}
// The one that is NaN if either is.
template <typename T>
Vec<T> greater(Vec<T> a, Vec<T> b) noexcept {
  return select<T>((a > b) | (a != a), a, b);
}
template <typename T>
Vec<T> lesser(Vec<T> a, Vec<T> b) noexcept {
  return select<T>((a < b) | (a != a), a, b);
}

}  // namespace

CHAINRULE_UNARY(negative, numbers, negated<T>(x))
CHAINRULE_UNARY(absolute, numbers, magnitude<T>(x))
CHAINRULE_UNARY(sign, numbers, sign_of<T>(x))
CHAINRULE_UNARY(square, numbers, product<T>(x, x))
CHAINRULE_UNARY(sqrt, floats, sqrt(x))
CHAINRULE_UNARY(reciprocal, floats, static_cast<T>(1) / x)
CHAINRULE_UNARY(exp, floats, exp<T>(x))
CHAINRULE_UNARY(expm1, floats, expm1<T>(x))
CHAINRULE_UNARY(log, floats, log<T>(x))
CHAINRULE_UNARY(log1p, floats, log1p<T>(x))
CHAINRULE_UNARY(tanh, floats, tanh<T>(x))
CHAINRULE_UNARY(sigmoid, floats, sigmoid<T>(x))
CHAINRULE_UNARY(softplus, floats, softplus<T>(x))
CHAINRULE_UNARY(erf, floats, erf<T>(x))
CHAINRULE_UNARY(relu, floats, select<T>(x <= 0, splat<T>(0), x))
CHAINRULE_UNARY(sin, floats, sin<T>(x))
CHAINRULE_UNARY(cos, floats, cos<T>(x))
CHAINRULE_UNARY(floor, floats, floor(x))
CHAINRULE_UNARY(logical_not, booleans, x ^ static_cast<T>(1))

CHAINRULE_BINARY(add, numbers, (Vec<T>)(wrapping<T>(a) + wrapping<T>(b)))
CHAINRULE_BINARY(subtract, numbers, (Vec<T>)(wrapping<T>(a) - wrapping<T>(b)))
CHAINRULE_BINARY(multiply, numbers, product<T>(a, b))
CHAINRULE_BINARY(divide, floats, a / b)
CHAINRULE_BINARY(power, floats, power<T>(a, b))
CHAINRULE_BINARY(maximum, numbers, greater<T>(a, b))
CHAINRULE_BINARY(minimum, numbers, lesser<T>(a, b))
CHAINRULE_BINARY(logical_and, booleans, (a & b))
CHAINRULE_BINARY(logical_or, booleans, (a | b))
// The gradients take g and the output y of the function.
CHAINRULE_BINARY(relu_gradient, floats, select<T>(b > 0, a, splat<T>(0)))
CHAINRULE_BINARY(tanh_gradient, floats, (a * (static_cast<T>(1) - b * b)))
CHAINRULE_BINARY(sigmoid_gradient, floats, a * b * (static_cast<T>(1) - b))

CHAINRULE_COMPARISON(equal, a == b)
CHAINRULE_COMPARISON(less, a < b)
CHAINRULE_COMPARISON(less_equal, a <= b)

namespace {

struct Scale {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const auto factor = wrapping<T>(splat<T>(static_cast<T>(call.reals[0])));
    map_unary<T>(call, tile, [=](Vec<T> x) { return (Vec<T>)(wrapping<T>(x) * factor); });
  }
};
struct Offset {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const auto amount = wrapping<T>(splat<T>(static_cast<T>(call.reals[0])));
    map_unary<T>(call, tile, [=](Vec<T> x) { return (Vec<T>)(wrapping<T>(x) + amount); });
  }
};

struct IsFinite {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const T* x = argument<T>(tile, 0);
    uint8_t* y = output<uint8_t>(call, tile);
    const int64_t n = tile_size(call, tile, 0);
    CHAINRULE_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) y[i] = x[i] - x[i] == 0;
  }
};

struct Where {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const uint8_t* condition = argument<uint8_t>(tile, 0);
    const T* a = argument<T>(tile, 1);
    const T* b = argument<T>(tile, 2);
    T* y = output<T>(call, tile);
    const int64_t n = tile_size(call, tile, 0);
    CHAINRULE_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) y[i] = condition[i] ? a[i] : b[i];
  }
};

// A boolean is a byte that is 0 or 1; a type of its own, as casting to it is not casting to a byte.
enum class Boolean : uint8_t {};

template <typename To, typename From>
To convert(From x) noexcept {
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else if constexpr (std::is_same_v<From, Boolean>) {
    return static_cast<To>(static_cast<uint8_t>(x));
  } else if constexpr (std::is_same_v<To, Boolean>) {
    return static_cast<Boolean>(x != 0);
  } else if constexpr (std::is_same_v<To, uint8_t> && std::is_floating_point_v<From>) {
    return static_cast<uint8_t>(static_cast<int32_t>(x));  // -1 to 255, as C compilers do for NumPy
  } else {
    return static_cast<To>(x);
  }
}

template <typename From>
struct CastFrom {
  template <typename To>
  static void run(const Call& call, const Tile& tile) noexcept {
    const From* x = argument<From>(tile, 0);
    To* y = output<To>(call, tile);
    const int64_t n = tile_size(call, tile, 0);
    CHAINRULE_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) y[i] = convert<To>(x[i]);
  }
};

// run<T> for the C++ type of `dtype`.
template <typename Loop>
Kernel loop_of(DType dtype) {
  switch (dtype) {
    case DType::f32: return Loop::template run<float>;
    case DType::f64: return Loop::template run<double>;
    case DType::i32: return Loop::template run<int32_t>;
    case DType::i64: return Loop::template run<int64_t>;
    case DType::u8: return Loop::template run<uint8_t>;
    default: return Loop::template run<Boolean>;
  }
}
Kernel cast_loop(DType from, DType to) {
  switch (from) {
    case DType::f32: return loop_of<CastFrom<float>>(to);
    case DType::f64: return loop_of<CastFrom<double>>(to);
    case DType::i32: return loop_of<CastFrom<int32_t>>(to);
    case DType::i64: return loop_of<CastFrom<int64_t>>(to);
    case DType::u8: return loop_of<CastFrom<uint8_t>>(to);
    default: return loop_of<CastFrom<Boolean>>(to);
  }
}

// Reports the first row with an element that is `bad`: of several, the smallest is kept anyhow.
template <typename T, typename Bad>
void report_row(const Call& call, const Tile& tile, Bad bad) noexcept {
  const T* x = argument<T>(tile, 0);
  const int64_t n = tile_size(call, tile, 0);
  for (int64_t i = 0; i < n; ++i) {
    if (!bad(x[i])) continue;
    tile.status->report(tile.begin + i / call.operand[0].row_size,
                        static_cast<int>(call.integers[0]));
    return;
  }
}

// One pass: x - x is +0, all bits unset, for a finite x only.
struct RequireFinite {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const T* x = argument<T>(tile, 0);
    T* y = output<T>(call, tile);
    const bool in_place = x == y;
    const int64_t n = tile_size(call, tile, 0);
    const auto seen = fold_vectors<T>(n, IntVec<T>{}, [=](auto at, int64_t i, IntVec<T> bits) {
      const Vec<T> v = at.load(x + i);
      if (!in_place) at.store(y + i, v);
      return bits | (IntVec<T>)(v - v);
    });
    if (any_bit<IntOf<T>>(seen)) report_row<T>(call, tile, [](T v) { return v - v != 0; });
  }
};

template <typename T>
bool out_of_range(const Call& call, T x) noexcept {
  if constexpr (std::is_floating_point_v<T>) {
    const double value = static_cast<double>(x);
    return !(value >= call.reals[0] && value < call.reals[1]) || value != __builtin_floor(value);
  } else {
    return x < call.integers[1] || x >= call.integers[2];
  }
}
struct RequireRange {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const T* x = argument<T>(tile, 0);
    T* y = output<T>(call, tile);
    const int64_t n = tile_size(call, tile, 0);
    bool bad = false;
    CHAINRULE_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) {
      bad |= out_of_range<T>(call, x[i]);
      y[i] = x[i];
    }
    if (bad) report_row<T>(call, tile, [&](T v) { return out_of_range<T>(call, v); });
  }
};

// The least integer not below x, kept within int64.
int64_t ceiling(double x) {
  if (x >= 9.2e18) return INT64_MAX;
  return x <= -9.2e18 ? INT64_MIN : static_cast<int64_t>(__builtin_ceil(x));
}

}  // namespace

Kernel prepare_scale(Call& call) {
  call.reals[0] = call.number("factor", 1.0);
  return numbers<Scale>(call);
}

Kernel prepare_offset(Call& call) {
  call.reals[0] = call.number("amount", 0.0);
  return numbers<Offset>(call);
}

Kernel prepare_is_finite(Call& call) { return floats<IsFinite>(call); }

Kernel prepare_where(Call& call) {
  switch (size_of(call.operand[1].dtype)) {
    case 1: return Where::run<uint8_t>;
    case 4: return Where::run<int32_t>;
    default: return Where::run<int64_t>;
  }
}

Kernel prepare_cast(Call& call) { return cast_loop(call.operand[0].dtype, call.output().dtype); }

Kernel prepare_require_finite(Call& call) {
  call.integers[0] = static_cast<int64_t>(call.number("code", 0.0));
  return floats<RequireFinite>(call);
}

Kernel prepare_require_range(Call& call) {
  call.reals[0] = call.number("low", -__builtin_inf());
  call.reals[1] = call.number("high", __builtin_inf());
  call.integers[0] = static_cast<int64_t>(call.number("code", 0.0));
  call.integers[1] = ceiling(call.reals[0]);
  call.integers[2] = ceiling(call.reals[1]);
  return all_types<RequireRange>(call);
}

}  // namespace chainrule::CHAINRULE_ISA
