// Operations along one axis that need its elements in order: argmax, running sums, sorting.

#include "simd.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

int64_t integer(const Call& call, const char* name) noexcept {
  return static_cast<int64_t>(call.number(name, 0));
}

// The lines along an axis: `before` blocks of `size * after` elements; a line steps by `after`.
// For a tiled array the leading axis is cut to the tile; requires: the axis is not the leading one.
struct Lines {
  int64_t before;
  int64_t size;
  int64_t after;
};

Lines lines_of(const Call& call, const Tile& tile) noexcept {
  const Operand& x = call.operand[0];
  Lines l{1, 1, 1};
  const int64_t axis = call.integers[0];
  for (int64_t i = 0; i < x.rank; ++i) {
    const int64_t size = i == 0 && x.tiled ? tile.end - tile.begin : x.shape[i];
    (i < axis ? l.before : i == axis ? l.size : l.after) *= size;
  }
  return l;
}

template <typename T>
bool greater(T a, T b) noexcept {
  return a > b || (a != a && b == b);
}

template <typename T>
int64_t first_maximum(const T* x, int64_t n, int64_t stride) noexcept {
  int64_t best = 0;
  for (int64_t i = 1; i < n; ++i) {
    if (greater(x[i * stride], x[best * stride])) best = i;
  }
  return best;
}

template <typename T>
void argmax(const Call& call, const Tile& tile) noexcept {
  const Lines l = lines_of(call, tile);
  const T* x = argument<T>(tile, 0);
  auto* y = output<int64_t>(call, tile);
  if (call.operand[0].tiled) {
    for (int64_t b = 0; b < l.before; ++b) {
      for (int64_t a = 0; a < l.after; ++a) {
        *y++ = first_maximum(x + b * l.size * l.after + a, l.size, l.after);
      }
    }
    return;
  }
  const int64_t row_size = call.output().row_size;  // the leading axis is the one that goes
  for (int64_t i = tile.begin * row_size; i < tile.end * row_size; ++i) {
    *y++ = first_maximum(x + i, l.size, l.after);
  }
}

template <typename T>
void cumulative_sum(const Call& call, const Tile& tile) noexcept {
  const Lines l = lines_of(call, tile);
  const T* x = argument<T>(tile, 0);
  T* y = output<T>(call, tile);
  const bool reverse = call.integers[1] != 0;
  using Total = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;
  // Along the leading axis a tile needs the sum of all before it, so every tile walks from the end.
  const bool whole = !call.operand[0].tiled;
  const int64_t begin = whole ? tile.begin : 0;
  const int64_t end = whole ? tile.end : l.size;
  for (int64_t b = 0; b < l.before; ++b) {
    const T* from = x + b * l.size * l.after;
    T* to = y + (whole ? 0 : b * l.size * l.after);
    for (int64_t a = 0; a < l.after; ++a) {
      Total total = 0;
      for (int64_t k = 0; k < l.size; ++k) {
        const int64_t i = reverse ? l.size - 1 - k : k;
        total += static_cast<Total>(from[i * l.after + a]);
        if (i >= begin && i < end) to[(i - begin) * l.after + a] = static_cast<T>(total);
      }
    }
  }
}

template <typename T>
bool in_order(T a, T b) noexcept {
  return a <= b || b != b;  // NaN last; equal elements stay as they stand
}

// Merges the sorted halves [0, middle) and [middle, n) of `index` through `spare`.
template <typename T>
void merge(const T* x, int64_t* index, int64_t middle, int64_t n, int64_t* spare) noexcept {
  int64_t left = 0;
  int64_t right = middle;
  for (int64_t i = 0; i < n; ++i) {
    const bool take_left =
        left < middle && (right >= n || in_order(x[index[left]], x[index[right]]));
    spare[i] = take_left ? index[left++] : index[right++];
  }
  for (int64_t i = 0; i < n; ++i) index[i] = spare[i];
}

template <typename T>
void sort_line(const T* x, int64_t n, int64_t* index, int64_t* spare) noexcept {
  for (int64_t i = 0; i < n; ++i) index[i] = i;
  for (int64_t width = 1; width < n; width *= 2) {
    for (int64_t start = 0; start + width < n; start += 2 * width) {
      const int64_t length = n - start < 2 * width ? n - start : 2 * width;
      merge(x, index + start, width, length, spare);
    }
  }
}

template <typename T, bool indices>
void sort(const Call& call, const Tile& tile) noexcept {
  const Lines l = lines_of(call, tile);
  auto* index = reinterpret_cast<int64_t*>(tile.scratch);
  for (int64_t b = 0; b < l.before; ++b) {
    const T* x = argument<T>(tile, 0) + b * l.size;
    sort_line(x, l.size, index, index + l.size);
    for (int64_t i = 0; i < l.size; ++i) {
      if constexpr (indices) {
        output<int64_t>(call, tile)[b * l.size + i] = index[i];
      } else {
        output<T>(call, tile)[b * l.size + i] = x[index[i]];
      }
    }
  }
}

template <typename T, bool indices>
Kernel sorter(Call& call) noexcept {
  const Operand& x = call.operand[0];
  const int64_t n = x.rank > 0 ? x.shape[x.rank - 1] : 1;
  call.integers[0] = x.rank - 1;
  call.scratch_bytes = 2 * n * static_cast<int64_t>(sizeof(int64_t));
  return sort<T, indices>;
}

}  // namespace

#define CHAINRULE_BY_TYPE(run)                 \
  switch (call.operand[0].dtype) {             \
    case DType::f32: return run(float);        \
    case DType::f64: return run(double);       \
    case DType::i32: return run(int32_t);      \
    case DType::i64: return run(int64_t);      \
    default: return nullptr;                   \
  }

Kernel prepare_argmax(Call& call) {
  call.integers[0] = integer(call, "axis");
#define CHAINRULE_ARGMAX(T) argmax<T>
  CHAINRULE_BY_TYPE(CHAINRULE_ARGMAX)
}

Kernel prepare_cumulative_sum(Call& call) {
  call.integers[0] = integer(call, "axis");
  call.integers[1] = integer(call, "reverse");
#define CHAINRULE_CUMULATIVE_SUM(T) cumulative_sum<T>
  CHAINRULE_BY_TYPE(CHAINRULE_CUMULATIVE_SUM)
}

Kernel prepare_sort(Call& call) {
#define CHAINRULE_SORT(T) sorter<T, false>(call)
  CHAINRULE_BY_TYPE(CHAINRULE_SORT)
}

Kernel prepare_argsort(Call& call) {
#define CHAINRULE_ARGSORT(T) sorter<T, true>(call)
  CHAINRULE_BY_TYPE(CHAINRULE_ARGSORT)
}

}  // namespace chainrule::CHAINRULE_ISA
