// Convolutions and their derivatives on each instruction set against plain loops in double: one to
// three axes of space, strides, dilation, padding, groups, images that are cut into strips.
#include <algorithm>

#include "conv_problem.h"

using namespace chainrule;
using namespace chainrule::test;

namespace {

template <typename T>
void compare(Array& got, const std::vector<double>& want, double terms) {
  const double bound = (4 * terms + 16) * static_cast<double>(std::numeric_limits<T>::epsilon());
  for (int64_t i = 0; i < got.size(); ++i) {
    const double found = got.data<T>()[i], wanted = want[static_cast<size_t>(i)];
    if (!near(found, wanted, bound)) CHECK_NEAR(found, wanted, bound);
  }
}

std::vector<double> zeros(const Array& like) {
  return std::vector<double>(static_cast<size_t>(like.size()));
}

double terms_of(const Convolution& p) {
  return static_cast<double>(elements(p.kernel) * p.c / p.groups);
}

double activated(const std::string& activation, double z) {
  if (activation == "relu") return z <= 0 ? 0 : z;
  if (activation == "tanh") return std::tanh(z);
  return activation == "sigmoid" ? 1 / (1 + std::exp(-z)) : z;
}

template <typename T>
struct Check {
  const KernelTable& table;
  const Convolution& p;
  Random& random;
  Array x = drawn<T>(p.image(), random), g = drawn<T>(p.result(), random);
  Array w = drawn<T>(p.weights(), random), turned = drawn<T>(p.turned(), random);

  void forward() {
    Array y(dtype_of<T>(), p.result(), random.below(8) * static_cast<int64_t>(sizeof(T)));
    CHECK(same_in_tiles(table, conv_call("conv", {&x, &w}, {&y}, p, {1})));
    std::vector<double> want = zeros(y);
    p.each_product([&](int64_t i, int64_t k, int64_t, int64_t o) {
      want[static_cast<size_t>(o)] += static_cast<double>(x.data<T>()[i]) * w.data<T>()[k];
    });
    compare<T>(y, want, terms_of(p));
    static const char* const activations[] = {"linear", "relu", "tanh", "sigmoid"};
    with_bias(activations[random.below(4)], want);
  }

  void with_bias(const std::string& activation, std::vector<double> want) {
    Array b = drawn<T>({p.m}, random);
    Array y(dtype_of<T>(), p.result());
    Invocation call = conv_call("conv_bias", {&x, &w, &b}, {&y}, p, {1, 2});
    call.words = {{"activation", activation}};
    CHECK(same_in_tiles(table, call));
    for (size_t o = 0; o < want.size(); ++o) {
      want[o] += b.data<T>()[o % static_cast<size_t>(p.m)];
      want[o] = activated(activation, want[o]);
    }
    compare<T>(y, want, terms_of(p));
  }

  void transposed() {
    Array y(dtype_of<T>(), p.image(), random.below(8) * static_cast<int64_t>(sizeof(T)));
    Invocation call = conv_call("conv_transpose", {&g, &turned}, {&y}, p, {1});
    call.lists.emplace_back("size", p.size);
    CHECK(same_in_tiles(table, call));
    std::vector<double> want = zeros(y);
    p.each_product([&](int64_t i, int64_t, int64_t k, int64_t o) {
      want[static_cast<size_t>(i)] += static_cast<double>(g.data<T>()[o]) * turned.data<T>()[k];
    });
    compare<T>(y, want, static_cast<double>(elements(p.kernel) * p.m / p.groups));
  }

  // parts = 0: the gradient in one sum.
  void kernel_gradient(int64_t parts) {
    const Shape shape =
        parts > 0 ? Shape{parts, elements(p.kernel) * p.c / p.groups, p.m} : p.weights();
    Array slope(dtype_of<T>(), shape, random.below(8) * static_cast<int64_t>(sizeof(T)));
    const char* name = parts > 0 ? "partial_kernel_gradients" : "conv_kernel_gradient";
    Invocation call = conv_call(name, {&x, &g}, {&slope}, p, {0, 1});
    call.lists.emplace_back("kernel", p.kernel);
    if (parts > 0) call.numbers.emplace_back("parts", static_cast<double>(parts));
    CHECK(same_in_tiles(table, call));
    std::vector<double> want = zeros(slope);
    const int64_t each = parts > 0 ? (p.n + parts - 1) / parts : p.n;
    const int64_t sample = elements(p.size) * p.c;
    p.each_product([&](int64_t i, int64_t k, int64_t, int64_t o) {
      const int64_t part = i / sample / each;
      want[static_cast<size_t>(part * w.size() + k)] +=
          static_cast<double>(x.data<T>()[i]) * g.data<T>()[o];
    });
    compare<T>(slope, want, static_cast<double>(each * elements(p.out())));
  }

  // requires: a group, and neighbours along the last axis side by side.
  void scattered() {
    const int64_t width = p.kernel.back(), front = elements(p.kernel) / width;
    Shape shape(p.kernel.begin(), p.kernel.end() - 1);
    shape.insert(shape.end(), {p.m, width * p.c});
    Array rows(dtype_of<T>(), shape), y(dtype_of<T>(), p.image());
    for (int64_t k = 0; k < turned.size(); ++k) {
      const Shape at = index_of(k, {front, width, p.m, p.c});
      const int64_t to = place_of({at[0], at[2], at[1], at[3]}, {front, p.m, width, p.c});
      rows.data<T>()[to] = turned.data<T>()[k];
    }
    Invocation call = conv_call("conv_scatter", {&g, &rows}, {&y}, p, {1});
    call.lists.emplace_back("size", p.size);
    call.numbers = {{"width", static_cast<double>(width)}};
    CHECK(same_in_tiles(table, call));
    std::vector<double> want = zeros(y);
    p.each_product([&](int64_t i, int64_t, int64_t k, int64_t o) {
      want[static_cast<size_t>(i)] += static_cast<double>(g.data<T>()[o]) * turned.data<T>()[k];
    });
    compare<T>(y, want, static_cast<double>(elements(p.kernel) * p.m));
  }

  void all() {
    // A transformed kernel spreads a NaN over a tile.
    if (x.size() > 0 && !p.three_by_three() && random.below(4) == 0)
      x.data<T>()[random.below(x.size())] = std::numeric_limits<T>::quiet_NaN();
    forward();
    transposed();
    kernel_gradient(0);
    if (p.n > 0) kernel_gradient(1 + random.below(p.n + 1));
    if (p.groups == 1 && p.dilation.back() == 1 && g.size() > 0 && turned.size() > 0) scattered();
  }
};

// Zeros around the image in memory change no bit against padding.
template <typename T>
void check_padding(const KernelTable& table, const Convolution& p, Random& random) {
  Convolution bare = p;
  for (size_t a = 0; a < p.size.size(); ++a) {
    bare.size[a] += p.padding[2 * a] + p.padding[2 * a + 1];
    bare.padding[2 * a] = bare.padding[2 * a + 1] = 0;
  }
  Array x = drawn<T>(p.image(), random), w = drawn<T>(p.weights(), random);
  Array around(dtype_of<T>(), bare.image());
  std::fill_n(around.data<T>(), around.size(), T(0));
  for (int64_t i = 0; i < x.size(); ++i) {
    Shape at = index_of(i, p.image());
    for (size_t a = 0; a < p.size.size(); ++a) at[a + 1] += p.padding[2 * a];
    around.data<T>()[place_of(at, bare.image())] = x.data<T>()[i];
  }
  Array y(dtype_of<T>(), p.result()), same(dtype_of<T>(), p.result());
  CHECK(run_call(table, conv_call("conv", {&x, &w}, {&y}, p, {1})));
  CHECK(run_call(table, conv_call("conv", {&around, &w}, {&same}, bare, {1})));
  CHECK(std::equal(y.data<T>(), y.data<T>() + y.size(), same.data<T>()));
  Array g = drawn<T>(p.result(), random), slope(dtype_of<T>(), p.weights());
  Array equal(dtype_of<T>(), p.weights());
  Invocation one = conv_call("conv_kernel_gradient", {&x, &g}, {&slope}, p, {0, 1});
  Invocation two = conv_call("conv_kernel_gradient", {&around, &g}, {&equal}, bare, {0, 1});
  one.lists.emplace_back("kernel", p.kernel);
  two.lists.emplace_back("kernel", p.kernel);
  CHECK(run_call(table, one) && run_call(table, two));
  CHECK(std::equal(slope.data<T>(), slope.data<T>() + slope.size(), equal.data<T>()));
}

// Samples of more than half a megabyte, which are computed strip by strip, and kernels of many
// rows, which are multiplied run by run.
const std::vector<Convolution>& large() {
  static const std::vector<Convolution> forms = {
      {{90, 80}, {2, 1}, {1, 1}, {1, 0, 0, 0}, {1, 1}, 1, 8, 17, 1},
      {{91, 80}, {2, 1}, {1, 1}, {0, 0, 0, 0}, {2, 1}, 1, 8, 16, 1},
      {{80, 83}, {3, 3}, {2, 3}, {2, 1, 0, 2}, {1, 2}, 1, 18, 6, 1},
      {{70, 30}, {3, 2}, {1, 1}, {1, 1, 1, 0}, {1, 1}, 2, 33, 33, 33},
      {{60, 80}, {1, 2}, {1, 2}, {0, 0, 0, 0}, {1, 1}, 1, 30, 20, 2},
      {{30, 20, 20}, {2, 1, 2}, {1, 1, 2}, {1, 1, 0, 0, 0, 1}, {1, 1, 1}, 1, 6, 9, 1},
      {{1, 60, 50}, {1, 2, 1}, {1, 2, 1}, {0, 0, 1, 1, 0, 0}, {1, 1, 1}, 1, 40, 5, 1},
      {{5, 4}, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1, 150, 18, 1},
      {{4, 5}, {3, 3}, {2, 1}, {1, 1, 1, 1}, {1, 1}, 1, 18, 190, 1}};
  return forms;
}

// Kernels of 3 x 3 places and whole vectors of channels, which are transformed: tiles that end
// within the image and past it, padding on all sides, several strips.
const std::vector<Convolution>& transformed() {
  static const std::vector<Convolution> forms = {
      {{6, 6}, {3, 3}, {1, 1}, {0, 0, 0, 0}, {1, 1}, 3, 32, 32, 1},
      {{5, 7}, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 2, 32, 48, 1},
      {{7, 4}, {3, 3}, {1, 1}, {2, 0, 0, 3}, {1, 1}, 4, 48, 32, 1},
      {{2, 3}, {3, 3}, {1, 1}, {3, 2, 2, 4}, {1, 1}, 1, 16, 24, 1},
      {{1, 5, 6}, {1, 3, 3}, {1, 1, 1}, {0, 0, 1, 1, 1, 1}, {1, 1, 1}, 2, 32, 32, 1},
      {{4, 4}, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 0, 32, 32, 1},
      {{9, 41}, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1, 32, 32, 1}};
  return forms;
}

template <typename T>
void check_type(const KernelTable& table, uint64_t seed) {
  Random random(seed);
  const auto check = [&](const Convolution& p) {
    Check<T>{table, p, random}.all();
    check_padding<T>(table, p, random);
  };
  for (int i = 0; i < 80; ++i) check(random_convolution(random));
  for (const Convolution& p : transformed()) check(p);
  for (const Convolution& p : large()) check(p);
}

}  // namespace

int main() {
  for_each_set([](const KernelTable& table) {
    check_type<float>(table, 1);
    check_type<double>(table, 2);
  });
  return check_result();
}
