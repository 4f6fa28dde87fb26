// Normalization of columns and rows on each instruction set against the formulas in long double.
#include "support.h"

using namespace chainrule;
using namespace chainrule::test;

namespace {

using Real = long double;

template <typename T>
constexpr double kUnit = static_cast<double>(std::numeric_limits<T>::epsilon());

constexpr double kEpsilon = 0.01;

// A matrix, and vectors of its width. `far` is added to x: sums must not lose what differs.
template <typename T>
struct Problem {
  int64_t n, c;
  double far;
  Array x, g, mean, variance, gamma, beta, total, product;

  Problem(int64_t rows, int64_t columns, double offset)
      : n(rows),
        c(columns),
        far(offset),
        x(matrix(1, offset)),
        g(matrix(2, 0)),
        mean(vector(3, offset - 0.5, offset + 0.5)),
        variance(vector(4, 0.5, 2)),
        gamma(vector(5, 0.5, 2)),
        beta(vector(6, -1, 1)),
        total(vector(7, -1, 1)),
        product(vector(8, -1, 1)) {}

  Real at(Array& array, int64_t r, int64_t i) { return array.template data<T>()[r * c + i]; }
  Real at(Array& array, int64_t i) { return array.template data<T>()[i]; }

 private:
  Array matrix(uint64_t seed, double middle) {
    return {{n, c}, plain_values<T>(n * c, seed, middle - 2, middle + 2), shift()};
  }
  Array vector(uint64_t seed, double low, double high) {
    return {{c}, plain_values<T>(c, seed, low, high), shift()};
  }
  int64_t shift() const { return n % 2 * static_cast<int64_t>(sizeof(T)); }
};

// An error of some roundings of numbers as large as x, 1 and the result.
template <typename T>
double bound(const Problem<T>& p, Real want) {
  return kUnit<T> * (32 + 4 * p.far + 8 * std::fabs(static_cast<double>(want)));
}

template <typename T>
void check_columns(const KernelTable& table, Problem<T>& p, int64_t tile) {
  const DType type = dtype_of<T>();
  Array mean(type, {p.c}), variance(type, {p.c}), total(type, {p.c}), product(type, {p.c});
  CHECK(run_call(table, {"column_moments", {&p.x}, {&mean, &variance}, {}, {0}}, tile));
  CHECK(run_call(table, {"column_products", {&p.g, &p.x, &p.mean}, {&total, &product}, {}, {0, 1}},
                 tile));
  for (int64_t i = 0; i < p.c; ++i) {
    const Real share = 1.0L / static_cast<Real>(p.n > 0 ? p.n : 1);
    Real middle = 0, spread = 0, sum = 0, dot = 0;
    for (int64_t r = 0; r < p.n; ++r) middle += p.at(p.x, r, i) * share;
    for (int64_t r = 0; r < p.n; ++r) {
      spread += (p.at(p.x, r, i) - middle) * (p.at(p.x, r, i) - middle) * share;
      sum += p.at(p.g, r, i);
      dot += p.at(p.g, r, i) * (p.at(p.x, r, i) - p.at(p.mean, i));
    }
    const double rows = static_cast<double>(p.n);
    CHECK_NEAR(mean.data<T>()[i], static_cast<double>(middle), kUnit<T> * (1 + 2 * p.far));
    CHECK_NEAR(variance.data<T>()[i], static_cast<double>(spread), kUnit<T> * 8);
    CHECK_NEAR(total.data<T>()[i], static_cast<double>(sum), kUnit<T> * (2 + 2 * rows));
    CHECK_NEAR(product.data<T>()[i], static_cast<double>(dot), kUnit<T> * (2 + 8 * rows));
  }
  CHECK(mean.guarded() && variance.guarded() && total.guarded() && product.guarded());
}

template <typename T>
void check_normalized(const KernelTable& table, Problem<T>& p, int64_t tile) {
  Array y(dtype_of<T>(), {p.n, p.c}), again(dtype_of<T>(), {p.n, p.c}), dx(y);
  const std::vector<Array*> affine = {&p.x, &p.mean, &p.variance, &p.gamma, &p.beta};
  const std::vector<std::pair<std::string, double>> epsilon = {{"epsilon", kEpsilon}};
  CHECK(run_call(table, {"normalize_columns", affine, {&y}, epsilon, {1, 2, 3, 4}}, tile));
  CHECK(run_call(table, {"batch_normalize", affine, {&again}, epsilon, {1, 2, 3, 4}}, tile));
  CHECK(std::memcmp(y.raw(), again.raw(), static_cast<size_t>(y.size()) * sizeof(T)) == 0);
  CHECK(run_call(table,
                 {"batch_normalize_gradient",
                  {&p.g, &p.x, &p.mean, &p.variance, &p.gamma, &p.total, &p.product},
                  {&dx},
                  epsilon,
                  {2, 3, 4, 5, 6}},
                 tile));
  for (int64_t r = 0; r < p.n; ++r) {
    for (int64_t i = 0; i < p.c; ++i) {
      const Real inverse = 1 / std::sqrt(p.at(p.variance, i) + static_cast<Real>(kEpsilon));
      const Real d = p.at(p.x, r, i) - p.at(p.mean, i), gamma = p.at(p.gamma, i);
      const Real want = gamma * d * inverse + p.at(p.beta, i);
      CHECK_NEAR(y.data<T>()[r * p.c + i], static_cast<double>(want), bound(p, want));
      const Real rest =
          p.at(p.g, r, i) -
          (p.at(p.total, i) + d * inverse * inverse * p.at(p.product, i)) / static_cast<Real>(p.n);
      const Real slope = gamma * inverse * rest;
      CHECK_NEAR(dx.data<T>()[r * p.c + i], static_cast<double>(slope), bound(p, slope));
    }
  }
  CHECK(y.guarded() && again.guarded() && dx.guarded());
}

template <typename T>
void check_rows(const KernelTable& table, Problem<T>& p, double center, int64_t tile) {
  Array y(dtype_of<T>(), {p.n, p.c}), dx(y);
  const std::vector<std::pair<std::string, double>> numbers = {{"epsilon", kEpsilon},
                                                               {"center", center}};
  CHECK(
      run_call(table, {"normalize_rows", {&p.x, &p.gamma, &p.beta}, {&y}, numbers, {1, 2}}, tile));
  CHECK(run_call(table, {"normalize_rows_gradient", {&p.g, &p.x, &p.gamma}, {&dx}, numbers, {2}},
                 tile));
  const Real share = 1.0L / static_cast<Real>(p.c > 0 ? p.c : 1);
  for (int64_t r = 0; r < p.n; ++r) {
    Real middle = 0, spread = 0, total = 0, dot = 0;
    for (int64_t i = 0; i < p.c && center != 0; ++i) middle += p.at(p.x, r, i) * share;
    for (int64_t i = 0; i < p.c; ++i) {
      const Real d = p.at(p.x, r, i) - middle, h = p.at(p.g, r, i) * p.at(p.gamma, i);
      spread += d * d * share;
      dot += h * d * share;
      if (center != 0) total += h * share;
    }
    const Real inverse = 1 / std::sqrt(spread + static_cast<Real>(kEpsilon));
    for (int64_t i = 0; i < p.c; ++i) {
      const Real d = p.at(p.x, r, i) - middle, h = p.at(p.g, r, i) * p.at(p.gamma, i);
      const Real want = d * inverse * p.at(p.gamma, i) + p.at(p.beta, i);
      const Real slope = inverse * (h - total - d * inverse * inverse * dot);
      // One element: 1 / sqrt(epsilon) stands for the spread.
      const double size = static_cast<double>(inverse) + 1;
      CHECK_NEAR(y.data<T>()[r * p.c + i], static_cast<double>(want), size * bound(p, want));
      CHECK_NEAR(dx.data<T>()[r * p.c + i], static_cast<double>(slope), size * bound(p, slope));
    }
  }
  CHECK(y.guarded() && dx.guarded());
}

// A NaN spoils its column or its row and nothing else.
template <typename T>
void check_nan(const KernelTable& table, int64_t c) {
  Problem<T> p(3, c, 0);
  p.x.template data<T>()[c + c / 2] = std::numeric_limits<T>::quiet_NaN();
  Array mean(dtype_of<T>(), {c}), variance(dtype_of<T>(), {c}), y(dtype_of<T>(), {3, c});
  CHECK(run_call(table, {"column_moments", {&p.x}, {&mean, &variance}, {}, {0}}));
  for (int64_t i = 0; i < c; ++i) {
    CHECK(std::isnan(mean.data<T>()[i]) == (i == c / 2));
    CHECK(std::isnan(variance.data<T>()[i]) == (i == c / 2));
  }
  CHECK(run_call(table, {"normalize_rows",
                         {&p.x, &p.gamma, &p.beta},
                         {&y},
                         {{"epsilon", kEpsilon}, {"center", 1}},
                         {1, 2}}));
  for (int64_t i = 0; i < 3 * c; ++i) CHECK(std::isnan(y.data<T>()[i]) == (i / c == 1));
}

// The bits of a column do not depend on the tile it is in.
template <typename T>
void check_tiles(const KernelTable& table) {
  Problem<T> p(57, 83, 3);
  Array whole_mean(dtype_of<T>(), {83}), whole(whole_mean), mean(whole_mean), part(whole_mean);
  CHECK(run_call(table, {"column_moments", {&p.x}, {&whole_mean, &whole}, {}, {0}}));
  for (const int64_t tile : {1, 5, 16, 82}) {
    CHECK(run_call(table, {"column_moments", {&p.x}, {&mean, &part}, {}, {0}}, tile));
    CHECK(std::memcmp(mean.raw(), whole_mean.raw(), 83 * sizeof(T)) == 0);
    CHECK(std::memcmp(part.raw(), whole.raw(), 83 * sizeof(T)) == 0);
  }
}

template <typename T>
void check_type(const KernelTable& table) {
  for (const int64_t c : {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 67, 131}) {
    for (const int64_t n : {0, 1, 2, 5, 33}) {
      for (const double far : {0.0, 100.0}) {
        Problem<T> p(n, c, far);
        const int64_t tile = c % 2 == 0 ? INT64_MAX : 6;
        check_columns<T>(table, p, tile);
        check_normalized<T>(table, p, tile);
        for (const double center : {0.0, 1.0}) check_rows<T>(table, p, center, tile);
      }
    }
    check_nan<T>(table, c);
  }
  check_tiles<T>(table);
}

}  // namespace

int main() {
  for_each_set([](const KernelTable& table) {
    check_type<float>(table);
    check_type<double>(table);
  });
  return check_result();
}
