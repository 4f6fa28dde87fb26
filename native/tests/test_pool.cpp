// Pooling on each instruction set against plain loops over windows: one to three axes of space,
// overlapping and distant windows, padding, ties and NaN, in tiles of any size.
#include "shapes.h"

using namespace chainrule;
using namespace chainrule::test;

namespace {

// A pooling of images [n, *size, c]; `padding` is low and high of each axis in turn.
struct Problem {
  Shape size, window, strides, padding;
  int64_t n, c;

  int64_t rank() const { return static_cast<int64_t>(size.size()); }
  Shape out() const {
    Shape out;
    for (size_t a = 0; a < size.size(); ++a) {
      const int64_t room = size[a] + padding[2 * a] + padding[2 * a + 1] - window[a];
      out.push_back(room < 0 ? 0 : room / strides[a] + 1);
    }
    return out;
  }
  Shape image() const { return with_ends(size); }
  Shape pooled() const { return with_ends(out()); }
  bool wide() const { return elements(window) > 256; }
  // Whether each window has a cell.
  bool sound() const {
    const Shape places = out();
    for (size_t a = 0; a < size.size(); ++a) {
      const int64_t last = (places[a] - 1) * strides[a] - padding[2 * a];
      if (places[a] > 0 && (size[a] == 0 || padding[2 * a] >= window[a] || last >= size[a]))
        return false;
    }
    return true;
  }

  // body(element of the output, element of the image, number of the place) for all that meet, in
  // row-major order of outputs, then places.
  template <typename Body>
  void each_meeting(Body body) const {
    const Shape whole = pooled();
    for (int64_t o = 0; o < elements(whole); ++o) {
      const Shape at = index_of(o, whole);
      for (int64_t k = 0; k < elements(window); ++k) {
        Shape cell = index_of(k, window);
        bool inside = true;
        for (size_t a = 0; a < size.size(); ++a) {
          cell[a] += at[a + 1] * strides[a] - padding[2 * a];
          inside = inside && cell[a] >= 0 && cell[a] < size[a];
        }
        cell.insert(cell.begin(), at[0]);
        cell.push_back(at.back());
        if (inside) body(o, place_of(cell, image()), k);
      }
    }
  }

 private:
  Shape with_ends(const Shape& space) const {
    Shape shape = {n};
    shape.insert(shape.end(), space.begin(), space.end());
    shape.push_back(c);
    return shape;
  }
};

Problem random_problem(Random& random) {
  static constexpr int64_t channels[] = {0, 1, 2, 3, 5, 6, 7, 8, 9, 15, 16, 17, 20, 32, 33, 40};
  Problem p;
  do {
    p = {};
    p.n = random.below(6);
    p.c = channels[random.below(16)];
    const int64_t rank = 1 + random.below(3);
    const bool pairs = random.below(2) == 0;
    const bool bare = random.below(3) != 0;
    const bool wide = random.below(12) == 0;
    for (int64_t a = 0; a < rank; ++a) {
      const int64_t window = wide && rank > 1 ? 15 + random.below(4) : 1 + random.below(4);
      p.size.push_back(random.below(rank == 1 ? 30 : 9));
      p.window.push_back(pairs ? 2 : window);
      p.strides.push_back(pairs ? 2 : 1 + random.below(4));
      for (int end = 0; end < 2; ++end)
        p.padding.push_back(bare ? 0 : random.below(p.window.back()));
    }
  } while (!p.sound());
  return p;
}

Invocation call_of(const std::string& name, std::vector<Array*> arguments,
                   std::vector<Array*> outputs, const Problem& p) {
  Invocation call{name, std::move(arguments), std::move(outputs)};
  call.lists = {{"window", p.window}, {"strides", p.strides}, {"padding", p.padding}};
  return call;
}

// Few different values, so that many are equal; at times NaN and infinities.
template <typename T>
Array images(const Shape& shape, Random& random, bool special) {
  static constexpr T values[] = {T(0),
                                 T(1),
                                 T(2),
                                 T(-1),
                                 -T(0),
                                 std::numeric_limits<T>::quiet_NaN(),
                                 -std::numeric_limits<T>::infinity(),
                                 std::numeric_limits<T>::infinity()};
  Array x(dtype_of<T>(), shape, random.below(8) * static_cast<int64_t>(sizeof(T)));
  for (int64_t i = 0; i < x.size(); ++i)
    x.template data<T>()[i] = values[random.below(special ? 8 : 5)];
  return x;
}

template <typename Place>
Array random_places(const Problem& p, Random& random) {
  Array place(dtype_of<Place>(), p.pooled());
  for (int64_t i = 0; i < place.size(); ++i)
    place.data<Place>()[i] = static_cast<Place>(random.below(elements(p.window)));
  return place;
}

template <typename T>
bool same(T a, T b) {
  return std::isnan(a) ? std::isnan(b) : a == b;
}

template <typename T, typename Place>
void check_max(const KernelTable& table, const Problem& p, Random& random) {
  Array x = images<T>(p.image(), random, random.below(2) == 0);
  Array y(dtype_of<T>(), p.pooled()), place(dtype_of<Place>(), p.pooled());
  CHECK(same_in_tiles(table, call_of("max_pool", {&x}, {&y, &place}, p)));
  std::vector<T> want(static_cast<size_t>(y.size()));
  std::vector<int64_t> number(want.size(), -1);
  p.each_meeting([&](int64_t o, int64_t i, int64_t k) {
    const T value = x.data<T>()[i], best = want[static_cast<size_t>(o)];
    if (number[static_cast<size_t>(o)] >= 0 && (value <= best || std::isnan(best))) return;
    want[static_cast<size_t>(o)] = value;
    number[static_cast<size_t>(o)] = k;
  });
  for (int64_t o = 0; o < y.size(); ++o) {
    CHECK(same(y.data<T>()[o], want[static_cast<size_t>(o)]));
    CHECK(place.data<Place>()[o] == number[static_cast<size_t>(o)]);
  }
}

template <typename T, typename Place>
void check_maps_back(const KernelTable& table, const Problem& p, Random& random) {
  Array g = numbers<T>(p.pooled(), 3, random.below(4)), h = numbers<T>(p.image(), 4);
  Array place = random_places<Place>(p, random);
  Array dx(dtype_of<T>(), p.image()), taken(dtype_of<T>(), p.pooled());
  CHECK(same_in_tiles(table, call_of("max_pool_gradient", {&g, &place}, {&dx}, p)));
  CHECK(same_in_tiles(table, call_of("max_pool_take", {&h, &place}, {&taken}, p)));
  std::vector<double> slope(static_cast<size_t>(dx.size())), want(static_cast<size_t>(g.size()));
  p.each_meeting([&](int64_t o, int64_t i, int64_t k) {
    if (place.data<Place>()[o] != k) return;
    slope[static_cast<size_t>(i)] += g.data<T>()[o];
    want[static_cast<size_t>(o)] = h.data<T>()[i];
  });
  const double bound = 1e5 * static_cast<double>(std::numeric_limits<T>::epsilon());
  for (int64_t i = 0; i < dx.size(); ++i)
    CHECK_NEAR(dx.data<T>()[i], slope[static_cast<size_t>(i)], bound);
  for (int64_t o = 0; o < g.size(); ++o)
    CHECK_NEAR(taken.data<T>()[o], want[static_cast<size_t>(o)], 0);
}

template <typename T>
void check_sums(const KernelTable& table, const Problem& p, Random& random) {
  Array x = numbers<T>(p.image(), 1, random.below(4)), g = numbers<T>(p.pooled(), 2);
  Array y(dtype_of<T>(), p.pooled()), dx(dtype_of<T>(), p.image());
  CHECK(same_in_tiles(table, call_of("sum_pool", {&x}, {&y}, p)));
  CHECK(same_in_tiles(table, call_of("sum_pool_gradient", {&g}, {&dx}, p)));
  std::vector<double> sum(static_cast<size_t>(y.size())), slope(static_cast<size_t>(x.size()));
  p.each_meeting([&](int64_t o, int64_t i, int64_t) {
    sum[static_cast<size_t>(o)] += x.data<T>()[i];
    slope[static_cast<size_t>(i)] += g.data<T>()[o];
  });
  const double unit = static_cast<double>(std::numeric_limits<T>::epsilon());
  const double bound = 4e3 * static_cast<double>(elements(p.window)) * unit;
  for (int64_t o = 0; o < y.size(); ++o)
    CHECK_NEAR(y.data<T>()[o], sum[static_cast<size_t>(o)], bound);
  for (int64_t i = 0; i < x.size(); ++i)
    CHECK_NEAR(dx.data<T>()[i], slope[static_cast<size_t>(i)], bound);
}

template <typename T>
void check_type(const KernelTable& table, uint64_t seed) {
  Random random(seed);
  for (int i = 0; i < 120; ++i) {
    const Problem p = random_problem(random);
    if (p.wide()) {
      check_max<T, int32_t>(table, p, random);
      check_maps_back<T, int32_t>(table, p, random);
    } else {
      check_max<T, uint8_t>(table, p, random);
      check_maps_back<T, uint8_t>(table, p, random);
    }
    check_sums<T>(table, p, random);
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
