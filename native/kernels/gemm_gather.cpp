#include "gemm_gather.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

template <typename T, int vectors, bool part>
inline void start_row(Vec<T> (&sum)[vectors], const Gathered<T>& s, int64_t j, const T* y,
                      int64_t tail) noexcept {
  if (s.start == Start::zero) {
    CHAINRULE_UNROLL
    for (int v = 0; v < vectors; ++v) sum[v] = Vec<T>{};
  } else {
    load_row<T, vectors, part>(sum, s.start == Start::sum ? y : s.bias + j, tail);
  }
}

// Rows [first, first + groups * rows) and the columns of a few vectors from j on, of which the last
// holds `tail`.
template <typename T, int rows, int vectors, bool part>
[[gnu::noinline]] void gather_block(const Gathered<T>& s, int64_t first, int64_t groups, int64_t j,
                                    int64_t tail) noexcept {
  for (; groups > 0; --groups, first += rows) {
    const T* a[rows];
    Vec<T> sum[rows][vectors];
    CHAINRULE_UNROLL
    for (int r = 0; r < rows; ++r) {
      a[r] = s.x + s.row[first + r];
      start_row<T, vectors, part>(sum[r], s, j, s.y + s.to[first + r] + j, tail);
    }
    add_gathered<T, rows, vectors, part>(sum, a, s.step, s.depth, s.b + j, s.b_row, tail);
    if (s.relu) relu_sums<T>(sum);
    CHAINRULE_UNROLL
    for (int r = 0; r < rows; ++r) {
      store_row<T, vectors, part>(sum[r], s.y + s.to[first + r] + j, tail);
    }
  }
}

template <typename T, int rows>
struct GatherBlock {
  template <int vectors, bool part>
  struct Of {
    static constexpr auto run = gather_block<T, rows, vectors, part>;
  };
};

template <typename T, int rows = kBlockRows>
inline void gather_rows(const Gathered<T>& s, int64_t first, int64_t j, int64_t vectors,
                        int64_t tail, bool part) noexcept {
  const int64_t groups = (s.rows - first) / rows;
  if (groups > 0) {
    block_for<kBlockVectors, GatherBlock<T, rows>::template Of>(vectors, part)(s, first, groups, j,
                                                                               tail);
  }
  first += groups * rows;
  if constexpr (rows > 1) {
    if (first < s.rows) gather_rows<T, rows / 2>(s, first, j, vectors, tail, part);
  }
}

}  // namespace

template <typename T>
void multiply_gathered(const Gathered<T>& s) noexcept {
  for (int64_t j = 0; j < s.columns;) {
    const int64_t left = s.columns - j;
    const int64_t vectors = next_vectors(pieces(left, kLanes<T>), kBlockVectors);
    const int64_t width = vectors * kLanes<T>;
    gather_rows<T>(s, 0, j, vectors, left - (width - kLanes<T>), width > left);
    j += width;
  }
}

namespace {

template <typename T, int rows, typename At>
inline void gather_lanes(const Gathered<T>& s, At at, int64_t j, int64_t first) noexcept {
  const T* a[rows];
  Vec<T> sum[rows];
  CHAINRULE_UNROLL
  for (int r = 0; r < rows; ++r) {
    a[r] = s.x + s.row[first + r] + j;
    const T* y = s.y + s.to[first + r] + j;
    sum[r] = s.start == Start::zero ? Vec<T>{} : at.load(s.start == Start::sum ? y : s.bias + j);
  }
  const T* b = s.b + j;
  for (int64_t p = 0; p < s.depth; ++p, b += s.b_row) {
    const int64_t from = s.step[p];
    const Vec<T> w = at.load(b);
    CHAINRULE_UNROLL
    for (int r = 0; r < rows; ++r) sum[r] = fma(at.load(a[r] + from), w, sum[r]);
  }
  CHAINRULE_UNROLL
  for (int r = 0; r < rows; ++r) {
    if (s.relu) sum[r] = select<T>(sum[r] <= 0, Vec<T>{}, sum[r]);
    at.store(s.y + s.to[first + r] + j, sum[r]);
  }
}

}  // namespace

template <typename T>
void multiply_lanes(const Gathered<T>& s) noexcept {
  int64_t i = 0;
  for (; i + kBlockRows <= s.rows; i += kBlockRows) {
    each_vector<T>(s.columns,
                   [&](auto at, int64_t j) { gather_lanes<T, kBlockRows>(s, at, j, i); });
  }
  for (; i < s.rows; ++i) {
    each_vector<T>(s.columns, [&](auto at, int64_t j) { gather_lanes<T, 1>(s, at, j, i); });
  }
}

template <typename T>
void multiply_apart(const Product<T>& p) noexcept {
  multiply(p);
}

template void multiply_gathered<float>(const Gathered<float>&) noexcept;
template void multiply_gathered<double>(const Gathered<double>&) noexcept;
template void multiply_lanes<float>(const Gathered<float>&) noexcept;
template void multiply_lanes<double>(const Gathered<double>&) noexcept;
template void multiply_apart<float>(const Product<float>&) noexcept;
template void multiply_apart<double>(const Product<double>&) noexcept;

}  // namespace chainrule::CHAINRULE_ISA
