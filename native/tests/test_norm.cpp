// Normalization of columns and rows on each instruction set against the formulas in long double.
#include "shapes.h"

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

// The same elements as images: n samples of h * w places, or as parts of rows.
template <typename T>
Array shaped(Array& array, std::vector<int64_t> shape) {
  Array result(dtype_of<T>(), std::move(shape), sizeof(T));
  std::memcpy(result.raw(), array.raw(), static_cast<size_t>(array.size()) * sizeof(T));
  return result;
}

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

// Sums of parts of the rows, and the moments that are joined of them: those of `column_moments`.
template <typename T>
void check_parts(const KernelTable& table, Problem<T>& p, int64_t parts, bool tiled) {
  const DType type = dtype_of<T>();
  const std::vector<int64_t> form = {parts, p.c};
  Array x = shaped<T>(p.x, {parts, p.n / parts, p.c}), g = shaped<T>(p.g, x.shape());
  Array mean(type, form), rest(mean), spread(mean), total(mean), product(mean);
  const std::vector<size_t> whole = tiled ? std::vector<size_t>{} : std::vector<size_t>{0};
  const std::vector<size_t> both = tiled ? std::vector<size_t>{2} : std::vector<size_t>{0, 1, 2};
  const std::vector<std::pair<std::string, double>> number = {
      {"parts", static_cast<double>(parts)}};
  CHECK(same_in_tiles(table, {"partial_moments", {&x}, {&mean, &rest, &spread}, number, whole}));
  CHECK(same_in_tiles(
      table, {"partial_column_products", {&g, &x, &p.mean}, {&total, &product}, number, both}));
  Array middle(type, {p.c}), variance(middle);
  CHECK(same_in_tiles(
      table, {"joined_moments", {&mean, &rest, &spread}, {&middle, &variance}, {}, {0, 1, 2}}));
  for (int64_t i = 0; i < p.c; ++i) {
    const Real share = 1.0L / static_cast<Real>(p.n > 0 ? p.n : 1);
    Real exact = 0, around = 0, sum = 0, dot = 0, sums = 0, dots = 0;
    for (int64_t r = 0; r < p.n; ++r) exact += p.at(p.x, r, i) * share;
    for (int64_t r = 0; r < p.n; ++r) {
      around += (p.at(p.x, r, i) - exact) * (p.at(p.x, r, i) - exact) * share;
      sum += p.at(p.g, r, i);
      dot += p.at(p.g, r, i) * (p.at(p.x, r, i) - p.at(p.mean, i));
    }
    for (int64_t k = 0; k < parts; ++k) {
      sums += p.at(total, k, i);
      dots += p.at(product, k, i);
    }
    const double rows = static_cast<double>(p.n);
    CHECK_NEAR(middle.data<T>()[i], static_cast<double>(exact), kUnit<T> * (1 + 2 * p.far));
    CHECK_NEAR(variance.data<T>()[i], static_cast<double>(around), kUnit<T> * 16);
    CHECK_NEAR(static_cast<double>(sums), static_cast<double>(sum), kUnit<T> * (4 + 2 * rows));
    CHECK_NEAR(static_cast<double>(dots), static_cast<double>(dot), kUnit<T> * (4 + 8 * rows));
  }
}

// Each part alone: its rounded mean, what that misses, and the spread around it.
template <typename T>
void check_part(const KernelTable& table, Problem<T>& p) {
  Array mean(dtype_of<T>(), {1, p.c}), rest(mean), spread(mean);
  CHECK(run_call(table, {"partial_moments", {&p.x}, {&mean, &rest, &spread}, {}, {0}}));
  for (int64_t i = 0; i < p.c; ++i) {
    const Real share = 1.0L / static_cast<Real>(p.n > 0 ? p.n : 1), middle = p.at(mean, i);
    Real missed = 0, around = 0;
    for (int64_t r = 0; r < p.n; ++r) {
      missed += (p.at(p.x, r, i) - middle) * share;
      around += (p.at(p.x, r, i) - middle) * (p.at(p.x, r, i) - middle) * share;
    }
    CHECK_NEAR(rest.data<T>()[i], static_cast<double>(missed), kUnit<T> * 8);
    CHECK_NEAR(spread.data<T>()[i], static_cast<double>(around), kUnit<T> * 16);
  }
}

// Normalization by columns of images, with relu: the same as of the rows, then cut off at 0.
template <typename T>
void check_images(const KernelTable& table, Problem<T>& p, int64_t samples) {
  Array x = shaped<T>(p.x, {samples, p.n / samples, 1, p.c}), y(dtype_of<T>(), x.shape());
  Array flat(dtype_of<T>(), {p.n, p.c});
  const std::vector<std::pair<std::string, double>> epsilon = {{"epsilon", kEpsilon}};
  const std::vector<Array*> vectors = {&p.mean, &p.variance, &p.gamma, &p.beta};
  for (const char* name : {"normalize_columns", "batch_normalize"}) {
    Invocation rows{name, {&p.x}, {&flat}, epsilon, {1, 2, 3, 4}};
    Invocation images{name, {&x}, {&y}, epsilon, {1, 2, 3, 4}, {{"activation", "relu"}}};
    for (Invocation* one : {&rows, &images}) {
      one->arguments.insert(one->arguments.end(), vectors.begin(), vectors.end());
    }
    CHECK(same_in_tiles(table, rows));
    CHECK(same_in_tiles(table, images));
    for (int64_t i = 0; i < y.size(); ++i) {
      const T whole = flat.data<T>()[i];
      CHECK(y.data<T>()[i] == (whole <= 0 ? T(0) : whole));
    }
  }
}

// Normalization over groups of columns, and its derivative.
template <typename T>
void check_groups(const KernelTable& table, Problem<T>& p, int64_t samples, int64_t groups) {
  Array x = shaped<T>(p.x, {samples, p.n / samples, p.c}), g = shaped<T>(p.g, x.shape());
  Array y(dtype_of<T>(), x.shape()), dx(y);
  const std::vector<std::pair<std::string, double>> numbers = {
      {"epsilon", kEpsilon}, {"groups", static_cast<double>(groups)}};
  CHECK(same_in_tiles(table, {"normalize_groups", {&x, &p.gamma, &p.beta}, {&y}, numbers, {1, 2}}));
  CHECK(
      same_in_tiles(table, {"normalize_groups_gradient", {&g, &x, &p.gamma}, {&dx}, numbers, {2}}));
  const int64_t places = p.n / samples, width = p.c / groups;
  const Real share = 1.0L / static_cast<Real>(places * width > 0 ? places * width : 1);
  for (int64_t one = 0; one < samples * groups; ++one) {
    const int64_t top = one / groups * places, left = one % groups * width;
    const auto each = [&](auto body) {
      for (int64_t r = top; r < top + places; ++r) {
        for (int64_t i = left; i < left + width; ++i) body(r, i);
      }
    };
    Real middle = 0, spread = 0, total = 0, dot = 0;
    each([&](int64_t r, int64_t i) { middle += p.at(p.x, r, i) * share; });
    each([&](int64_t r, int64_t i) {
      const Real d = p.at(p.x, r, i) - middle, h = p.at(p.g, r, i) * p.at(p.gamma, i);
      spread += d * d * share;
      total += h * share;
      dot += h * d * share;
    });
    const Real inverse = 1 / std::sqrt(spread + static_cast<Real>(kEpsilon));
    const double size = static_cast<double>(inverse) + 1;
    each([&](int64_t r, int64_t i) {
      const Real d = p.at(p.x, r, i) - middle, h = p.at(p.g, r, i) * p.at(p.gamma, i);
      const Real want = d * inverse * p.at(p.gamma, i) + p.at(p.beta, i);
      const Real slope = inverse * (h - total - d * inverse * inverse * dot);
      const double got = y.data<T>()[r * p.c + i], got_slope = dx.data<T>()[r * p.c + i];
      CHECK_NEAR(got, static_cast<double>(want), size * bound(p, want));
      CHECK_NEAR(got_slope, static_cast<double>(slope), size * size * bound(p, slope));
    });
  }
}

// A large mean, and a first row far away from all others, leave the digits of the variance.
template <typename T>
void check_far(const KernelTable& table) {
  const int64_t n = 4096, c = 7;
  const double far = sizeof(T) == 4 ? 1e4 : 1e8;
  Problem<T> p(n, c, far);
  for (int64_t i = 0; i < n * c; ++i) {
    T& x = p.x.template data<T>()[i];
    x = static_cast<T>(far + (static_cast<double>(x) - far) * 0.01);
  }
  for (const bool outlier : {false, true}) {
    if (outlier) {
      for (int64_t i = 0; i < c; ++i) p.x.template data<T>()[i] = static_cast<T>(-far);
    }
    Array mean(dtype_of<T>(), {8, c}), rest(mean), spread(mean);
    Array middle(dtype_of<T>(), {c}), variance(middle);
    CHECK(
        run_call(table, {"partial_moments", {&p.x}, {&mean, &rest, &spread}, {{"parts", 8}}, {0}}));
    CHECK(run_call(
        table, {"joined_moments", {&mean, &rest, &spread}, {&middle, &variance}, {}, {0, 1, 2}}));
    for (int64_t i = 0; i < c; ++i) {
      Real exact = 0, around = 0;
      for (int64_t r = 0; r < n; ++r) exact += p.at(p.x, r, i) / n;
      for (int64_t r = 0; r < n; ++r) {
        around += (p.at(p.x, r, i) - exact) * (p.at(p.x, r, i) - exact) / n;
      }
      CHECK_NEAR(middle.data<T>()[i], static_cast<double>(exact), 4 * kUnit<T> * far);
      const double most = static_cast<double>(around) * (sizeof(T) == 4 ? 1e-6 : 1e-13);
      CHECK_NEAR(variance.data<T>()[i], static_cast<double>(around), most);
    }
  }
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

// Rows of several blocks, and rows whose squares T cannot hold.
template <typename T>
void check_long_rows(const KernelTable& table) {
  for (const int64_t c : {1024, 2500}) {
    Problem<T> p(3, c, 100.0);
    for (const double center : {0.0, 1.0}) check_rows<T>(table, p, center, 2);
  }
  if (sizeof(T) == 8) return;  // there is no wider type
  const T huge = std::sqrt(std::numeric_limits<T>::max()) * 4;
  for (const int64_t c : {6, 200}) {
    Array x(dtype_of<T>(), {1, c}), y(x), gamma(dtype_of<T>(), {c}), beta(gamma);
    for (int64_t i = 0; i < c; ++i) {
      x.data<T>()[i] = i % 2 == 0 ? huge : -huge;
      gamma.data<T>()[i] = 1;
      beta.data<T>()[i] = 0;
    }
    CHECK(run_call(table, {"normalize_rows",
                           {&x, &gamma, &beta},
                           {&y},
                           {{"epsilon", kEpsilon}, {"center", 1}},
                           {1, 2}}));
    for (int64_t i = 0; i < c; ++i) CHECK_NEAR(y.data<T>()[i], i % 2 == 0 ? 1 : -1, kUnit<T>);
  }
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
  Array rest(dtype_of<T>(), {1, c}), spread(rest), part(rest);
  CHECK(run_call(table, {"partial_moments", {&p.x}, {&part, &rest, &spread}, {}, {0}}));
  for (int64_t i = 0; i < c; ++i) CHECK(std::isnan(spread.data<T>()[i]) == (i == c / 2));
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
        check_part<T>(table, p);
      }
    }
    for (const int64_t n : {6, 42, 402}) {
      Problem<T> p(n, c, 10.0);
      for (const int64_t parts : {1, 3, 6}) check_parts<T>(table, p, parts, parts != 3);
      check_images<T>(table, p, 3);
      for (const int64_t groups : {int64_t{1}, c % 3 == 0 ? int64_t{3} : c, c}) {
        check_groups<T>(table, p, 3, groups);
      }
    }
    check_nan<T>(table, c);
  }
  check_tiles<T>(table);
  check_far<T>(table);
  check_long_rows<T>(table);
}

}  // namespace

int main() {
  for_each_set([](const KernelTable& table) {
    check_type<float>(table);
    check_type<double>(table);
  });
  return check_result();
}
