// Sums and maxima over any axes. `prepare` merges neighbouring axes that are both kept or both
// reduced, so that most calls end in one of two loops: over contiguous elements, or over columns.

#include "simd.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

struct Axis {
  int64_t size;
  int64_t stride;
};

// The reduction of one row of a tiled array, or of a whole array: its kept axes (which number the
// outputs in row-major order) and its reduced axes. Lives in Call::integers.
struct Problem {
  int64_t kept;
  int64_t reduced;
  int64_t elements;  // reduced elements for an output
  int64_t outputs;   // outputs of the problem; tiled: of one row
  int64_t row_size;  // elements of the argument between rows; 0 where it is read whole
  Axis axis[max_rank];  // the kept axes, then the reduced ones
};
static_assert(sizeof(Problem) <= sizeof(Call::integers));

const Problem& problem_of(const Call& call) noexcept {
  return *reinterpret_cast<const Problem*>(call.integers);
}

bool is_reduced(const Call& call, int axis) noexcept {
  const Attribute* axes = call.find("axes");
  if (axes == nullptr) return false;
  for (double a : axes->numbers) {
    if (static_cast<int>(a) == axis) return true;
  }
  return false;
}

// Appends an axis in front of `axes`, joined with the one behind it where memory allows.
int64_t prepend(Axis* axes, int64_t count, Axis axis) noexcept {
  if (count > 0 && axes[0].stride * axes[0].size == axis.stride) {
    axes[0].size *= axis.size;
    return count;
  }
  for (int64_t i = count; i > 0; --i) axes[i] = axes[i - 1];
  axes[0] = axis;
  return count + 1;
}

void set_up(Call& call) noexcept {
  const Operand& x = call.operand[0];
  Axis kept[max_rank] = {};
  Axis reduced[max_rank] = {};
  Problem p{0, 0, 1, 1, x.tiled ? x.row_size : 0, {}};
  int64_t stride = 1;
  for (int axis = x.rank - 1; axis >= (x.tiled ? 1 : 0); --axis) {
    const Axis one{x.shape[axis], stride};
    stride *= one.size;
    if (is_reduced(call, axis)) {
      p.elements *= one.size;
      if (one.size != 1) p.reduced = prepend(reduced, p.reduced, one);
    } else {
      p.outputs *= one.size;
      if (one.size != 1) p.kept = prepend(kept, p.kept, one);
    }
  }
  for (int64_t i = 0; i < p.kept; ++i) p.axis[i] = kept[i];
  for (int64_t i = 0; i < p.reduced; ++i) p.axis[p.kept + i] = reduced[i];
  std::memcpy(call.integers, &p, sizeof p);
}

// How partial results are held and joined. Sums of floats are added in short runs and then in
// double, which costs nothing next to reading and keeps the error independent of the length.
template <typename T>
struct Sum {
  using Total = std::conditional_t<std::is_floating_point_v<T>, double, int64_t>;
  static constexpr Total first = 0;
  static Total join(Total total, Total x) noexcept {
    if constexpr (std::is_floating_point_v<T>) {
      return total + x;
    } else {  // wraps, as NumPy's does
      return static_cast<Total>(static_cast<uint64_t>(total) + static_cast<uint64_t>(x));
    }
  }
};

template <typename T>
struct Max {
  using Total = T;
  static constexpr T lowest() noexcept {
    if constexpr (std::is_floating_point_v<T>) {
      return static_cast<T>(-__builtin_huge_val());
    } else {
      return static_cast<T>(uint64_t{1} << (8 * sizeof(T) - 1));
    }
  }
  static constexpr T first = lowest();
  static T join(T total, T x) noexcept {
    return !(x <= total) && total == total ? x : total;  // a NaN wins, and stays
  }
};

template <typename T, template <typename> class Op>
T contiguous(const T* x, int64_t n) noexcept {
  using Total = typename Op<T>::Total;
  Total lanes[8] = {};
  for (Total& lane : lanes) lane = Op<T>::first;
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int64_t lane = 0; lane < 8; ++lane) {
      lanes[lane] = Op<T>::join(lanes[lane], static_cast<Total>(x[i + lane]));
    }
  }
  for (int64_t lane = 0; i < n; ++i, ++lane) {
    lanes[lane] = Op<T>::join(lanes[lane], static_cast<Total>(x[i]));
  }
  for (int64_t width = 4; width > 0; width /= 2) {
    for (int64_t lane = 0; lane < width; ++lane) {
      lanes[lane] = Op<T>::join(lanes[lane], lanes[lane + width]);
    }
  }
  return static_cast<T>(lanes[0]);
}

// y[c] for columns [first, last) of rows that lie `stride` apart.
template <typename T, template <typename> class Op>
void columns(const T* x, T* y, Axis rows, int64_t first, int64_t last) noexcept {
  using Total = typename Op<T>::Total;
  constexpr int64_t width = 32;
  for (int64_t c = first; c < last; c += width) {
    const int64_t n = last - c < width ? last - c : width;
    Total total[width];
    for (Total& t : total) t = Op<T>::first;
    const T* row = x + c;
    for (int64_t r = 0; r < rows.size; ++r, row += rows.stride) {
      if (n == width) {
        for (int64_t i = 0; i < width; ++i) {
          total[i] = Op<T>::join(total[i], static_cast<Total>(row[i]));
        }
      } else {
        for (int64_t i = 0; i < n; ++i) {
          total[i] = Op<T>::join(total[i], static_cast<Total>(row[i]));
        }
      }
    }
    for (int64_t i = 0; i < n; ++i) y[c - first + i] = static_cast<T>(total[i]);
  }
}

// One output of any problem: an odometer over the reduced axes.
template <typename T, template <typename> class Op>
T general(const T* x, const Problem& p, int64_t output) noexcept {
  for (int64_t i = p.kept - 1; i >= 0; --i) {
    x += output % p.axis[i].size * p.axis[i].stride;
    output /= p.axis[i].size;
  }
  auto total = Op<T>::first;
  const Axis* axis = p.axis + p.kept;
  int64_t at[max_rank] = {};
  for (int64_t left = p.elements; left > 0; --left) {
    total = Op<T>::join(total, static_cast<typename Op<T>::Total>(*x));
    for (int64_t i = p.reduced - 1; i >= 0; --i) {
      x += axis[i].stride;
      if (++at[i] < axis[i].size) break;
      x -= axis[i].stride * axis[i].size;
      at[i] = 0;
    }
  }
  return static_cast<T>(total);
}

// Outputs [first, last) of a problem.
template <typename T, template <typename> class Op>
void solve(const T* x, T* y, const Problem& p, int64_t first, int64_t last) noexcept {
  const Axis reduced = p.axis[p.kept];
  if (p.reduced == 1 && p.kept == 1 && p.axis[0].stride == 1) {
    columns<T, Op>(x, y, reduced, first, last);
  } else if (p.reduced == 1 && reduced.stride == 1 && p.kept <= 1) {
    const int64_t stride = p.kept == 1 ? p.axis[0].stride : 0;
    for (int64_t i = first; i < last; ++i) {
      y[i - first] = contiguous<T, Op>(x + i * stride, p.elements);
    }
  } else {
    for (int64_t i = first; i < last; ++i) y[i - first] = general<T, Op>(x, p, i);
  }
}

template <typename T, template <typename> class Op>
void reduce(const Call& call, const Tile& tile) noexcept {
  const Problem& p = problem_of(call);
  const T* x = argument<T>(tile, 0);
  T* y = output<T>(call, tile);
  const int64_t row_size = call.output().row_size;
  if (!call.operand[0].tiled) {
    solve<T, Op>(x, y, p, tile.begin * row_size, tile.end * row_size);
    return;
  }
  for (int64_t r = tile.begin; r < tile.end; ++r, x += p.row_size, y += p.outputs) {
    solve<T, Op>(x, y, p, 0, p.outputs);
  }
}

template <template <typename> class Op>
Kernel prepared(Call& call) noexcept {
  set_up(call);
  switch (call.operand[0].dtype) {
    case DType::f32: return reduce<float, Op>;
    case DType::f64: return reduce<double, Op>;
    case DType::i32: return reduce<int32_t, Op>;
    case DType::i64: return reduce<int64_t, Op>;
    default: return nullptr;
  }
}

}  // namespace

Kernel prepare_reduce_sum(Call& call) { return prepared<Sum>(call); }
Kernel prepare_reduce_max(Call& call) { return prepared<Max>(call); }

}  // namespace chainrule::CHAINRULE_ISA
