// Elementwise kernels on each instruction set against a scalar oracle in double: sizes around the
// width of a vector, misaligned, in place, in tiles, and special values.
#include "support.h"

using namespace chainrule;
using namespace chainrule::test;

namespace {

using Oracle = double (*)(double);
using BinaryOracle = double (*)(double, double);

struct UnaryCase {
  const char* operation;
  Oracle oracle;
  double units;  // largest error of float and of double
};
struct BinaryCase {
  const char* operation;
  BinaryOracle oracle;
  double units;
};

double sign(double x) { return x > 0 ? 1.0 : x < 0 ? -1.0 : x == 0 ? 0.0 : x; }
double sigmoid(double x) {
  return static_cast<double>(1.0L / (1.0L + std::exp(-static_cast<long double>(x))));
}
double softplus(double x) {
  if (std::isnan(x)) return x;
  const long double wide = x;
  return static_cast<double>(std::fmax(wide, 0.0L) + std::log1p(std::exp(-std::fabs(wide))));
}
double greater(double a, double b) { return a > b || a != a ? a : b; }
double lesser(double a, double b) { return a < b || a != a ? a : b; }

const UnaryCase unary_cases[] = {
    {"negative", [](double x) { return -x; }, 0},
    {"absolute", [](double x) { return std::fabs(x); }, 0},
    {"sign", sign, 0},
    {"square", [](double x) { return x * x; }, 0.51},
    {"sqrt", [](double x) { return std::sqrt(x); }, 0.51},
    {"reciprocal", [](double x) { return 1 / x; }, 0.51},
    {"exp", [](double x) { return std::exp(x); }, 2},
    {"expm1", [](double x) { return std::expm1(x); }, 2.5},
    {"log", [](double x) { return std::log(x); }, 2},
    {"log1p", [](double x) { return std::log1p(x); }, 2},
    {"tanh", [](double x) { return std::tanh(x); }, 3},
    {"sigmoid", sigmoid, 2.5},
    {"softplus", softplus, 2.5},
    {"erf", [](double x) { return std::erf(x); }, 2},
    {"relu", [](double x) { return x <= 0 ? 0 : x; }, 0},
    {"sin", [](double x) { return std::sin(x); }, 2},
    {"cos", [](double x) { return std::cos(x); }, 2},
    {"floor", [](double x) { return std::floor(x); }, 0},
};

const BinaryCase binary_cases[] = {
    {"add", [](double a, double b) { return a + b; }, 0.51},
    {"subtract", [](double a, double b) { return a - b; }, 0.51},
    {"multiply", [](double a, double b) { return a * b; }, 0.51},
    {"divide", [](double a, double b) { return a / b; }, 0.51},
    {"power", [](double a, double b) { return std::pow(a, b); }, 2},
    {"maximum", greater, 0},
    {"minimum", lesser, 0},
    {"relu_gradient", [](double g, double y) { return y > 0 ? g : 0; }, 0},
};

template <typename T>
bool agrees(Array& got, const std::vector<double>& want, double units,
            const std::string& operation) {
  for (size_t i = 0; i < want.size(); ++i) {
    const double apart = units_apart<T>(got.data<T>()[i], want[i]);
    if (apart <= units) continue;
    std::fprintf(stderr, "%s[%zu]: %.17g, expected %.17g (%g units)\n", operation.c_str(), i,
                 static_cast<double>(got.data<T>()[i]), want[i], apart);
    return false;
  }
  return got.guarded();
}

template <typename T>
void check_unary(const KernelTable& table, const UnaryCase& c, int64_t n, int64_t shift) {
  const std::vector<T> x = awkward_values<T>(n, static_cast<uint64_t>(n) + 1);
  std::vector<double> want;
  for (const T value : x) want.push_back(c.oracle(static_cast<double>(value)));
  Array input({n}, x, shift * static_cast<int64_t>(sizeof(T)));
  Array out(dtype_of<T>(), {n}, 3 * shift * static_cast<int64_t>(sizeof(T)));
  CHECK(run_call(table, {c.operation, {&input}, {&out}}));
  CHECK(agrees<T>(out, want, c.units, c.operation));
  CHECK(run_call(table, {c.operation, {&input}, {&input}}, 7));
  CHECK(agrees<T>(input, want, c.units, c.operation));
}

template <typename T>
void check_binary(const KernelTable& table, const BinaryCase& c, int64_t n, int64_t shift) {
  const std::vector<T> a = awkward_values<T>(n, static_cast<uint64_t>(n) + 1);
  std::vector<T> b = awkward_values<T>(n, static_cast<uint64_t>(n) + 77);
  for (size_t i = 0; i + 16 < b.size(); i += 5) b[i] = b[i + 16];  // specials meet ordinary numbers
  std::vector<double> want;
  for (size_t i = 0; i < a.size(); ++i) {
    want.push_back(c.oracle(static_cast<double>(a[i]), static_cast<double>(b[i])));
  }
  const int64_t bytes = shift * static_cast<int64_t>(sizeof(T));
  Array left({n}, a, bytes), right({n}, b), out(dtype_of<T>(), {n}, bytes);
  CHECK(run_call(table, {c.operation, {&left, &right}, {&out}}));
  CHECK(agrees<T>(out, want, c.units, c.operation));
  Array second = right;
  CHECK(run_call(table, {c.operation, {&left, &second}, {&second}}));
  CHECK(agrees<T>(second, want, c.units, c.operation));
  CHECK(run_call(table, {c.operation, {&left, &right}, {&left}}, 5));
  CHECK(agrees<T>(left, want, c.units, c.operation));
}

// g (1 - y^2) and g y (1 - y): the difference from the oracle is absolute, as 1 - y cancels.
template <typename T>
void check_activation_gradients(const KernelTable& table, int64_t n) {
  const std::vector<T> g = plain_values<T>(n, 1), y = plain_values<T>(n, 2, -1.0, 1.0);
  Array left({n}, g), right({n}, y), out(dtype_of<T>(), {n});
  const double tolerance = 8.0 * static_cast<double>(std::numeric_limits<T>::epsilon());
  CHECK(run_call(table, {"tanh_gradient", {&left, &right}, {&out}}));
  for (size_t i = 0; i < g.size(); ++i) {
    const double a = static_cast<double>(g[i]), b = static_cast<double>(y[i]);
    CHECK_NEAR(static_cast<double>(out.data<T>()[i]), a * (1 - b * b), tolerance);
  }
  CHECK(run_call(table, {"sigmoid_gradient", {&left, &right}, {&out}}));
  for (size_t i = 0; i < g.size(); ++i) {
    const double a = static_cast<double>(g[i]), b = static_cast<double>(y[i]);
    CHECK_NEAR(static_cast<double>(out.data<T>()[i]), a * b * (1 - b), tolerance);
  }
}

template <typename T>
void check_scale_and_offset(const KernelTable& table, int64_t n) {
  std::vector<T> x;
  for (int64_t i = 0; i < n; ++i) x.push_back(static_cast<T>(i - n / 2));
  Array input({n}, x), out(dtype_of<T>(), {n});
  CHECK(run_call(table, {"scale", {&input}, {&out}, {{"factor", -3.0}}}));
  for (size_t i = 0; i < x.size(); ++i) CHECK(out.data<T>()[i] == x[i] * T(-3));
  CHECK(run_call(table, {"offset", {&input}, {&out}, {{"amount", 7.0}}}));
  for (size_t i = 0; i < x.size(); ++i) CHECK(out.data<T>()[i] == x[i] + T(7));
  CHECK(out.guarded());
}

template <typename T>
void check_integers(const KernelTable& table, int64_t n) {
  std::vector<T> a, b;
  for (int64_t i = 0; i < n; ++i) {
    a.push_back(static_cast<T>(i * 7 % 23 - 11));
    b.push_back(static_cast<T>(i * 5 % 19 - 9));
  }
  Array left({n}, a), right({n}, b), out(dtype_of<T>(), {n});
  const auto holds = [&](const char* operation, bool one_argument, auto oracle) {
    Invocation call{operation, {&left}, {&out}};
    if (!one_argument) call.arguments.push_back(&right);
    CHECK(run_call(table, call, 3));
    for (size_t i = 0; i < a.size(); ++i) CHECK(out.data<T>()[i] == oracle(a[i], b[i]));
  };
  holds("negative", true, [](T x, T) { return -x; });
  holds("absolute", true, [](T x, T) { return x < 0 ? -x : x; });
  holds("sign", true, [](T x, T) { return T((x > 0) - (x < 0)); });
  holds("square", true, [](T x, T) { return x * x; });
  holds("add", false, [](T x, T y) { return x + y; });
  holds("subtract", false, [](T x, T y) { return x - y; });
  holds("multiply", false, [](T x, T y) { return x * y; });
  holds("maximum", false, [](T x, T y) { return x > y ? x : y; });
  holds("minimum", false, [](T x, T y) { return x < y ? x : y; });
  CHECK(out.guarded());
}

// Overflow wraps.
template <typename T>
void check_wrapping(const KernelTable& table) {
  constexpr T low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
  Array least({1}, std::vector<T>{low}), greatest({1}, std::vector<T>{high});
  Array out(dtype_of<T>(), {1});
  const auto gives = [&](const Invocation& call, T want) {
    CHECK(run_call(table, call) && out.data<T>()[0] == want);
  };
  gives({"negative", {&least}, {&out}}, low);
  gives({"absolute", {&least}, {&out}}, low);
  gives({"square", {&least}, {&out}}, 0);
  gives({"add", {&greatest, &greatest}, {&out}}, -2);
  gives({"subtract", {&greatest, &least}, {&out}}, -1);
  gives({"multiply", {&greatest, &greatest}, {&out}}, 1);
  gives({"scale", {&greatest}, {&out}, {{"factor", 2.0}}}, -2);
  gives({"offset", {&greatest}, {&out}, {{"amount", 1.0}}}, low);
}

template <typename T>
void check_comparisons(const KernelTable& table, int64_t n) {
  std::vector<T> a, b;
  for (int64_t i = 0; i < n; ++i) {
    a.push_back(static_cast<T>(i * 7 % 5));
    b.push_back(static_cast<T>(i * 3 % 5));
    if constexpr (std::is_floating_point_v<T>) {
      if (i % 11 == 3) a.back() = std::numeric_limits<T>::quiet_NaN();
      if (i % 11 == 3) b.back() = a.back();
      if (i % 13 == 2) a.back() = -T(0), b.back() = T(0);
    }
  }
  Array left({n}, a, static_cast<int64_t>(sizeof(T))), right({n}, b), out(DType::boolean, {n}, 1);
  const auto holds = [&](const char* operation, auto oracle) {
    CHECK(run_call(table, {operation, {&left, &right}, {&out}}));
    for (size_t i = 0; i < a.size(); ++i) CHECK(out.data<uint8_t>()[i] == oracle(a[i], b[i]));
    CHECK(out.guarded());
  };
  holds("equal", [](T x, T y) { return x == y; });
  holds("less", [](T x, T y) { return x < y; });
  holds("less_equal", [](T x, T y) { return x <= y; });
}

template <typename T>
void check_where(const KernelTable& table, int64_t n) {
  std::vector<bool> condition;
  std::vector<T> a, b;
  for (int64_t i = 0; i < n; ++i) {
    condition.push_back(i % 3 == 0);
    a.push_back(static_cast<T>(i % 100));
    b.push_back(static_cast<T>(100 - i % 100));
  }
  Array c({n}, condition), left({n}, a), right({n}, b, static_cast<int64_t>(sizeof(T)));
  CHECK(run_call(table, {"where", {&c, &left, &right}, {&right}}, 9));
  for (size_t i = 0; i < a.size(); ++i) CHECK(right.data<T>()[i] == (condition[i] ? a[i] : b[i]));
  CHECK(right.guarded());
}

void check_booleans(const KernelTable& table, int64_t n) {
  std::vector<bool> a, b;
  for (int64_t i = 0; i < n; ++i) {
    a.push_back(i % 2 == 0);
    b.push_back(i % 3 == 0);
  }
  Array left({n}, a), right({n}, b), out(DType::boolean, {n}, 1);
  const auto at = [&](size_t i) { return out.data<uint8_t>()[i]; };
  CHECK(run_call(table, {"logical_and", {&left, &right}, {&out}}));
  for (size_t i = 0; i < a.size(); ++i) CHECK(at(i) == (a[i] && b[i]));
  CHECK(run_call(table, {"logical_or", {&left, &right}, {&out}}));
  for (size_t i = 0; i < a.size(); ++i) CHECK(at(i) == (a[i] || b[i]));
  CHECK(run_call(table, {"logical_not", {&left}, {&out}}));
  for (size_t i = 0; i < a.size(); ++i) CHECK(at(i) == !a[i]);
  CHECK(out.guarded());
}

template <typename From, typename To>
void check_cast(const KernelTable& table, int64_t n) {
  using Stored = std::conditional_t<std::is_same_v<From, bool>, uint8_t, From>;
  using Result = std::conditional_t<std::is_same_v<To, bool>, uint8_t, To>;
  std::vector<From> x;
  for (int64_t i = 0; i < n; ++i) {
    const double value =
        static_cast<double>(i % 200) * (std::is_floating_point_v<From> ? 0.75 : 1.0);
    x.push_back(static_cast<From>(std::is_same_v<To, uint8_t> || i % 2 == 0 ? value : -value));
  }
  Array input({n}, x), out(dtype_of<To>(), {n}, static_cast<int64_t>(sizeof(Result)));
  CHECK(run_call(table, {"cast", {&input}, {&out}}, 50));
  for (size_t i = 0; i < x.size(); ++i) {
    CHECK(out.data<Result>()[i] == static_cast<Result>(static_cast<To>(input.data<Stored>()[i])));
  }
  CHECK(out.guarded());
}
template <typename From>
void check_casts_from(const KernelTable& table, int64_t n) {
  check_cast<From, float>(table, n);
  check_cast<From, double>(table, n);
  check_cast<From, int32_t>(table, n);
  check_cast<From, int64_t>(table, n);
  check_cast<From, uint8_t>(table, n);
  check_cast<From, bool>(table, n);
}

template <typename T>
void check_finite(const KernelTable& table, int64_t n) {
  std::vector<T> x = plain_values<T>(n * 5, 3);
  x.front() = std::numeric_limits<T>::max();
  x.back() = std::numeric_limits<T>::denorm_min();
  Array input({n, 5}, x), out(dtype_of<T>(), {n, 5}), flags(DType::boolean, {n, 5});
  Status status;
  CHECK(run_call(table, {"require_finite", {&input}, {&out}, {{"code", 9.0}}}, 8, &status));
  CHECK(status.fault == 0 && out.guarded());
  CHECK(std::memcmp(input.raw(), out.raw(), x.size() * sizeof(T)) == 0);
  const T bad[] = {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity(),
                   -std::numeric_limits<T>::infinity()};
  for (int64_t row = 0; row < n; ++row) {
    Array wrong = input;
    wrong.data<T>()[row * 5 + row % 5] = bad[row % 3];
    Status seen;
    CHECK(run_call(table, {"require_finite", {&wrong}, {&wrong}, {{"code", 9.0}}}, 8, &seen));
    CHECK(seen.fault == ((static_cast<uint64_t>(row) << 16) | 9) + 1);
    CHECK(run_call(table, {"is_finite", {&wrong}, {&flags}}));
    for (int64_t i = 0; i < n * 5; ++i) {
      CHECK(flags.data<uint8_t>()[i] == (i != row * 5 + row % 5));
    }
  }
}

template <typename T>
void check_range(const KernelTable& table, int64_t n) {
  std::vector<T> x;
  for (int64_t i = 0; i < n; ++i) x.push_back(static_cast<T>(i % 10));
  Array input({n}, x), out(dtype_of<T>(), {n});
  const auto fault = [&](Array& values) {
    Status status;
    CHECK(run_call(
        table, {"require_range", {&values}, {&out}, {{"low", 0.0}, {"high", 10.0}, {"code", 4.0}}},
        6, &status));
    return status.fault;
  };
  CHECK(fault(input) == 0 && out.guarded());
  CHECK(std::memcmp(input.raw(), out.raw(), x.size() * sizeof(T)) == 0);
  std::vector<T> bad = {static_cast<T>(10), static_cast<T>(100), static_cast<T>(-1)};
  if constexpr (std::is_floating_point_v<T>) {
    bad.push_back(T(2.5));
    bad.push_back(std::numeric_limits<T>::quiet_NaN());
  }
  for (int64_t row = 0; row < n; ++row) {
    Array wrong = input;
    wrong.data<T>()[row] = bad[static_cast<size_t>(row) % bad.size()];
    CHECK(fault(wrong) == ((static_cast<uint64_t>(row) << 16) | 4) + 1);
  }
}

template <typename T>
void check_floats(const KernelTable& table, int64_t n) {
  for (const int64_t shift : {0, 1}) {
    for (const UnaryCase& c : unary_cases) check_unary<T>(table, c, n, shift);
    for (const BinaryCase& c : binary_cases) check_binary<T>(table, c, n, shift);
  }
  check_activation_gradients<T>(table, n);
  check_scale_and_offset<T>(table, n);
  check_comparisons<T>(table, n);
  check_where<T>(table, n);
  check_casts_from<T>(table, n);
}
template <typename T>
void check_whole_numbers(const KernelTable& table, int64_t n) {
  check_integers<T>(table, n);
  check_scale_and_offset<T>(table, n);
  check_comparisons<T>(table, n);
  check_where<T>(table, n);
  check_casts_from<T>(table, n);
}

void check_set(const KernelTable& table) {
  for (const int64_t n : test_sizes()) {
    check_floats<float>(table, n);
    check_floats<double>(table, n);
    check_whole_numbers<int32_t>(table, n);
    check_whole_numbers<int64_t>(table, n);
    check_comparisons<uint8_t>(table, n);
    check_where<uint8_t>(table, n);
    check_casts_from<uint8_t>(table, n);
    check_casts_from<bool>(table, n);
    check_booleans(table, n);
  }
  check_wrapping<int32_t>(table);
  check_wrapping<int64_t>(table);
  check_finite<float>(table, 37);
  check_finite<double>(table, 37);
  check_range<float>(table, 41);
  check_range<double>(table, 41);
  check_range<int32_t>(table, 41);
  check_range<int64_t>(table, 41);
  check_range<uint8_t>(table, 41);
}

}  // namespace

int main() {
  for_each_set(check_set);
  return check_result();
}
