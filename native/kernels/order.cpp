// Operations along one axis that need its elements in order: argmax, running sums, sorting.
#include "axes.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

// The lines along an axis: `before` blocks of `size * after` elements; a line steps by `after`.
// Where the axis is not the leading one, `before` counts the blocks of a tile.
struct Lines {
  int64_t before;
  int64_t size;
  int64_t after;
};

Lines lines_of(const Call& call, const Tile& tile) noexcept {
  const Operand& x = call.operand[0];
  const int64_t axis = call.integers[0];
  Lines l{1, 1, 1};
  for (int64_t i = 0; i < x.rank; ++i) {
    const int64_t size = i == 0 && axis != 0 ? tile.end - tile.begin : x.shape[i];
    (i < axis ? l.before : i == axis ? l.size : l.after) *= size;
  }
  return l;
}

// The argument at the first line of the tile, or at its beginning where the axis is the leading
// one.
template <typename T>
const T* first_line(const Call& call, const Tile& tile) noexcept {
  const Operand& x = call.operand[0];
  const bool skip = call.integers[0] != 0 && !x.tiled;
  return argument<T>(tile, 0) + (skip ? tile.begin * x.row_size : 0);
}

template <typename T>
int64_t first_maximum(const T* x, int64_t n, int64_t stride) noexcept {
  int64_t best = 0;
  T top = n > 0 ? x[0] : T{};
  for (int64_t i = 1; i < n; ++i) {
    const T value = x[i * stride];
    // Without branches: which element is the greatest so far cannot be foreseen.
    const bool greater = (value > top) | ((value != value) & (top == top));
    best = greater ? i : best;
    top = greater ? value : top;
  }
  return best;
}

// The same for contiguous elements: the maximum by vectors, then the first that is equal to it (or
// NaN with it). requires: n >= kLanes<T>.
template <typename T>
int64_t first_maximum_of_run(const T* x, int64_t n) noexcept {
  const auto greater = [](auto a, auto b) { return ((b <= a) | (a != a)) ? a : b; };
  const int64_t last = n - kLanes<T>;  // a vector there covers the rest
  Vec<T> joined = load(x + last);
  for (int64_t i = 0; i < last; i += kLanes<T>) joined = greater(joined, load(x + i));
  const T top = fold<T>(joined, greater);
  const Vec<T> wanted = splat<T>(top);
  for (int64_t i = 0;; i += kLanes<T>) {
    if (i > last) i = last;
    const Vec<T> v = load(x + i);
    if (!any_bit<IntOf<T>>((v == wanted) | ((v != v) & (wanted != wanted)))) continue;
    while (x[i] != top && x[i] == x[i]) ++i;
    return i;
  }
}

template <typename T>
void argmax(const Call& call, const Tile& tile) noexcept {
  const T* x = first_line<T>(call, tile);
  auto* y = output<int64_t>(call, tile);
  const Lines l = lines_of(call, tile);
  if (call.integers[0] == 0) {
    const int64_t row_size = call.output().row_size;
    for (int64_t i = tile.begin * row_size; i < tile.end * row_size; ++i) {
      *y++ = first_maximum(x + i, l.size, l.after);
    }
    return;
  }
  const bool run = l.after == 1 && l.size >= 4 * kLanes<T>;
  for (int64_t b = 0; b < l.before; ++b, x += l.size * l.after) {
    for (int64_t a = 0; a < l.after; ++a) {
      *y++ = run ? first_maximum_of_run(x, l.size) : first_maximum(x + a, l.size, l.after);
    }
  }
}

// Rows [begin, end) of the sums along `l.size` rows of `l.after` columns, some columns at a time:
// a walk along each column would use one element of every line of the cache.
template <typename T, bool reverse>
void run_sums(const T* x, T* y, const Lines& l, int64_t begin, int64_t end) noexcept {
  using Total = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;
  constexpr int64_t most = 32;
  const int64_t steps = reverse ? l.size - begin : end;
  for (int64_t c = 0; c < l.after; c += most) {
    const int64_t width = l.after - c < most ? l.after - c : most;
    Total total[most] = {};
    for (int64_t k = 0; k < steps; ++k) {
      const int64_t i = reverse ? l.size - 1 - k : k;
      const T* row = x + i * l.after + c;
      for (int64_t j = 0; j < width; ++j) total[j] += static_cast<Total>(row[j]);
      if (i < begin || i >= end) continue;
      T* to = y + (i - begin) * l.after + c;
      for (int64_t j = 0; j < width; ++j) to[j] = static_cast<T>(total[j]);
    }
  }
}

template <typename T, bool reverse>
void cumulative_sum(const Call& call, const Tile& tile) noexcept {
  const Lines l = lines_of(call, tile);
  const T* x = first_line<T>(call, tile);
  T* y = output<T>(call, tile);
  // Along the leading axis a tile needs the sum of all before it, so it walks from the end.
  if (call.integers[0] == 0) return run_sums<T, reverse>(x, y, l, tile.begin, tile.end);
  for (int64_t b = 0; b < l.before; ++b, x += l.size * l.after, y += l.size * l.after) {
    run_sums<T, reverse>(x, y, l, 0, l.size);
  }
}

// What is sorted: the values themselves, or their indices.
template <typename T>
struct Values {
  using Item = T;
  static Item item(const T* x, int64_t i) noexcept { return x[i]; }
  static T value(const T*, Item item) noexcept { return item; }
};
template <typename T>
struct Indices {
  using Item = int64_t;
  static Item item(const T*, int64_t i) noexcept { return i; }
  static T value(const T* x, Item item) noexcept { return x[item]; }
};

// NaN last; equal elements stay as they stand.
template <typename T>
bool in_order(T a, T b) noexcept {
  return (a <= b) | (b != b);
}

template <typename T, template <typename> class What>
void insertion_sort(const T* x, typename What<T>::Item* items, int64_t n) noexcept {
  for (int64_t i = 1; i < n; ++i) {
    const auto item = items[i];
    const T value = What<T>::value(x, item);
    int64_t at = i;
    for (; at > 0 && !in_order(What<T>::value(x, items[at - 1]), value); --at) {
      items[at] = items[at - 1];
    }
    items[at] = item;
  }
}

// The sorted halves [0, middle) and [middle, n) of `from` as one, in `to`.
template <typename T, template <typename> class What>
void merge(const T* x, const typename What<T>::Item* from, int64_t middle, int64_t n,
           typename What<T>::Item* to) noexcept {
  int64_t left = 0;
  int64_t right = middle;
  while (left < middle && right < n) {
    const auto a = from[left], b = from[right];
    const bool take_left = in_order(What<T>::value(x, a), What<T>::value(x, b));
    *to++ = take_left ? a : b;
    left += take_left;
    right += !take_left;
  }
  while (left < middle) *to++ = from[left++];
  while (right < n) *to++ = from[right++];
}

// Sorts short runs, then merges them from one half of the scratch to the other; returns the half
// that holds the result.
template <typename T, template <typename> class What>
const typename What<T>::Item* sort_line(const T* x, int64_t n,
                                        typename What<T>::Item* items) noexcept {
  constexpr int64_t run = 16;
  auto* spare = items + n;
  for (int64_t i = 0; i < n; ++i) items[i] = What<T>::item(x, i);
  for (int64_t start = 0; start < n; start += run) {
    insertion_sort<T, What>(x, items + start, n - start < run ? n - start : run);
  }
  for (int64_t width = run; width < n; width *= 2) {
    for (int64_t start = 0; start < n; start += 2 * width) {
      const int64_t length = n - start < 2 * width ? n - start : 2 * width;
      merge<T, What>(x, items + start, length < width ? length : width, length, spare + start);
    }
    auto* sorted = spare;
    spare = items;
    items = sorted;
  }
  return items;
}

template <typename T, template <typename> class What>
void sort(const Call& call, const Tile& tile) noexcept {
  using Item = typename What<T>::Item;
  const int64_t n = call.integers[1];
  auto* items = reinterpret_cast<Item*>(tile.scratch);
  auto* y = output<Item>(call, tile);
  if (call.operand[0].rank < 2) {  // one line: its elements are the rows, and a tile takes its own
    const Item* sorted = sort_line<T, What>(argument<T>(tile, 0), n, items);
    for (int64_t i = tile.begin; i < tile.end; ++i) *y++ = sorted[i];
    return;
  }
  const T* x = first_line<T>(call, tile);
  for (int64_t left = n > 0 ? tile_size(call, tile, 1) / n : 0; left > 0; --left, x += n) {
    const Item* sorted = sort_line<T, What>(x, n, items);
    for (int64_t i = 0; i < n; ++i) *y++ = sorted[i];
  }
}

template <typename T, template <typename> class What>
Kernel sorter(Call& call) noexcept {
  const Operand& x = call.operand[0];
  const int64_t n = x.rank > 0 ? x.shape[x.rank - 1] : 1;
  call.integers[0] = x.rank - 1;
  call.integers[1] = n;
  call.scratch_bytes = 2 * n * static_cast<int64_t>(sizeof(typename What<T>::Item));
  return sort<T, What>;
}

int64_t integer(const Call& call, const char* name) noexcept {
  return static_cast<int64_t>(call.number(name, 0));
}

}  // namespace

#define CHAINRULE_BY_TYPE(run)            \
  switch (call.operand[0].dtype) {        \
    case DType::f32: return run(float);   \
    case DType::f64: return run(double);  \
    case DType::i32: return run(int32_t); \
    case DType::i64: return run(int64_t); \
    default: return nullptr;              \
  }

Kernel prepare_argmax(Call& call) {
  call.integers[0] = integer(call, "axis");
#define CHAINRULE_ARGMAX(T) argmax<T>
  CHAINRULE_BY_TYPE(CHAINRULE_ARGMAX)
}

Kernel prepare_cumulative_sum(Call& call) {
  call.integers[0] = integer(call, "axis");
  const bool reverse = integer(call, "reverse") != 0;
#define CHAINRULE_CUMULATIVE_SUM(T) (reverse ? cumulative_sum<T, true> : cumulative_sum<T, false>)
  CHAINRULE_BY_TYPE(CHAINRULE_CUMULATIVE_SUM)
}

Kernel prepare_sort(Call& call){
#define CHAINRULE_SORT(T) sorter<T, Values>(call)
    CHAINRULE_BY_TYPE(CHAINRULE_SORT)}

Kernel prepare_argsort(Call& call) {
#define CHAINRULE_ARGSORT(T) sorter<T, Indices>(call)
  CHAINRULE_BY_TYPE(CHAINRULE_ARGSORT)
}

}  // namespace chainrule::CHAINRULE_ISA
