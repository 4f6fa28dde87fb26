// The adaptive optimizers' rules on each instruction set against their formulas in long double, in
// place and not: within a few roundings, NaN where the gradient is NaN, and nothing written beside.
#include <algorithm>

#include "support.h"

using namespace chainrule;
using namespace chainrule::test;

namespace {

using Real = long double;
using Interval = std::pair<double, double>;

// x holds the weight, the gradient and the slots; c the scalars, then the numbers as the rule has
// them. The oracle leaves the outputs in x, where they replace all but the gradient.
using Oracle = void (*)(Real* x, const Real* c);

struct Rule {
  const char* operation;
  std::vector<Interval> slots;  // where the values of each slot lie
  std::vector<double> scalars;
  std::vector<std::pair<std::string, double>> attributes;
  std::vector<double> numbers;
  Oracle oracle;
  bool weighted = true;  // false: no weight, the gradient comes first and its place is written
  bool scaled = true;    // whether factors of weight and gradient are given behind the scalars
};

Real toward(Real mean, Real x, Real share) { return mean + (x - mean) * share; }
Real greatest(Real a, Real b) { return std::isnan(a) || a > b ? a : b; }
Real sign(Real x) { return x > 0 ? 1 : x < 0 ? -1 : x; }

const std::vector<std::pair<std::string, double>> betas = {{"beta_1", 0.9}, {"beta_2", 0.99}};
const auto moments = [] {
  auto all = betas;
  all.emplace_back("epsilon", 1e-3);
  return all;
}();
const std::vector<std::pair<std::string, double>> rms = {
    {"rho", 0.9}, {"epsilon", 1e-3}, {"momentum", 0.8}};
const std::vector<double> shares = {1.0 - 0.9, 1.0 - 0.99, 1e-3};
const Interval small = {-0.1, 0.1}, positive = {0.01, 1.0}, large = {0.5, 1.0};

void amsgrad(Real* x, const Real* c) {
  x[2] = toward(x[2], x[1], c[1]);
  x[3] = toward(x[3], x[1] * x[1], c[2]);
  x[4] = greatest(x[4], x[3]);
  x[0] -= c[0] * x[2] / (std::sqrt(x[4]) + c[3]);
}
void adamax(Real* x, const Real* c) {
  x[2] = toward(x[2], x[1], c[1]);
  x[3] = greatest(c[2] * x[3], std::fabs(x[1]));
  x[0] -= c[0] * x[2] / (x[3] + c[3]);
}
void nadam(Real* x, const Real* c) {
  x[2] = toward(x[2], x[1], c[3]);
  x[3] = toward(x[3], x[1] * x[1], c[4]);
  x[0] -= (c[0] * x[2] + c[1] * x[1]) / (std::sqrt(x[3]) + c[2]);
}
void lion(Real* x, const Real* c) {
  x[0] -= c[0] * sign(c[1] * x[2] + c[2] * x[1]);
  x[2] = toward(x[2], x[1], c[3]);
}
void rmsprop(Real* x, const Real* c) {
  x[2] = toward(x[2], x[1] * x[1], c[1]);
  x[0] -= c[0] * x[1] / std::sqrt(x[2] + c[2]);
}
void rmsprop_momentum(Real* x, const Real* c) {
  x[2] = toward(x[2], x[1] * x[1], c[1]);
  x[3] = c[3] * x[3] + c[0] * x[1] / std::sqrt(x[2] + c[2]);
  x[0] -= x[3];
}
void centered(Real* x, const Real* c) {
  x[2] = toward(x[2], x[1] * x[1], c[1]);
  x[3] = toward(x[3], x[1], c[1]);
  x[0] -= c[0] * x[1] / std::sqrt(x[2] - x[3] * x[3] + c[2]);
}
void centered_momentum(Real* x, const Real* c) {
  x[2] = toward(x[2], x[1] * x[1], c[1]);
  x[4] = toward(x[4], x[1], c[1]);
  x[3] = c[3] * x[3] + c[0] * x[1] / std::sqrt(x[2] - x[4] * x[4] + c[2]);
  x[0] -= x[3];
}
void adagrad(Real* x, const Real* c) {
  x[2] += x[1] * x[1];
  x[0] -= c[0] * x[1] / std::sqrt(x[2] + c[1]);
}
void adadelta(Real* x, const Real* c) {
  x[2] = toward(x[2], x[1] * x[1], c[1]);
  const Real d = x[1] * std::sqrt(x[3] + c[2]) / std::sqrt(x[2] + c[2]);
  x[3] = toward(x[3], d * d, c[1]);
  x[0] -= c[0] * d;
}
void rprop(Real* x, const Real* c) {
  const Real agreement = sign(x[1] * x[2]);
  const Real factor = agreement < 0 ? c[0] : agreement > 0 ? c[1] : 1 + agreement;
  x[3] = std::isnan(factor) ? factor : std::clamp(x[3] * factor, c[2], c[3]);
  x[2] = agreement < 0 ? 0 : x[1];
  x[0] -= sign(x[2]) * x[3];
}
void adam_direction(Real* x, const Real* c) {
  x[1] = toward(x[1], x[0], c[2]);
  x[2] = toward(x[2], x[0] * x[0], c[3]);
  x[0] = c[0] * x[1] / (std::sqrt(c[1] * x[2]) + c[4]);
}

void average(Real* x, const Real* c) { x[0] = c[0] * x[0] + c[1] * x[1]; }

const Rule rules[] = {
    {"average_update", {}, {0.9, 0.1}, {}, {}, average, true, false},
    {"amsgrad_update", {small, positive, positive}, {0.01}, moments, shares, amsgrad},
    {"adamax_update", {small, {0.0, 0.1}}, {0.01}, moments, {1.0 - 0.9, 0.99, 1e-3}, adamax},
    {"nadam_update", {small, positive}, {0.01, 0.002, 1e-3}, betas, {1.0 - 0.9, 1.0 - 0.99}, nadam},
    {"lion_update", {small}, {0.01}, betas, {0.9, 1.0 - 0.9, 1.0 - 0.99}, lion},
    {"rmsprop_update", {positive}, {0.01}, rms, {1.0 - 0.9, 1e-3}, rmsprop},
    {"rmsprop_momentum_update",
     {positive, small},
     {0.01},
     rms,
     {1.0 - 0.9, 1e-3, 0.8},
     rmsprop_momentum},
    {"centered_rmsprop_update", {large, small}, {0.01}, rms, {1.0 - 0.9, 1e-3}, centered},
    {"centered_rmsprop_momentum_update",
     {large, small, small},
     {0.01},
     rms,
     {1.0 - 0.9, 1e-3, 0.8},
     centered_momentum},
    {"adagrad_update", {positive}, {0.01}, {{"epsilon", 1e-3}}, {1e-3}, adagrad},
    {"adadelta_update", {positive, positive}, {0.01}, rms, {1.0 - 0.9, 1e-3}, adadelta},
    {"rprop_update",
     {small, positive},
     {},
     {{"shrink", 0.5}, {"grow", 1.2}, {"least", 0.1}, {"most", 0.8}},
     {0.5, 1.2, 0.1, 0.8},
     rprop},
    {"adam_direction",
     {small, positive},
     {10.0, 100.0},
     moments,
     shares,
     adam_direction,
     false,
     false},
};

// The arguments of a rule, twice: as they were, and what is given to the kernel.
template <typename T>
struct State {
  std::vector<Array> before, arrays, outputs;
  State(const Rule& rule, int64_t n, int64_t shift) {
    std::vector<Interval> ranges = {small};
    if (rule.weighted) ranges.insert(ranges.begin(), {-1.0, 1.0});
    ranges.insert(ranges.end(), rule.slots.begin(), rule.slots.end());
    const int64_t bytes = shift * static_cast<int64_t>(sizeof(T));
    for (size_t k = 0; k < ranges.size(); ++k) {
      const auto [low, high] = ranges[k];
      before.emplace_back(std::vector<int64_t>{n, 3}, plain_values<T>(n * 3, k + 1, low, high),
                          bytes);
    }
    T* g = before[rule.weighted ? 1 : 0].template data<T>();
    if (n > 1) g[0] = T(0);
    if (n > 1) g[4] = std::numeric_limits<T>::quiet_NaN();
    for (const Array& array : before) arrays.emplace_back(array);
    for (size_t k = 0; k < before.size(); ++k)
      outputs.emplace_back(dtype_of<T>(), std::vector<int64_t>{n, 3});
  }
};

constexpr double factors[] = {0.75, 1.5};  // of the weight and the gradient

template <typename T>
void compare(const Rule& rule, State<T>& s, const std::vector<Array*>& found, int64_t n) {
  std::vector<Real> c;
  for (const double value : rule.scalars) c.push_back(static_cast<Real>(T(value)));
  for (const double value : rule.numbers) c.push_back(static_cast<Real>(T(value)));
  const double epsilon = static_cast<double>(std::numeric_limits<T>::epsilon());
  for (int64_t i = 0; i < n; ++i) {
    std::vector<Real> x;
    for (Array& array : s.before) x.push_back(static_cast<Real>(array.data<T>()[i]));
    const std::vector<Real> old = x;
    for (size_t k = 0; rule.scaled && k < 2; ++k) x[k] *= static_cast<Real>(factors[k]);
    rule.oracle(x.data(), c.data());
    for (size_t k = 0, out = 0; k < x.size(); ++k) {
      if (rule.weighted && k == 1) continue;
      const double got = static_cast<double>(found[out++]->data<T>()[i]);
      const double size = static_cast<double>(std::fabs(old[k]) + std::fabs(x[k] - old[k]));
      const double g = static_cast<double>(std::fabs(old[rule.weighted ? 1 : 0]));
      CHECK_NEAR(got, static_cast<double>(x[k]), 8 * epsilon * (size + g * g));
    }
  }
}

template <typename T>
void check_rule(const KernelTable& table, const Rule& rule, int64_t n, int64_t shift,
                bool in_place) {
  State<T> s(rule, n, shift);
  std::vector<Array> scalars;
  for (const double value : rule.scalars)
    scalars.emplace_back(std::vector<int64_t>{}, std::vector<T>{T(value)});
  for (size_t k = 0; rule.scaled && k < 2; ++k)
    scalars.emplace_back(std::vector<int64_t>{}, std::vector<T>{T(factors[k])});
  Invocation call{rule.operation, {}, {}, rule.attributes};
  for (size_t k = 0; k < s.arrays.size(); ++k) {
    call.arguments.push_back(&s.arrays[k]);
    if (!rule.weighted || k != 1) call.outputs.push_back(in_place ? &s.arrays[k] : &s.outputs[k]);
  }
  for (Array& scalar : scalars) {
    call.whole.push_back(call.arguments.size());
    call.arguments.push_back(&scalar);
  }
  CHECK(run_call(table, call, 4));
  compare<T>(rule, s, call.outputs, n * 3);
  for (const Array& array : s.arrays) CHECK(array.guarded());
  for (const Array& array : s.outputs) CHECK(array.guarded());
  if (rule.weighted)
    CHECK(std::memcmp(s.arrays[1].raw(), s.before[1].raw(),
                      static_cast<size_t>(n) * 3 * sizeof(T)) == 0);
}

}  // namespace

int main() {
  for_each_set([](const KernelTable& table) {
    for (const Rule& rule : rules)
      for (const int64_t n : test_sizes())
        for (const bool in_place : {false, true}) {
          check_rule<float>(table, rule, n, 0, in_place);
          check_rule<double>(table, rule, n, 1, in_place);
        }
  });
  return check_result();
}
