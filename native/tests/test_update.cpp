// Optimizer updates on each instruction set against their formulas in double, in place and not.
#include "support.h"

using namespace chainrule;
using namespace chainrule::test;

namespace {

// Weights, gradient and two moments (the second not negative), and a rate.
template <typename T>
struct State {
  Array w, g, m, v, rate, one;
  State(int64_t n, int64_t shift)
      : w({n, 3}, plain_values<T>(n * 3, 1), shift * size),
        g({n, 3}, plain_values<T>(n * 3, 2, -1e-2, 1e-2), shift * size),
        m({n, 3}, plain_values<T>(n * 3, 3, -1e-2, 1e-2)),
        v({n, 3}, plain_values<T>(n * 3, 4, 0.0, 1e-4), shift * size),
        rate({}, std::vector<T>{T(0.01)}),
        one({}, std::vector<T>{T(1)}) {
    make_awkward(n * 3);
  }

 private:
  static constexpr int64_t size = static_cast<int64_t>(sizeof(T));
  // No moments and no gradient yet, denormal ones, and values whose square overflows.
  void make_awkward(int64_t n) {
    using Limits = std::numeric_limits<T>;
    const T gradients[] = {T(0), T(0), Limits::denorm_min(), Limits::max(), Limits::quiet_NaN()};
    const T spreads[] = {T(0), Limits::denorm_min(), Limits::min(), T(1), T(1)};
    for (int64_t i = 0; i < 5 && i + 2 < n; ++i) {
      g.data<T>()[i] = gradients[i];
      m.data<T>()[i] = T(0);
      v.data<T>()[i] = spreads[i];
    }
  }
};

template <typename T>
double at(Array& array, int64_t i) {
  return static_cast<double>(array.data<T>()[i]);
}
// Within a few roundings of numbers as large as `size`.
template <typename T>
void check_close(Array& got, int64_t i, double want, double size) {
  if (std::isfinite(want) && std::fabs(want) > static_cast<double>(std::numeric_limits<T>::max())) {
    want = std::copysign(std::numeric_limits<double>::infinity(), want);
  }
  const double units = 4.0 * static_cast<double>(std::numeric_limits<T>::epsilon());
  CHECK_NEAR(at<T>(got, i), want,
             units * size + static_cast<double>(std::numeric_limits<T>::denorm_min()));
}

template <typename T>
void check_sgd(const KernelTable& table, int64_t n, bool in_place) {
  State<T> s(n, 1);
  Array w(s.w), out(dtype_of<T>(), {n, 3});
  Array& result = in_place ? w : out;
  CHECK(run_call(table,
                 {"sgd_update", {&w, &s.g, &s.rate, &s.one, &s.one}, {&result}, {}, {2, 3, 4}}, 4));
  for (int64_t i = 0; i < n * 3; ++i) {
    const double step = at<T>(s.rate, 0) * at<T>(s.g, i);
    check_close<T>(result, i, at<T>(s.w, i) - step, std::fabs(at<T>(s.w, i)) + std::fabs(step));
  }
  CHECK(result.guarded());
}

template <typename T>
void check_momentum(const KernelTable& table, int64_t n, bool in_place, bool nesterov) {
  State<T> s(n, 0);
  Array w(s.w), v(s.m), w_out(dtype_of<T>(), {n, 3}), v_out(dtype_of<T>(), {n, 3});
  Array& w_new = in_place ? w : w_out;
  Array& v_new = in_place ? v : v_out;
  CHECK(run_call(table,
                 {"momentum_update",
                  {&w, &s.g, &v, &s.rate, &s.one, &s.one},
                  {&w_new, &v_new},
                  {{"momentum", 0.9}, {"nesterov", nesterov ? 1.0 : 0.0}},
                  {3, 4, 5}},
                 4));
  for (int64_t i = 0; i < n * 3; ++i) {
    const double momentum = static_cast<double>(T(0.9)), step = at<T>(s.rate, 0) * at<T>(s.g, i);
    const double velocity = momentum * at<T>(s.m, i) - step;
    const double move = nesterov ? momentum * velocity - step : velocity;
    check_close<T>(v_new, i, velocity, std::fabs(step) + std::fabs(at<T>(s.m, i)));
    check_close<T>(w_new, i, at<T>(s.w, i) + move,
                   std::fabs(at<T>(s.w, i)) + std::fabs(step) + std::fabs(at<T>(s.m, i)));
  }
  CHECK(w_new.guarded() && v_new.guarded());
}

template <typename T>
struct AdamResult {
  Array& w;
  Array& m;
  Array& v;
};
template <typename T>
void compare_adam(State<T>& s, AdamResult<T> got, int64_t n) {
  const double epsilon = static_cast<double>(T(1e-7));
  for (int64_t i = 0; i < n; ++i) {
    const double g = at<T>(s.g, i), m = at<T>(s.m, i), v = at<T>(s.v, i);
    const double m_new = m + (g - m) * static_cast<double>(T(1.0 - 0.9));
    const double v_new = v + (g * g - v) * static_cast<double>(T(1.0 - 0.999));
    check_close<T>(got.m, i, m_new, std::fabs(g) + std::fabs(m));
    if (std::isfinite(g) && g * g > static_cast<double>(std::numeric_limits<T>::max())) {
      CHECK(std::isinf(at<T>(got.v, i)) && at<T>(got.w, i) == at<T>(s.w, i));
      continue;
    }
    check_close<T>(got.v, i, v_new, g * g + v);
    const double step = at<T>(s.rate, 0) * m_new / (std::sqrt(v_new) + epsilon);
    check_close<T>(got.w, i, at<T>(s.w, i) - step, std::fabs(at<T>(s.w, i)) + 2 * std::fabs(step));
  }
}
template <typename T>
void check_adam(const KernelTable& table, int64_t n, bool in_place, int64_t shift) {
  State<T> s(n, shift);
  Array w(s.w), m(s.m), v(s.v);
  Array w_out(dtype_of<T>(), {n, 3}), m_out(dtype_of<T>(), {n, 3}), v_out(dtype_of<T>(), {n, 3});
  AdamResult<T> out = in_place ? AdamResult<T>{w, m, v} : AdamResult<T>{w_out, m_out, v_out};
  CHECK(run_call(table,
                 {"adam_update",
                  {&w, &s.g, &m, &v, &s.rate, &s.one, &s.one},
                  {&out.w, &out.m, &out.v},
                  {{"beta_1", 0.9}, {"beta_2", 0.999}, {"epsilon", 1e-7}},
                  {4, 5, 6}},
                 5));
  compare_adam<T>(s, out, n * 3);
  CHECK(out.w.guarded() && out.m.guarded() && out.v.guarded());
}

template <typename T>
void check_type(const KernelTable& table, int64_t n) {
  for (const bool in_place : {false, true}) {
    check_sgd<T>(table, n, in_place);
    check_momentum<T>(table, n, in_place, false);
    check_momentum<T>(table, n, in_place, true);
    check_adam<T>(table, n, in_place, 0);
    check_adam<T>(table, n, in_place, 1);
  }
}

}  // namespace

int main() {
  for_each_set([](const KernelTable& table) {
    for (const int64_t n : test_sizes()) {
      check_type<float>(table, n);
      check_type<double>(table, n);
    }
  });
  return check_result();
}
