// Random convolutions, and the products that their elements are sums of.
#pragma once

#include "shapes.h"

namespace chainrule::test {

// A convolution of images [n, *size, c]; `padding` is low and high of each axis in turn.
struct Convolution {
  Shape size, kernel, strides, padding, dilation;
  int64_t n, c, m, groups;

  Shape out() const {
    Shape out;
    for (size_t a = 0; a < size.size(); ++a) {
      const int64_t reach = (kernel[a] - 1) * dilation[a] + 1;
      const int64_t room = size[a] + padding[2 * a] + padding[2 * a + 1] - reach;
      out.push_back(room < 0 ? 0 : room / strides[a] + 1);
    }
    return out;
  }
  Shape image() const { return joined({n}, size, {c}); }
  Shape result() const { return joined({n}, out(), {m}); }
  Shape weights() const { return joined({}, kernel, {c / groups, m}); }
  Shape turned() const { return joined({}, kernel, {m / groups, c}); }
  bool three_by_three() const {
    return kernel.size() > 1 && kernel.back() == 3 && kernel[kernel.size() - 2] == 3;
  }
  int64_t products() const { return elements(joined({n}, out(), kernel)) * c * m / groups; }

  // body(pixel of the image, pixel of the result, place of the kernel) for all that meet.
  template <typename Body>
  void each_meeting(Body body) const {
    const Shape places = joined({n}, out(), {}), pixels = joined({n}, size, {});
    for (int64_t o = 0; o < elements(places); ++o) {
      const Shape at = index_of(o, places);
      for (int64_t k = 0; k < elements(kernel); ++k) {
        Shape pixel = index_of(k, kernel);
        bool inside = true;
        for (size_t a = 0; a < size.size(); ++a) {
          pixel[a] = at[a + 1] * strides[a] + pixel[a] * dilation[a] - padding[2 * a];
          inside = inside && pixel[a] >= 0 && pixel[a] < size[a];
        }
        pixel.insert(pixel.begin(), at[0]);
        if (inside) body(place_of(pixel, pixels), o, k);
      }
    }
  }

  // body(element of the image, of the weights, of the turned weights, of the result).
  template <typename Body>
  void each_product(Body body) const {
    const int64_t depth = c / groups, width = m / groups;
    each_meeting([&](int64_t i, int64_t o, int64_t k) {
      for (int64_t from = 0; from < c; ++from) {
        const int64_t group = from / depth, d = from % depth;
        for (int64_t j = 0; j < width; ++j) {
          body(i * c + from, (k * depth + d) * m + group * width + j, (k * width + j) * c + from,
               o * m + group * width + j);
        }
      }
    });
  }

  static Shape joined(Shape first, const Shape& middle, const Shape& last) {
    first.insert(first.end(), middle.begin(), middle.end());
    first.insert(first.end(), last.begin(), last.end());
    return first;
  }
};

inline void choose_channels(Convolution& p, Random& random) {
  static constexpr int64_t counts[] = {0, 1, 2, 3, 5, 6, 8, 9, 15, 16, 17, 20, 32, 33, 40};
  p.c = counts[random.below(11)];
  p.m = counts[random.below(15)];
  p.groups = 1;
  if (random.below(5) == 0) {
    p.groups = 2 + random.below(2);
    p.c *= p.groups;
    p.m *= p.groups;
  } else if (random.below(4) == 0) {  // each channel on its own, or with several filters
    p.c = counts[1 + random.below(14)];
    p.m = p.c * (random.below(3) == 0 ? 2 : 1);
    p.groups = p.c;
  }
}

inline Convolution random_convolution(Random& random, int64_t most = 30000) {
  Convolution p;
  do {
    p = {};
    p.n = random.below(6);
    choose_channels(p, random);
    const int64_t rank = 1 + random.below(3);
    const bool plain = random.below(3) == 0, bare = random.below(3) == 0;
    for (int64_t a = 0; a < rank; ++a) {
      p.size.push_back(random.below(12) == 0 ? 0 : 1 + random.below(rank == 1 ? 30 : 9));
      p.kernel.push_back(1 + random.below(4));
      p.strides.push_back(plain ? 1 : 1 + random.below(3));
      p.dilation.push_back(plain ? 1 : 1 + random.below(2));
      for (int end = 0; end < 2; ++end) p.padding.push_back(bare ? 0 : random.below(4));
    }
  } while (p.products() > most);
  return p;
}

inline Invocation conv_call(const std::string& name, std::vector<Array*> arguments,
                            std::vector<Array*> outputs, const Convolution& p,
                            std::vector<size_t> whole) {
  Invocation call{name, std::move(arguments), std::move(outputs)};
  call.lists = {{"strides", p.strides}, {"padding", p.padding}, {"dilation", p.dilation}};
  call.numbers = {{"groups", static_cast<double>(p.groups)}};
  call.whole = std::move(whole);
  return call;
}

// Numbers of either sign, some elements away from an aligned address.
template <typename T>
Array drawn(const Shape& shape, Random& random) {
  const auto seed = static_cast<uint64_t>(random.below(1 << 30));
  const int64_t shift = random.below(8) * static_cast<int64_t>(sizeof(T));
  return Array(shape, plain_values<T>(elements(shape), seed), shift);
}

}  // namespace chainrule::test
