#include "gemm_panels.h"

namespace chainrule::CHAINRULE_ISA {

template <typename T>
Panels<T> pack_panels(const T* b, int64_t b_row, bool transposed, int64_t depth, int64_t columns,
                      T* to) noexcept {
  const Panels<T> packed{to, depth, columns};
  Product<T> p{};
  p.b_row = b_row;
  p.b_transposed = transposed;
  for (int64_t j = 0; j < columns;) {
    const int64_t left = columns - j;
    const int64_t width = next_vectors(pieces(left, kLanes<T>), kBlockVectors) * kLanes<T>;
    p.packed = to;
    pack(p, b + (transposed ? j * b_row : j), depth, least(width, left), width);
    to += depth * width;
    j += width;
  }
  return packed;
}

template <typename T>
void multiply_panels(const Panels<T>& b, const T* a, int64_t a_row, int64_t rows, T* y,
                     int64_t y_row, const T* bias) noexcept {
  Block<T> s;
  s.a_row = a_row;
  s.a_step = 1;
  s.b = b.at;
  s.y_row = y_row;
  s.depth = b.depth;
  s.start = bias != nullptr ? Start::bias : Start::zero;
  s.b_padded = true;
  s.relu = false;
  for (int64_t j = 0; j < b.columns;) {
    const int64_t left = b.columns - j;
    const int64_t vectors = next_vectors(pieces(left, kLanes<T>), kBlockVectors);
    const int64_t width = vectors * kLanes<T>;
    s.b_row = width;
    s.tail = left - (width - kLanes<T>);
    s.bias = bias != nullptr ? bias + j : nullptr;
    multiply_rows(s, a, y + j, rows, vectors, width > left);
    s.b += b.depth * width;
    j += width;
  }
}

template Panels<float> pack_panels<float>(const float*, int64_t, bool, int64_t, int64_t,
                                          float*) noexcept;
template Panels<double> pack_panels<double>(const double*, int64_t, bool, int64_t, int64_t,
                                            double*) noexcept;
template void multiply_panels<float>(const Panels<float>&, const float*, int64_t, int64_t, float*,
                                     int64_t, const float*) noexcept;
template void multiply_panels<double>(const Panels<double>&, const double*, int64_t, int64_t,
                                      double*, int64_t, const double*) noexcept;

}  // namespace chainrule::CHAINRULE_ISA
