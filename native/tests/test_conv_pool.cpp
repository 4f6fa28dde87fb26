// Convolutions joined with pooling, on each instruction set: the bits of the two operations apart,
// in tiles of any size. Where slopes of a kernel are added window by window, their order is
// another.
#include "conv_problem.h"

using namespace chainrule;
using namespace chainrule::test;

namespace {

struct Pooling {
  Shape window, strides, padding;

  Shape out(const Shape& space) const {
    Shape out;
    for (size_t a = 0; a < space.size(); ++a) {
      const int64_t room = space[a] + padding[2 * a] + padding[2 * a + 1] - window[a];
      out.push_back(room < 0 ? 0 : room / strides[a] + 1);
    }
    return out;
  }
  // Whether each window has a cell.
  bool sound(const Shape& space) const {
    const Shape places = out(space);
    for (size_t a = 0; a < space.size(); ++a) {
      if (space[a] == 0 || (places[a] - 1) * strides[a] - padding[2 * a] >= space[a]) return false;
    }
    return true;
  }
};

Pooling random_pooling(Random& random, const Shape& space) {
  Pooling q;
  do {
    q = {};
    const bool bare = random.below(2) == 0;
    const bool wide = space.size() == 2 && random.below(8) == 0;  // numbers of more than a byte
    const bool pairs = !wide && random.below(2) == 0;
    for (size_t a = 0; a < space.size(); ++a) {
      q.window.push_back(pairs ? 2 : wide ? 17 : 1 + random.below(4));
      q.strides.push_back(pairs ? 2 : 1 + random.below(3));
      for (int end = 0; end < 2; ++end)
        q.padding.push_back(wide ? 8 : bare ? 0 : random.below(q.window.back()));
    }
  } while (!q.sound(space));
  return q;
}

bool same(const Array& a, const Array& b) {
  return a.guarded() && b.guarded() && a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.size() * size_of(a.dtype()))) == 0;
}

Invocation pool_call(const std::string& name, std::vector<Array*> arguments,
                     std::vector<Array*> outputs, const Pooling& q) {
  Invocation call{name, std::move(arguments), std::move(outputs)};
  call.lists = {{"window", q.window}, {"strides", q.strides}, {"padding", q.padding}};
  return call;
}

Invocation with_pooling(Invocation call, const Pooling& q) {
  call.lists.emplace_back("window", q.window);
  call.lists.emplace_back("pool_strides", q.strides);
  call.lists.emplace_back("pool_padding", q.padding);
  return call;
}

template <typename T>
struct Check {
  const KernelTable& table;
  const Convolution& p;
  const Pooling& q;
  Random& random;
  Shape space = p.out();
  Shape pooled = Convolution::joined({p.n}, q.out(space), {p.m});
  DType place_type = elements(q.window) > 256 ? DType::i32 : DType::u8;
  Array x = drawn<T>(p.image(), random), place{place_type, pooled, random.below(3) * 4};

  void forward(const std::string& activation) {
    Array w = drawn<T>(p.weights(), random), b = drawn<T>({p.m}, random);
    Array z(dtype_of<T>(), p.result()), want(dtype_of<T>(), pooled), where(place_type, pooled);
    Invocation conv = conv_call("conv_bias", {&x, &w, &b}, {&z}, p, {1, 2});
    conv.words = {{"activation", activation}};
    CHECK(run_call(table, conv));
    CHECK(run_call(table, pool_call("max_pool", {&z}, {&want, &where}, q)));
    Array y(dtype_of<T>(), pooled, random.below(8) * static_cast<int64_t>(sizeof(T)));
    conv.operation = "conv_pool";
    conv.outputs = {&y, &place};
    CHECK(same_in_tiles(table, with_pooling(conv, q)));
    CHECK(same(y, want) && same(place, where));
    if (elements(q.window) != 256) rectified(with_pooling(conv, q), want, where);
  }

  // With the relu behind, and no place where it is 0; of a NaN neither is above 0.
  void rectified(Invocation conv, Array& want, Array& where) {
    conv.numbers.emplace_back("rectified", 1.0);
    CHECK(same_in_tiles(table, conv));
    for (int64_t i = 0; i < want.size(); ++i) {
      T& value = want.data<T>()[i];
      if (!(value > 0)) set_place(where, i, elements(q.window));
      if (value <= 0) value = 0;
    }
    CHECK(same(*conv.outputs[0], want) && same(place, where));
    sum_of_placed();
  }

  void set_place(Array& places, int64_t i, int64_t number) {
    if (place_type == DType::u8) {
      places.data<uint8_t>()[i] = static_cast<uint8_t>(number);
    } else {
      places.data<int32_t>()[i] = static_cast<int32_t>(number);
    }
  }
  int64_t place_at(int64_t i) {
    return place_type == DType::u8 ? place.data<uint8_t>()[i] : place.data<int32_t>()[i];
  }

  // The slopes of some samples that stand in some place, for one column.
  double placed(Array& g, int64_t begin, int64_t end, int64_t column) {
    const int64_t places = elements(q.out(space));
    double sum = 0;
    for (int64_t i = begin * places; i < end * places; ++i) {
      const int64_t at = i * p.m + column;
      if (place_at(at) != elements(q.window)) sum += static_cast<double>(g.data<T>()[at]);
    }
    return sum;
  }
  [[nodiscard]] double near(int64_t samples) {
    return (sizeof(T) == 4 ? 1e-6 : 1e-14) * static_cast<double>(samples * elements(space));
  }

  void sum_of_placed() {
    Array g = drawn<T>(pooled, random), got(dtype_of<T>(), {p.n, p.m});
    Invocation call{"pooled_bias_gradient", {&g, &place}, {&got}};
    call.lists = {{"window", q.window}};
    CHECK(same_in_tiles(table, call));
    for (int64_t i = 0; i < got.size(); ++i) {
      const int64_t n = i / p.m;
      CHECK_NEAR(got.data<T>()[i], placed(g, n, n + 1, i % p.m), near(1));
    }
    CHECK(got.guarded());
  }

  // requires: a call that gives the slopes of the kernel alone, which stay the same.
  void bias_gradients(Invocation conv, Array& g) {
    const Array& alone = *conv.outputs[0];
    const int64_t parts = alone.shape()[0], each = (p.n + parts - 1) / parts;
    Array again(dtype_of<T>(), alone.shape()), got(dtype_of<T>(), {parts, p.m});
    conv.outputs = {&again, &got};
    conv.numbers.emplace_back("bias", 1.0);
    CHECK(same_in_tiles(table, conv));
    CHECK(same(again, alone));
    for (int64_t i = 0; i < got.size(); ++i) {
      const int64_t begin = std::min(i / p.m * each, p.n), end = std::min(begin + each, p.n);
      CHECK_NEAR(got.data<T>()[i], placed(g, begin, end, i % p.m), near(each));
    }
    CHECK(got.guarded());
  }

  // requires: places of the maxima.
  void backward() {
    Array g = drawn<T>(pooled, random), turned = drawn<T>(p.turned(), random);
    Array slopes(dtype_of<T>(), p.result());
    Invocation spread = pool_call("max_pool_gradient", {&g, &place}, {&slopes}, q);
    spread.lists.emplace_back("size", space);
    CHECK(run_call(table, spread));
    transposed(g, slopes, turned);
    if (p.n > 0) kernel_gradients(g, slopes, 1 + random.below(p.n + 1));
  }

  void transposed(Array& g, Array& slopes, Array& turned) {
    Array want(dtype_of<T>(), p.image()), got(dtype_of<T>(), p.image());
    Invocation conv = conv_call("conv_transpose", {&slopes, &turned}, {&want}, p, {1});
    conv.lists.emplace_back("size", p.size);
    CHECK(run_call(table, conv));
    conv.operation = "unpooled_conv_transpose";
    conv.arguments = {&g, &place, &turned};
    conv.outputs = {&got};
    conv.whole = {2};
    conv.lists.emplace_back("space", space);
    CHECK(same_in_tiles(table, with_pooling(conv, q)));
    CHECK(same(got, want));
  }

  void kernel_gradients(Array& g, Array& slopes, int64_t parts) {
    const Shape shape = {parts, elements(p.kernel) * p.c / p.groups, p.m};
    Array want(dtype_of<T>(), shape), got(dtype_of<T>(), shape);
    Invocation conv = conv_call("partial_kernel_gradients", {&x, &slopes}, {&want}, p, {0, 1});
    conv.lists.emplace_back("kernel", p.kernel);
    conv.numbers.emplace_back("parts", static_cast<double>(parts));
    CHECK(run_call(table, conv));
    conv.operation = "unpooled_kernel_gradients";
    conv.arguments = {&x, &g, &place};
    conv.outputs = {&got};
    conv.whole = {0, 1, 2};
    conv.lists.emplace_back("space", space);
    CHECK(same_in_tiles(table, with_pooling(conv, q)));
    bias_gradients(with_pooling(conv, q), g);
    const bool by_windows = sizeof(T) == 4 && p.c == 1 && p.size.size() == 2 && p.kernel[0] <= 3 &&
                            p.kernel[1] == 3 && q.window == Shape{2, 2};
    if (!by_windows) {
      CHECK(same(got, want));
      return;
    }
    CHECK(got.guarded());
    for (int64_t i = 0; i < got.size(); ++i)
      CHECK_NEAR(got.data<T>()[i], want.data<T>()[i], near(p.n));
  }
};

template <typename T>
void check_type(const KernelTable& table, uint64_t seed) {
  static const char* const activations[] = {"linear", "relu", "tanh", "sigmoid"};
  Random random(seed);
  for (int i = 0; i < 150;) {
    Convolution p = random_convolution(random);
    if (i % 30 == 0) p = {{70, 60}, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1, 9, 34, 1};
    if (i % 30 == 15) p = {{9, 11}, {3, 3}, {1, 1}, {1, 1, 1, 0}, {1, 1}, 3, 32, 48, 1};
    const bool picked = i % 10 == 7;  // slopes picked lane by lane
    if (picked) {
      const int64_t high = 1 + random.below(3), m = 1 + random.below(70);
      p = {{high + 1 + random.below(9), 4 + random.below(30)},
           {high, 3},
           {1, 1},
           {},
           {1, 1},
           2,
           1,
           m,
           1};
      for (int end = 0; end < 4; ++end) p.padding.push_back(random.below(2));
    }
    if (elements(p.out()) == 0) continue;
    const Pooling q =
        picked ? Pooling{{2, 2}, {2, 2}, {0, 0, 0, 0}} : random_pooling(random, p.out());
    Check<T> check{table, p, q, random};
    check.forward(activations[i++ % 4]);
    check.backward();
  }
}

}  // namespace

int main() {
  for_each_set([](const KernelTable& table) {
    check_type<float>(table, 1);
    check_type<double>(table, 2);
  });
  return check_result();
}
