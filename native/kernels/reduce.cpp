// Sums and maxima over any axes. `prepare` merges neighbouring axes that are both kept or both
// reduced; then either the innermost axis is reduced, and each output joins runs of contiguous
// elements, or it is kept, and neighbouring outputs are joined row by row in registers. An output
// is the same whichever tile it is in, as nothing but its own elements decides the order.
#include "axes.h"
#include "widen.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

// The kept axes, which number the outputs in row-major order, and behind them the reduced ones.
// Lives in Call::integers.
struct Problem {
  int64_t kept;
  int64_t reduced;
  int64_t columns;  // whether the innermost axis is kept
  Axis axis[max_rank + 1];

  [[nodiscard]] const Axis* reduced_axes() const noexcept { return axis + kept; }
};
static_assert(sizeof(Problem) <= sizeof(Call::integers));

const Problem& problem_of(const Call& call) noexcept {
  return *reinterpret_cast<const Problem*>(call.integers);
}

bool is_reduced(const Call& call, int axis) noexcept {
  const Attribute* axes = call.find("axes");
  if (axes == nullptr) return false;
  for (const double a : axes->numbers) {
    if (static_cast<int>(a) == axis) return true;
  }
  return false;
}

void set_up(Call& call) noexcept {
  const Operand& x = call.operand[0];
  Axis kept[max_rank] = {};
  Axis reduced[max_rank + 1] = {};
  Problem p{};
  int64_t stride = 1;
  for (int axis = x.rank - 1; axis >= 0; --axis) {
    const Axis one{x.shape[axis], stride};
    stride *= one.size;
    if (is_reduced(call, axis)) {
      p.reduced = prepend(reduced, p.reduced, one);
    } else {
      p.kept = prepend(kept, p.kept, one);
    }
  }
  p.columns = p.kept > 0 && kept[p.kept - 1].stride == 1;
  if (p.reduced == 0) reduced[p.reduced++] = {1, 1};
  for (int64_t i = 0; i < p.kept; ++i) p.axis[i] = kept[i];
  for (int64_t i = 0; i < p.reduced; ++i) p.axis[p.kept + i] = reduced[i];
  std::memcpy(call.integers, &p, sizeof p);
}

// How partial results are held and joined, a number or a vector at a time. Sums of floats are held
// in double, which costs little next to reading them.
struct Sum {
  template <typename T>
  using Total = std::conditional_t<std::is_same_v<T, float>, double, T>;
  template <typename T>
  static constexpr T first() noexcept {
    return 0;
  }
  template <typename V>
  static V join(V total, V x) noexcept {
    return total + x;
  }
  // What an element counts as.
  template <typename V>
  static V term(V x) noexcept {
    return x;
  }
};

struct SumOfSquares : Sum {
  template <typename V>
  static V term(V x) noexcept {
    return x * x;
  }
};

struct Max {
  template <typename T>
  using Total = T;
  template <typename T>
  static constexpr T first() noexcept {
    if constexpr (std::is_floating_point_v<T>) {
      return static_cast<T>(-__builtin_huge_val());
    } else {
      return static_cast<T>(uint64_t{1} << (8 * sizeof(T) - 1));
    }
  }
  template <typename V>
  static V join(V total, V x) noexcept {
    return ((x <= total) | (total != total)) ? total : x;  // a NaN wins, and stays
  }
  template <typename V>
  static V term(V x) noexcept {
    return x;
  }
};

template <typename T, typename Op>
using TotalOf = typename Op::template Total<T>;

// The elements that are joined before the result is joined with that of other blocks: it keeps the
// error of a sum in double independent of its length, nearly.
constexpr int64_t kBlock = 1024;

// Whole vectors of a block of a run, four at a time, as the sum of one waits for the one before.
template <typename T, typename Op>
Vec<TotalOf<T, Op>> join_block(const T* x, int64_t n, Vec<TotalOf<T, Op>> total) noexcept {
  using Total = TotalOf<T, Op>;
  constexpr int64_t lanes = kLanes<Total>;
  const auto term = [](const T* p) { return Op::term(widened<T, Total>(p)); };
  int64_t i = 0;
  if (n >= 4 * lanes) {
    Vec<Total> a = term(x), b = term(x + lanes), c = term(x + 2 * lanes), d = term(x + 3 * lanes);
    for (i = 4 * lanes; i + 4 * lanes <= n; i += 4 * lanes) {
      a = Op::join(a, term(x + i));
      b = Op::join(b, term(x + i + lanes));
      c = Op::join(c, term(x + i + 2 * lanes));
      d = Op::join(d, term(x + i + 3 * lanes));
    }
    total = Op::join(total, Op::join(Op::join(a, b), Op::join(c, d)));
  }
  for (; i + lanes <= n; i += lanes) total = Op::join(total, term(x + i));
  return total;
}

// All of n contiguous elements.
template <typename T, typename Op>
TotalOf<T, Op> join_run(const T* x, int64_t n) noexcept {
  using Total = TotalOf<T, Op>;
  constexpr int64_t lanes = kLanes<Total>;
  Total total = Op::template first<Total>();
  int64_t i = 0;
  if (n >= lanes) {
    Vec<Total> joined = splat<Total>(total);
    const int64_t whole = n - n % lanes;
    for (; i < whole; i += kBlock) {
      joined = join_block<T, Op>(x + i, whole - i < kBlock ? whole - i : kBlock, joined);
    }
    i = whole;
    total = fold<Total>(joined, [](auto a, auto b) { return Op::join(a, b); });
  }
  for (; i < n; ++i) total = Op::join(total, Op::term(static_cast<Total>(x[i])));
  return total;
}

// Outputs [first, last) where the innermost axis is reduced.
template <typename T, typename Op>
void reduce_runs(const T* x, T* y, const Problem& p, int64_t first, int64_t last) noexcept {
  const Axis* reduced = p.reduced_axes();
  const int64_t outer = p.reduced - 1;
  const int64_t length = reduced[outer].size;
  const int64_t runs = product(reduced, outer);
  Odometer output(p.axis, p.kept);
  output.seek(first);
  for (int64_t i = first; i < last; ++i, output.next()) {
    if (runs == 1) {
      y[i - first] = static_cast<T>(join_run<T, Op>(x + output.offset, length));
      continue;
    }
    auto total = Op::template first<TotalOf<T, Op>>();
    Odometer run(reduced, outer);
    for (int64_t r = 0; r < runs; ++r, run.next()) {
      total = Op::join(total, join_run<T, Op>(x + output.offset + run.offset, length));
    }
    y[i - first] = static_cast<T>(total);
  }
}

// y[0, vectors * lanes) of rows that the reduced axes name; `load(p)` reads a vector of a row.
template <typename T, typename Op, int vectors, typename Load>
void join_columns(const T* x, const Problem& p, Vec<TotalOf<T, Op>>* total, Load load) noexcept {
  using V = Vec<TotalOf<T, Op>>;
  constexpr int64_t lanes = kLanes<TotalOf<T, Op>>;
  const V none = splat<TotalOf<T, Op>>(Op::template first<TotalOf<T, Op>>());
  for (int v = 0; v < vectors; ++v) total[v] = none;
  const Axis rows = p.reduced_axes()[p.reduced - 1];
  const int64_t steps = product(p.reduced_axes(), p.reduced - 1);
  Odometer outer(p.reduced_axes(), p.reduced - 1);
  for (int64_t step = 0; step < steps; ++step, outer.next()) {
    const T* row = x + outer.offset;
    for (int64_t start = 0; start < rows.size; start += kBlock) {
      const int64_t n = rows.size - start < kBlock ? rows.size - start : kBlock;
      V block[vectors];
      for (int v = 0; v < vectors; ++v) block[v] = none;
      for (int64_t r = 0; r < n; ++r, row += rows.stride) {
        for (int v = 0; v < vectors; ++v) block[v] = Op::join(block[v], load(row + v * lanes));
      }
      for (int v = 0; v < vectors; ++v) total[v] = Op::join(total[v], block[v]);
    }
  }
}

// Columns [0, n) of y as long as `vectors` whole vectors are left; returns how many were done.
template <typename T, typename Op, int vectors>
int64_t whole_columns(const T* x, T* y, const Problem& p, int64_t n) noexcept {
  using Total = TotalOf<T, Op>;
  constexpr int64_t width = vectors * kLanes<Total>;
  int64_t c = 0;
  for (; c + width <= n; c += width) {
    Vec<Total> total[vectors];
    join_columns<T, Op, vectors>(x + c, p, total,
                                 [](const T* q) { return Op::term(widened<T, Total>(q)); });
    for (int v = 0; v < vectors; ++v) {
      for (int64_t i = 0; i < kLanes<Total>; ++i) {
        y[c + v * kLanes<Total> + i] = static_cast<T>(total[v][i]);
      }
    }
  }
  return c;
}

// n neighbouring columns: as many at a time as leave room in the registers, then fewer.
template <typename T, typename Op>
void reduce_columns(const T* x, T* y, const Problem& p, int64_t n) noexcept {
  using Total = TotalOf<T, Op>;
  int64_t c = whole_columns<T, Op, 8>(x, y, p, n);
  c += whole_columns<T, Op, 4>(x + c, y + c, p, n - c);
  c += whole_columns<T, Op, 2>(x + c, y + c, p, n - c);
  c += whole_columns<T, Op, 1>(x + c, y + c, p, n - c);
  const int64_t left = n - c;
  if (left == 0) return;
  Vec<Total> total[1];
  join_columns<T, Op, 1>(x + c, p, total,
                         [=](const T* q) { return Op::term(widened_part<T, Total>(q, left)); });
  for (int64_t i = 0; i < left; ++i) y[c + i] = static_cast<T>(total[0][i]);
}

// Rows of few columns, one behind the other, are taken side by side as one row that fills vectors:
// of six channels 3.5 times as fast. How many; 1 where that is not so.
constexpr int64_t kNarrow = 256;
template <typename T, typename Op>
int64_t rows_side_by_side(const Problem& p) noexcept {
  const int64_t width = p.axis[p.kept - 1].size;
  const Axis rows = p.reduced_axes()[0];
  if (p.reduced != 1 || rows.stride != width || width == 0) return 1;
  int64_t times = 1;
  while (width * times % kLanes<TotalOf<T, Op>> != 0) times *= 2;
  return width * times <= kNarrow && 8 * times <= rows.size ? times : 1;
}

// Columns [column, column + n) of y where so many rows stand side by side. Each takes all columns
// of the row, so that the tile changes no bit.
template <typename T, typename Op>
void reduce_narrow(const T* x, T* y, const Problem& p, int64_t times, int64_t column,
                   int64_t n) noexcept {
  using Total = TotalOf<T, Op>;
  constexpr int64_t lanes = kLanes<Total>;
  const int64_t width = p.axis[p.kept - 1].size, wide = width * times;
  const int64_t rows = p.reduced_axes()[0].size;
  Problem joined{1, 1, 1, {{wide, 1}, {rows / times, wide}}};
  Total sums[kNarrow];
  const auto load = [](const T* q) { return Op::term(widened<T, Total>(q)); };
  int64_t c = 0;
  for (; c + 4 * lanes <= wide; c += 4 * lanes) {
    Vec<Total> total[4];
    join_columns<T, Op, 4>(x + c, joined, total, load);
    for (int v = 0; v < 4; ++v) store(sums + c + v * lanes, total[v]);
  }
  for (; c < wide; c += lanes) {
    Vec<Total> total[1];
    join_columns<T, Op, 1>(x + c, joined, total, load);
    store(sums + c, total[0]);
  }
  for (int64_t i = column; i < column + n; ++i) {
    Total total = sums[i];
    for (int64_t j = i + width; j < wide; j += width) total = Op::join(total, sums[j]);
    for (int64_t r = rows - rows % times; r < rows; ++r) {
      total = Op::join(total, Op::term(static_cast<Total>(x[r * width + i])));
    }
    y[i - column] = static_cast<T>(total);
  }
}

template <typename T, typename Op>
void reduce(const Call& call, const Tile& tile) noexcept {
  const Problem& p = problem_of(call);
  const T* x = argument<T>(tile, 0);
  T* y = output<T>(call, tile);
  // The leading axis of a tiled array is kept, so its outputs are numbered from those of its tile.
  const int64_t skipped = call.operand[0].tiled ? tile.begin : 0;
  const int64_t first = (tile.begin - skipped) * call.output().row_size;
  const int64_t last = (tile.end - skipped) * call.output().row_size;
  if (first >= last) return;
  if (p.columns == 0) return reduce_runs<T, Op>(x, y, p, first, last);
  const int64_t width = p.axis[p.kept - 1].size;
  const int64_t times = rows_side_by_side<T, Op>(p);
  Odometer output(p.axis, p.kept - 1);
  output.seek(first / width);
  for (int64_t i = first; i < last; output.next()) {
    const int64_t column = i % width;
    const int64_t n = last - i < width - column ? last - i : width - column;
    if (times > 1) {
      reduce_narrow<T, Op>(x + output.offset, y + (i - first), p, times, column, n);
    } else {
      reduce_columns<T, Op>(x + output.offset + column, y + (i - first), p, n);
    }
    i += n;
  }
}

}  // namespace

// The sums of integers wrap, as NumPy's do: they are those of the unsigned integers.
Kernel prepare_reduce_sum(Call& call) {
  set_up(call);
  switch (call.operand[0].dtype) {
    case DType::f32: return reduce<float, Sum>;
    case DType::f64: return reduce<double, Sum>;
    case DType::i32: return reduce<uint32_t, Sum>;
    case DType::i64: return reduce<uint64_t, Sum>;
    default: return nullptr;
  }
}

Kernel prepare_reduce_squares(Call& call) {
  set_up(call);
  return call.operand[0].dtype == DType::f32   ? Kernel{reduce<float, SumOfSquares>}
         : call.operand[0].dtype == DType::f64 ? Kernel{reduce<double, SumOfSquares>}
                                               : nullptr;
}

Kernel prepare_reduce_max(Call& call) {
  set_up(call);
  switch (call.operand[0].dtype) {
    case DType::f32: return reduce<float, Max>;
    case DType::f64: return reduce<double, Max>;
    case DType::i32: return reduce<int32_t, Max>;
    case DType::i64: return reduce<int64_t, Max>;
    default: return nullptr;
  }
}

}  // namespace chainrule::CHAINRULE_ISA
