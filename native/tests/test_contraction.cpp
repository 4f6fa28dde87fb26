// Matrix products on each instruction set against sums in double: every way the matrices can lie,
// sizes around the blocks of the kernels, misaligned arrays, and the same bits for every tile.
#include "support.h"

using namespace chainrule;
using namespace chainrule::test;

namespace {

struct Sizes {
  int64_t n, k, m;
};

// y[n, m] = x w, transposed or not, `batch` of them.
template <typename T>
struct Matrices {
  Sizes sizes;
  bool transpose_x, transpose_w;
  Array x, w, bias, y;
  Matrices(Sizes s, bool tx, bool tw, int64_t shift, std::vector<int64_t> batch = {})
      : sizes(s),
        transpose_x(tx),
        transpose_w(tw),
        x(filled(batch, tx ? s.k : s.n, tx ? s.n : s.k, 1, shift)),
        w(filled(batch, tw ? s.m : s.k, tw ? s.k : s.m, 2, shift)),
        bias(filled({}, s.m, -1, 3, shift)),
        y(filled(batch, s.n, s.m, 4, shift)) {}

  double at(Array& array, bool transposed, int64_t b, int64_t i, int64_t j) {
    const auto& shape = array.shape();
    const int64_t rows = shape[shape.size() - 2], columns = shape[shape.size() - 1];
    const int64_t in_matrix = transposed ? j * columns + i : i * columns + j;
    return static_cast<double>(array.data<T>()[b * rows * columns + in_matrix]);
  }

 private:
  static Array filled(std::vector<int64_t> shape, int64_t rows, int64_t columns, uint64_t seed,
                      int64_t shift) {
    shape.push_back(rows);
    if (columns >= 0) shape.push_back(columns);
    int64_t size = 1;
    for (const int64_t axis : shape) size *= axis;
    const int64_t bytes = shift * static_cast<int64_t>(sizeof(T));
    return Array(std::move(shape), plain_values<T>(size, seed), bytes);
  }
};

double activate(const std::string& activation, double x) {
  if (activation == "relu") return x <= 0 ? 0 : x;
  if (activation == "tanh") return std::tanh(x);
  if (activation == "sigmoid") return 1 / (1 + std::exp(-x));
  return x;
}

// Each of k roundings is at most half a unit of a sum of products of at most 2 * 2. The slope of an
// activation is at most 1; its own error is a few units of 1.
template <typename T>
void compare(Matrices<T>& s, int64_t batch, bool with_bias, const std::string& activation) {
  const Sizes z = s.sizes;
  const double unit = static_cast<double>(std::numeric_limits<T>::epsilon());
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t i = 0; i < z.n; ++i) {
      for (int64_t j = 0; j < z.m; ++j) {
        double sum = with_bias ? static_cast<double>(s.bias.template data<T>()[j]) : 0;
        double size = std::fabs(sum) + 1;
        for (int64_t p = 0; p < z.k; ++p) {
          const double product =
              s.at(s.x, s.transpose_x, b, i, p) * s.at(s.w, s.transpose_w, b, p, j);
          sum += product;
          size += std::fabs(product);
        }
        CHECK_NEAR(s.at(s.y, false, b, i, j), activate(activation, sum),
                   unit * size * (2 + std::sqrt(static_cast<double>(z.k))));
      }
    }
  }
  CHECK(s.y.guarded());
}

template <typename T>
std::vector<T> values_of(Array& array) {
  return {array.data<T>(), array.data<T>() + array.size()};
}
// Bits, so that NaN is equal to itself.
template <typename T>
bool same_bits(Array& array, const std::vector<T>& values) {
  return values.empty() || std::memcmp(array.raw(), values.data(), values.size() * sizeof(T)) == 0;
}

template <typename T>
void check_tiles(const KernelTable& table, const Invocation& invocation) {
  Array& y = *invocation.outputs[0];
  const std::vector<T> expected = values_of<T>(y);
  for (const int64_t tile : {1, 3, 8, 16, 20}) {
    if (tile >= y.rows()) continue;
    std::memset(y.raw(), 0xFF, static_cast<size_t>(y.size()) * sizeof(T));
    run_call(table, invocation, tile);
    CHECK(same_bits<T>(y, expected));
    CHECK(y.guarded());
  }
}

Invocation matmul_of(Array& x, Array& w, Array& y, bool transpose_x, bool transpose_w) {
  const std::vector<size_t> whole =
      transpose_x ? std::vector<size_t>{0, 1} : std::vector<size_t>{1};
  return {"matmul",
          {&x, &w},
          {&y},
          {{"transpose_x", transpose_x ? 1.0 : 0.0}, {"transpose_w", transpose_w ? 1.0 : 0.0}},
          whole};
}

template <typename T>
void check_matmul(const KernelTable& table, Sizes sizes, int64_t shift) {
  for (const bool transpose_x : {false, true}) {
    for (const bool transpose_w : {false, true}) {
      Matrices<T> s(sizes, transpose_x, transpose_w, shift);
      const Invocation call = matmul_of(s.x, s.w, s.y, transpose_x, transpose_w);
      CHECK(run_call(table, call));
      compare(s, 1, false, "linear");
      check_tiles<T>(table, call);
    }
  }
}

template <typename T>
void check_batch(const KernelTable& table, Sizes sizes, int64_t batch) {
  for (const bool transpose_x : {false, true}) {
    for (const bool transpose_w : {false, true}) {
      Matrices<T> s(sizes, transpose_x, transpose_w, 1, {batch});
      const double tx = transpose_x ? 1 : 0, tw = transpose_w ? 1 : 0;
      const Invocation call{
          "batch_matmul", {&s.x, &s.w}, {&s.y}, {{"transpose_x", tx}, {"transpose_w", tw}}};
      CHECK(run_call(table, call));
      compare(s, batch, false, "linear");
      check_tiles<T>(table, call);
    }
  }
}

template <typename T>
void check_dense(const KernelTable& table, Sizes sizes) {
  for (const char* activation : {"linear", "relu", "tanh", "sigmoid"}) {
    Matrices<T> s(sizes, false, false, 1);
    const Invocation call{"dense", {&s.x, &s.w, &s.bias},       {&s.y}, {},
                          {1, 2},  {{"activation", activation}}};
    CHECK(run_call(table, call));
    compare(s, 1, true, activation);
    check_tiles<T>(table, call);
  }
}

// A dense layer by way of the terms of its product, each of q rows of w.
template <typename T>
void check_parts(const KernelTable& table, int64_t parts, Sizes one) {
  for (const char* activation : {"linear", "relu", "tanh", "sigmoid"}) {
    Matrices<T> s({one.n, parts * one.k, one.m}, false, false, 1);
    Array w(std::vector<int64_t>{parts, one.k, one.m}, values_of<T>(s.w), 0);
    Array terms(std::vector<int64_t>{parts, one.n, one.m},
                plain_values<T>(parts * one.n * one.m, 5), 0);
    const Invocation products{"partial_products", {&s.x, &w}, {&terms}, {}, {0}};
    CHECK(run_call(table, products));
    check_tiles<T>(table, products);
    const Invocation rest{"dense_of_parts", {&terms, &s.bias},           {&s.y}, {},
                          {0, 1},           {{"activation", activation}}};
    CHECK(run_call(table, rest));
    compare(s, 1, true, activation);
    check_tiles<T>(table, rest);
  }
}

// Leaves every so-manieth row, or one number of it; some of the zeros are -0.
template <typename T>
void keep_rows(Array& a, int64_t every, bool single) {
  const int64_t columns = a.shape()[1];
  for (int64_t i = 0; i < a.size(); ++i) {
    const int64_t row = i / columns, column = i % columns;
    const bool kept = row % every == 0 && (!single || column == row % columns);
    if (!kept) a.data<T>()[i] = i % 3 == 0 ? T(-0.0) : T(0);
  }
}

// A product of which each row makes a column. With rows of zeros it has the bits of one in which
// they are not left out.
template <typename T>
void check_columns(const KernelTable& table, Sizes sizes, int64_t every, bool single) {
  Matrices<T> s(sizes, false, false, 1);
  keep_rows<T>(s.w, every, single);
  Array turned(dtype_of<T>(), {sizes.m, sizes.n});
  const Invocation product{"transposed_matmul", {&s.x, &s.w}, {&turned}, {}, {1}, {}, {}, true};
  CHECK(run_call(table, product));
  CHECK(turned.guarded());
  CHECK(run_call(table, matmul_of(s.x, s.w, s.y, false, false)));
  for (int64_t i = 0; i < sizes.n; ++i) {
    for (int64_t j = 0; j < sizes.m; ++j) {
      T& y = s.y.template data<T>()[i * sizes.m + j];
      const T found = turned.data<T>()[j * sizes.n + i];
      CHECK(y == found || sizes.m == 1);  // which is summed in another order
      y = found;
    }
  }
  compare(s, 1, false, "linear");
  check_tiles<T>(table, product);
}

template <typename T>
void check_turned(const KernelTable& table, Sizes sizes) {
  Matrices<T> s(sizes, false, false, 1);
  Array back(dtype_of<T>(), {sizes.k, sizes.n});
  const Invocation as_it_is{"turned", {&s.x}, {&back}, {}, {}, {}, {}, true};
  CHECK(run_call(table, as_it_is));
  CHECK(back.guarded());
  for (int64_t i = 0; i < sizes.n * sizes.k; ++i) {
    CHECK(back.data<T>()[i % sizes.k * sizes.n + i / sizes.k] == s.x.template data<T>()[i]);
  }
  check_tiles<T>(table, as_it_is);
}

// A NaN or an infinity of one row reaches that row, all of it, and no other.
template <typename T>
void check_nan(const KernelTable& table, int64_t m) {
  for (const char* activation : {"linear", "relu", "tanh", "sigmoid"}) {
    Matrices<T> s({5, 3, m}, false, false, 0);
    s.x.template data<T>()[2 * 3 + 1] = std::numeric_limits<T>::quiet_NaN();
    const Invocation call{"dense", {&s.x, &s.w, &s.bias},       {&s.y}, {},
                          {1, 2},  {{"activation", activation}}};
    CHECK(run_call(table, call));
    for (int64_t i = 0; i < 5 * m; ++i)
      CHECK(std::isnan(s.y.template data<T>()[i]) == (i / m == 2));
  }
}

// Shapes around the blocks: rows 1, 4, 8 and vectors of 2 to 16 lanes in panels of up to 8.
const std::vector<Sizes>& shapes() {
  static const std::vector<Sizes> all = [] {
    std::vector<Sizes> made;
    for (const int64_t n : {0, 1, 2, 3, 7, 8, 9, 17, 35}) {
      for (const int64_t k : {0, 1, 5, 16, 33}) {
        for (const int64_t m : {0, 1, 3, 4, 8, 10, 15, 16, 17, 67}) made.push_back({n, k, m});
      }
    }
    for (const int64_t m : {2, 31, 32, 33, 47, 48, 49, 64, 65, 80, 128, 131}) {
      made.push_back({1, 6, m});
      made.push_back({11, 6, m});
    }
    // Several blocks along the contracted axis; packed columns; more than one slice of rows.
    made.insert(made.end(),
                {{12, 127, 9}, {12, 129, 20}, {9, 300, 33}, {1, 300, 130}, {5, 200, 70}});
    made.insert(made.end(),
                {{50, 130, 40}, {53, 20, 140}, {27, 131, 531}, {40, 140, 1024}, {100, 64, 16}});
    return made;
  }();
  return all;
}

template <typename T>
void check_type(const KernelTable& table) {
  for (const Sizes& sizes : shapes()) {
    check_matmul<T>(table, sizes, 0);
    if (sizes.n % 2 == 1) check_matmul<T>(table, sizes, 1);
    check_dense<T>(table, sizes);
    if (sizes.n * sizes.m < 1000) check_batch<T>(table, sizes, 1 + sizes.n % 3);
    if (sizes.n * sizes.m < 1000) check_parts<T>(table, 1 + sizes.n % 5, sizes);
    check_turned<T>(table, sizes);
    check_columns<T>(table, sizes, 1, false);
    for (const int64_t every : {1, 2, 3, 1000}) check_columns<T>(table, sizes, every, true);
  }
  check_batch<T>(table, {4, 4, 4}, 0);
  for (const int64_t m : {1, 3, 16, 50}) check_nan<T>(table, m);
}

void check_refused(const KernelTable& table) {
  Array x(DType::i32, {2, 2}), w(DType::i32, {2, 2}), y(DType::i32, {2, 2});
  CHECK(!run_call(table, matmul_of(x, w, y, false, false)));
}

}  // namespace

int main() {
  for_each_set([](const KernelTable& table) {
    check_type<float>(table);
    check_type<double>(table);
    check_refused(table);
  });
  return check_result();
}
