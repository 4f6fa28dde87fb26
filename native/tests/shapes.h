// Random shapes, the places of elements in them, and a check that tiles change no bit: for the
// tests of kernels that move or join elements along axes.
#pragma once

#include "support.h"

namespace chainrule::test {

using Shape = std::vector<int64_t>;

inline int64_t elements(const Shape& shape) {
  int64_t n = 1;
  for (const int64_t axis : shape) n *= axis;
  return n;
}
// The index along each axis of the element at `place` in row-major order, and back.
inline Shape index_of(int64_t place, const Shape& shape) {
  Shape index(shape.size());
  for (size_t axis = shape.size(); axis-- > 0; place /= shape[axis])
    index[axis] = place % shape[axis];
  return index;
}
inline int64_t place_of(const Shape& index, const Shape& shape) {
  int64_t place = 0;
  for (size_t axis = 0; axis < shape.size(); ++axis) place = place * shape[axis] + index[axis];
  return place;
}

class Random {
 public:
  explicit Random(uint64_t seed) : bits_(seed) {}
  int64_t below(int64_t n) { return static_cast<int64_t>(bits_() % static_cast<uint64_t>(n)); }
  // Axes that straddle the vectors of every set, short ones where there are many; at times empty.
  Shape shape(int64_t rank) {
    static constexpr int64_t longs[] = {1, 2, 3, 5, 8, 10, 16, 17, 31, 33, 70};
    static constexpr int64_t shorts[] = {1, 2, 3, 4, 5};
    Shape shape;
    for (int64_t axis = 0; axis < rank; ++axis)
      shape.push_back(rank <= 3 ? longs[below(11)] : shorts[below(rank <= 5 ? 5 : 3)]);
    if (rank > 0 && below(12) == 0) shape[static_cast<size_t>(below(rank))] = 0;
    return shape;
  }
  // A subset of 0 ... rank - 1, rising.
  Shape axes(int64_t rank) {
    Shape chosen;
    for (int64_t axis = 0; axis < rank; ++axis)
      if (below(2) == 0) chosen.push_back(axis);
    return chosen;
  }
  Shape permutation(int64_t n) {
    Shape order;
    for (int64_t i = 0; i < n; ++i) order.insert(order.begin() + below(i + 1), i);
    return order;
  }

 private:
  std::mt19937_64 bits_;
};

inline bool contains(const Shape& axes, int64_t axis) {
  for (const int64_t a : axes)
    if (a == axis) return true;
  return false;
}

// Whether the call runs, in any tiles, to the same bits, and writes nothing else.
inline bool same_in_tiles(const KernelTable& table, const Invocation& invocation) {
  if (!run_call(table, invocation)) return false;
  const std::vector<Array*>& outputs = invocation.outputs;
  const std::vector<Array> once = [&] {
    std::vector<Array> copies;
    for (const Array* output : outputs) copies.emplace_back(*output);
    return copies;
  }();
  for (const int64_t tile : {1, 2, 7, 64}) {
    for (Array* output : outputs)
      std::memset(output->raw(), 0x5A,
                  static_cast<size_t>(output->size() * size_of(output->dtype())));
    if (!run_call(table, invocation, tile)) return false;
    for (size_t i = 0; i < outputs.size(); ++i) {
      const auto bytes = static_cast<size_t>(outputs[i]->size() * size_of(outputs[i]->dtype()));
      if (std::memcmp(once[i].raw(), outputs[i]->raw(), bytes) != 0) return false;
      if (!outputs[i]->guarded()) return false;
    }
  }
  return true;
}

// An array of T with small values (whole numbers where T is an integer), `shift` elements off.
template <typename T>
Array numbers(const Shape& shape, uint64_t seed, int64_t shift = 0) {
  const double reach = sizeof(T) == 1 ? 100.0 : 1000.0;
  const double low = std::is_unsigned_v<T> ? 0.0 : -reach;
  return Array(shape, plain_values<T>(elements(shape), seed, low, reach),
               shift * static_cast<int64_t>(sizeof(T)));
}

}  // namespace chainrule::test
