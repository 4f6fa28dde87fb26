// Softmax and its losses on each instruction set against the formulas in double, for rows shorter
// than a vector, as long as one, and longer.
#include "support.h"

using namespace chainrule;
using namespace chainrule::test;

namespace {

using Row = std::vector<double>;

// In long double, as the sum of a thousand terms in double is off by more than is allowed.
long double log_sum_exp(const Row& z) {
  double top = -std::numeric_limits<double>::infinity();
  long double sum = 0;
  for (const double x : z) top = x > top ? x : top;
  for (const double x : z) sum += std::exp(static_cast<long double>(x) - top);
  return top + std::log(sum);
}
double softmax(double z, long double normalizer) {
  return static_cast<double>(std::exp(z - normalizer));
}
double total(const Row& t) {
  long double sum = 0;
  for (const double x : t) sum += x;
  return static_cast<double>(sum);
}

template <typename T>
Row row_of(Array& array, int64_t row, int64_t m) {
  return {array.data<T>() + row * m, array.data<T>() + (row + 1) * m};
}

// The operands of all of these operations for n rows of m classes.
template <typename T>
struct Problem {
  int64_t n, m;
  Array z, t, g, label64, label32;
  Problem(int64_t rows, int64_t classes, double spread, int64_t shift)
      : n(rows),
        m(classes),
        z({n, m}, plain_values<T>(n * m, 1, -spread, spread), shift * size),
        t({n, m}, plain_values<T>(n * m, 2, 0.0, 1.0), shift * size),
        g({n}, plain_values<T>(n, 3)),
        label64({n}, labels<int64_t>(rows, classes)),
        label32({n}, labels<int32_t>(rows, classes)) {}

 private:
  static constexpr int64_t size = static_cast<int64_t>(sizeof(T));
  template <typename I>
  static std::vector<I> labels(int64_t n, int64_t m) {
    std::vector<I> values;
    for (int64_t i = 0; i < n; ++i) values.push_back(static_cast<I>((i * 7 + m - 1) % m));
    return values;
  }
};

template <typename T>
constexpr double kUnit = static_cast<double>(std::numeric_limits<T>::epsilon());

// Rounding of z - top is that of a number as large as the logits, and shows in the exponential.
template <typename T>
double tolerance(double spread) {
  return kUnit<T> * (8.0 + 4.0 * spread);
}

template <typename T>
void check_softmax(const KernelTable& table, Problem<T>& p, double spread, int64_t tile) {
  Array y(dtype_of<T>(), {p.n, p.m}), logs(dtype_of<T>(), {p.n, p.m});
  CHECK(run_call(table, {"softmax", {&p.z}, {&y}}, tile));
  CHECK(run_call(table, {"log_softmax", {&p.z}, {&logs}}, tile));
  for (int64_t r = 0; r < p.n; ++r) {
    const Row z = row_of<T>(p.z, r, p.m), got = row_of<T>(y, r, p.m),
              got_log = row_of<T>(logs, r, p.m);
    const long double normalizer = log_sum_exp(z);
    for (size_t i = 0; i < z.size(); ++i) {
      const double want = softmax(z[i], normalizer);
      CHECK_NEAR(got[i], want, tolerance<T>(spread) * want + std::numeric_limits<T>::denorm_min());
      CHECK_NEAR(got_log[i], static_cast<double>(z[i] - normalizer), tolerance<T>(spread));
    }
  }
  CHECK(y.guarded() && logs.guarded());
}

template <typename T>
void check_loss(const KernelTable& table, Problem<T>& p, double spread, int64_t tile) {
  Array dense(dtype_of<T>(), {p.n}), sparse(dtype_of<T>(), {p.n}), sparse32(dtype_of<T>(), {p.n});
  CHECK(run_call(table, {"softmax_cross_entropy", {&p.z, &p.t}, {&dense}}, tile));
  CHECK(run_call(table, {"sparse_softmax_cross_entropy", {&p.z, &p.label64}, {&sparse}}, tile));
  CHECK(run_call(table, {"sparse_softmax_cross_entropy", {&p.z, &p.label32}, {&sparse32}}, tile));
  for (int64_t r = 0; r < p.n; ++r) {
    const Row z = row_of<T>(p.z, r, p.m), t = row_of<T>(p.t, r, p.m);
    double dot = 0, size = 0;
    for (size_t i = 0; i < z.size(); ++i) {
      dot += z[i] * t[i];
      size += std::fabs(z[i] * t[i]);
    }
    const double normalizer = static_cast<double>(log_sum_exp(z));
    const double bound =
        16 * kUnit<T> * (size + std::fabs(normalizer) * total(t)) + tolerance<T>(spread);
    CHECK_NEAR(row_of<T>(dense, r, 1)[0], normalizer * total(t) - dot, bound);
    const double want = normalizer - z[static_cast<size_t>(p.label64.template data<int64_t>()[r])];
    CHECK_NEAR(row_of<T>(sparse, r, 1)[0], want, tolerance<T>(spread));
    CHECK_NEAR(row_of<T>(sparse32, r, 1)[0], want, tolerance<T>(spread));
  }
  CHECK(dense.guarded() && sparse.guarded() && sparse32.guarded());
}

template <typename T>
void check_gradient(const KernelTable& table, Problem<T>& p, double spread, int64_t tile) {
  const DType type = dtype_of<T>();
  Array dense(type, {p.n, p.m}), sparse(type, {p.n, p.m}), sparse32(type, {p.n, p.m});
  const std::string name = "sparse_softmax_cross_entropy_gradient";
  CHECK(run_call(table, {"softmax_cross_entropy_gradient", {&p.g, &p.z, &p.t}, {&dense}}, tile));
  CHECK(run_call(table, {name, {&p.g, &p.z, &p.label64}, {&sparse}}, tile));
  CHECK(run_call(table, {name, {&p.g, &p.z, &p.label32}, {&sparse32}}, tile));
  for (int64_t r = 0; r < p.n; ++r) {
    const Row z = row_of<T>(p.z, r, p.m), t = row_of<T>(p.t, r, p.m);
    const Row got = row_of<T>(dense, r, p.m), got_sparse = row_of<T>(sparse, r, p.m);
    const long double normalizer = log_sum_exp(z);
    const double weight = total(t), g = row_of<T>(p.g, r, 1)[0];
    const double bound = tolerance<T>(spread) * std::fabs(g);
    for (size_t i = 0; i < z.size(); ++i) {
      const double y = softmax(z[i], normalizer);
      const bool hit = static_cast<int64_t>(i) == p.label64.template data<int64_t>()[r];
      CHECK_NEAR(got[i], g * (y * weight - t[i]), bound * (y * weight + t[i]) + kUnit<T> * 1e-3);
      CHECK_NEAR(got_sparse[i], g * (y - hit), bound);
    }
    CHECK(row_of<T>(sparse32, r, p.m) == got_sparse);
  }
  CHECK(dense.guarded() && sparse.guarded() && sparse32.guarded());
}

template <typename T>
void check_rows(const KernelTable& table, int64_t n, int64_t m, int64_t tile) {
  for (const double spread : {1.0, 30.0, 300.0}) {
    Problem<T> p(n, m, spread, n % 2);
    check_softmax<T>(table, p, spread, tile);
    check_loss<T>(table, p, spread, tile);
    check_gradient<T>(table, p, spread, tile);
  }
}

// A NaN stays in its row; a label that is no class gives a NaN and touches nothing else.
template <typename T>
void check_wrong_rows(const KernelTable& table, int64_t m) {
  Problem<T> p(3, m, 1.0, 0);
  p.z.template data<T>()[m + m / 2] = std::numeric_limits<T>::quiet_NaN();
  p.label64.template data<int64_t>()[0] = -1;
  p.label64.template data<int64_t>()[2] = m;
  Array loss(dtype_of<T>(), {3}), y(dtype_of<T>(), {3, m});
  CHECK(run_call(table, {"softmax", {&p.z}, {&y}}));
  for (int64_t i = 0; i < 3 * m; ++i) CHECK(std::isnan(y.data<T>()[i]) == (i / m == 1));
  CHECK(run_call(table, {"softmax_cross_entropy", {&p.z, &p.t}, {&loss}}));
  for (int64_t r = 0; r < 3; ++r) CHECK(std::isnan(loss.data<T>()[r]) == (r == 1));
  CHECK(run_call(table, {"sparse_softmax_cross_entropy", {&p.z, &p.label64}, {&loss}}));
  for (int64_t r = 0; r < 3; ++r) CHECK(std::isnan(loss.data<T>()[r]));
  CHECK(run_call(table, {"sparse_softmax_cross_entropy_gradient", {&p.g, &p.z, &p.label64}, {&y}}));
  CHECK(y.guarded() && loss.guarded());
}

template <typename T>
void check_sigmoid_cross_entropy(const KernelTable& table, int64_t n) {
  Array z({n}, plain_values<T>(n, 5, -50, 50)), t({n}, plain_values<T>(n, 6, 0, 1)), out(z);
  CHECK(run_call(table, {"sigmoid_cross_entropy", {&z, &t}, {&out}}, 11));
  for (int64_t i = 0; i < n; ++i) {
    const double x = row_of<T>(z, i, 1)[0], target = row_of<T>(t, i, 1)[0];
    const double want = std::fmax(x, 0.0) - x * target + std::log1p(std::exp(-std::fabs(x)));
    CHECK_NEAR(row_of<T>(out, i, 1)[0], want, 4 * kUnit<T> * (1 + std::fabs(x)));
  }
  CHECK(out.guarded());
}

// Leading axes beyond the first belong to a row of the tile.
template <typename T>
void check_higher_rank(const KernelTable& table) {
  Array z({4, 3, 10}, plain_values<T>(120, 8)), flat({12, 10}, plain_values<T>(120, 8));
  Array y(dtype_of<T>(), {4, 3, 10}), want(dtype_of<T>(), {12, 10});
  for (const char* operation : {"softmax", "log_softmax"}) {
    CHECK(run_call(table, {operation, {&z}, {&y}}, 3));
    CHECK(run_call(table, {operation, {&flat}, {&want}}));
    CHECK(std::memcmp(y.raw(), want.raw(), 120 * sizeof(T)) == 0);
  }
  Array line({10}, plain_values<T>(10, 8)), line_out(dtype_of<T>(), {10});
  CHECK(describe(line, true).row_size == 1);
}

template <typename T>
void check_type(const KernelTable& table) {
  for (const int64_t m : {1, 2, 3, 4, 5, 7, 8, 9, 10, 15, 16, 17, 31, 33, 67, 1000}) {
    for (const int64_t n : {0, 1, 5, 16, 35})
      check_rows<T>(table, n, m, m % 2 == 0 ? INT64_MAX : 6);
    check_wrong_rows<T>(table, m);
  }
  for (const int64_t n : test_sizes()) check_sigmoid_cross_entropy<T>(table, n);
  check_higher_rank<T>(table);
}

}  // namespace

int main() {
  for_each_set([](const KernelTable& table) {
    check_type<float>(table);
    check_type<double>(table);
  });
  return check_result();
}
