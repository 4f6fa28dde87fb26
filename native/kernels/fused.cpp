// Softmax and the losses made of it, over the last axis. All operands are tiled. A row that fits in
// one vector (a classifier of 10 classes) stays in a register; a longer one is passed over for its
// maximum, then for the exponentials.
#include "elementwise.h"
#include "vec_math.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

// What the rows of a tile have in common: their number and the length of the last axis.
struct Rows {
  int64_t n;
  int64_t m;
};
Rows rows_of(const Call& call, const Tile& tile) noexcept {
  return {(tile.end - tile.begin) * call.integers[1], call.integers[0]};
}

// The sum over a row of what body(at, i) gives for each vector, in blocks, so that the error of a
// long row grows with the number of blocks only.
template <typename T, typename Body>
T sum_row(int64_t m, Body body) noexcept {
  constexpr int64_t block = 32 * kLanes<T>;
  Vec<T> total = {};
  for (int64_t start = 0; start < m; start += block) {
    const int64_t n = m - start < block ? m - start : block;
    total += fold_vectors<T>(
        n, Vec<T>{}, [=](auto at, int64_t i, Vec<T> sum) { return sum + body(at, start + i); });
  }
  return sum_lanes<T>(total);
}
// The maximum of a row. A NaN may be lost here; it shows in the exponentials.
template <typename T>
T max_row(const T* z, int64_t m) noexcept {
  constexpr T low = -kInfinity<T>;
  return max_lanes<T>(fold_vectors<T>(m, splat<T>(low), [=](auto at, int64_t i, Vec<T> top) {
    return maximum<T>(at.load(z + i, low), top);
  }));
}

// The maximum of a row and the sum of exp(z - top).
template <typename T>
struct Exponentials {
  T top;
  T sum;
};
// `keep(at, i, e)` is given the exponentials.
template <typename T, typename Keep>
Exponentials<T> exponentials(const T* z, int64_t m, Keep keep) noexcept {
  const T top = max_row<T>(z, m);
  const T sum = sum_row<T>(m, [=](auto at, int64_t i) {
    const Vec<T> e = exp<T>(at.load(z + i, -kInfinity<T>) - top);
    keep(at, i, e);
    return e;
  });
  return {top, sum};
}
// The same for a row that is one vector, in registers.
template <typename T>
struct ShortExponentials {
  T top;
  T sum;
  Vec<T> e;
};
template <typename T, typename At>
ShortExponentials<T> short_exponentials(At at, const T* z) noexcept {
  const Vec<T> row = at.load(z, -kInfinity<T>);
  const T top = max_lanes<T>(row);
  const Vec<T> e = exp<T>(row - top);
  return {top, sum_lanes<T>(e), e};
}

// Rows of a whole vector, rows shorter than one, or longer rows: the kernels are compiled for each,
// and `prepare` chooses.
enum class Length { part, whole, longer };

template <typename T, Length length>
auto place(int64_t m) noexcept {
  if constexpr (length == Length::part) {
    return PartVector<T>{m};
  } else {
    return WholeVector<T>{};
  }
}

template <typename T, Length length>
Exponentials<T> row_sums(const T* z, int64_t m) noexcept {
  if constexpr (length == Length::longer) {
    return exponentials<T>(z, m, [](auto, int64_t, Vec<T>) {});
  } else {
    const ShortExponentials<T> row = short_exponentials<T>(place<T, length>(m), z);
    return {row.top, row.sum};
  }
}

// out = weight(sum, r) exp(z - top) - minus(at, r, i): what softmax and the gradients of the losses
// share. `at` is where to load and store from element i of row r.
template <typename T, Length length, typename Weight, typename Minus>
void weighted_exponentials(Rows rows, const T* z, T* out, Weight weight, Minus minus) noexcept {
  const int64_t m = rows.m;
  for (int64_t r = 0; r < rows.n; ++r, z += m, out += m) {
    if constexpr (length == Length::longer) {
      const T sum =
          exponentials<T>(z, m, [=](auto at, int64_t i, Vec<T> e) { at.store(out + i, e); }).sum;
      const Vec<T> factor = splat<T>(weight(sum, r));
      each_vector<T>(m, [&](auto at, int64_t i) {
        at.store(out + i, fma(at.load(out + i), factor, -minus(at, r, i)));
      });
    } else {
      const auto at = place<T, length>(m);
      const ShortExponentials<T> row = short_exponentials<T>(at, z);
      at.store(out, fma(row.e, splat<T>(weight(row.sum, r)), -minus(at, r, 0)));
    }
  }
}

template <Length length>
struct Softmax {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    weighted_exponentials<T, length>(
        rows_of(call, tile), argument<T>(tile, 0), output<T>(call, tile),
        [](T sum, int64_t) { return static_cast<T>(1) / sum; },
        [](auto, int64_t, int64_t) { return Vec<T>{}; });
  }
};

// The sum of a row of t.
template <typename T, Length length>
T total(const T* t, int64_t m) noexcept {
  if constexpr (length == Length::longer) {
    return sum_row<T>(m, [=](auto at, int64_t i) { return at.load(t + i); });
  } else {
    return sum_lanes<T>(place<T, length>(m).load(t));
  }
}

// g (softmax(z) sum(t) - t)
template <Length length>
struct DenseGradient {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Rows rows = rows_of(call, tile);
    const T* g = argument<T>(tile, 0);
    const T* t = argument<T>(tile, 2);
    weighted_exponentials<T, length>(
        rows, argument<T>(tile, 1), output<T>(call, tile),
        [=](T sum, int64_t r) { return g[r] * (total<T, length>(t + r * rows.m, rows.m) / sum); },
        [=](auto at, int64_t r, int64_t i) { return at.load(t + r * rows.m + i) * g[r]; });
  }
};

// g (softmax(z) - one_hot(label))
template <Length length, typename Label>
struct SparseGradient {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const T* g = argument<T>(tile, 0);
    const Label* label = argument<Label>(tile, 2);
    weighted_exponentials<T, length>(
        rows_of(call, tile), argument<T>(tile, 1), output<T>(call, tile),
        [=](T sum, int64_t r) { return g[r] / sum; },
        [=](auto, int64_t r, int64_t i) {
          const int64_t lane = static_cast<int64_t>(label[r]) - i;
          const bool here = lane >= 0 && lane < kLanes<T>;
          const IntVec<T> hit = lane_numbers<T>() == static_cast<IntOf<T>>(here ? lane : -1);
          return select<T>(hit, splat<T>(g[r]), Vec<T>{});
        });
  }
};

// What the loss of a row is made of: log(sum) weight - dot, where dot is of z - top: with z itself
// large logits would cancel (at 1000 to an error of 3e-5). Rows are taken a vector at a time, so
// that the logarithm is a vector's.
template <typename T>
struct LossTerms {
  T sum[kLanes<T>] = {};
  T weight[kLanes<T>] = {};
  T dot[kLanes<T>] = {};
};
// loss[r] for all rows; `targets(r, top, weight, dot)` fills in the terms of the target of row r.
template <typename T, Length length, typename Targets>
void losses(Rows rows, const T* z, T* loss, Targets targets) noexcept {
  each_vector<T>(rows.n, [&](auto at, int64_t first) {
    LossTerms<T> terms;
    const int64_t count = rows.n - first < kLanes<T> ? rows.n - first : kLanes<T>;
    for (int64_t i = 0; i < count; ++i) {
      const Exponentials<T> row = row_sums<T, length>(z + (first + i) * rows.m, rows.m);
      terms.sum[i] = row.sum;
      targets(first + i, row.top, terms.weight[i], terms.dot[i]);
    }
    const Vec<T> normalizer = log<T>(load(terms.sum));
    at.store(loss + first, fma(normalizer, load(terms.weight), -load(terms.dot)));
  });
}

// The sum of t (z - top) over a row.
template <typename T, Length length>
T dot_row(const T* t, const T* z, T top, int64_t m) noexcept {
  if constexpr (length == Length::longer) {
    return sum_row<T>(m,
                      [=](auto at, int64_t i) { return at.load(t + i) * (at.load(z + i) - top); });
  } else {
    const auto at = place<T, length>(m);
    return sum_lanes<T>(at.load(t) * (at.load(z) - top));
  }
}

template <Length length>
struct DenseLoss {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Rows rows = rows_of(call, tile);
    const T* z = argument<T>(tile, 0);
    const T* t = argument<T>(tile, 1);
    losses<T, length>(rows, z, output<T>(call, tile), [=](int64_t r, T top, T& weight, T& dot) {
      weight = total<T, length>(t + r * rows.m, rows.m);
      dot = dot_row<T, length>(t + r * rows.m, z + r * rows.m, top, rows.m);
    });
  }
};

// A label that is no class gives NaN.
template <Length length, typename Label>
struct SparseLoss {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Rows rows = rows_of(call, tile);
    const T* z = argument<T>(tile, 0);
    const Label* label = argument<Label>(tile, 1);
    losses<T, length>(rows, z, output<T>(call, tile), [=](int64_t r, T top, T& weight, T& dot) {
      const int64_t k = static_cast<int64_t>(label[r]);
      weight = static_cast<T>(1);
      dot = k >= 0 && k < rows.m ? z[r * rows.m + k] - top : kNan<T>;
    });
  }
};

template <Length length>
struct LogSoftmax {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Rows rows = rows_of(call, tile);
    const T* z = argument<T>(tile, 0);
    T* out = output<T>(call, tile);
    for (int64_t r = 0; r < rows.n; ++r, z += rows.m, out += rows.m) {
      const Exponentials<T> row = row_sums<T, length>(z, rows.m);
      const Vec<T> normalizer = log<T>(splat<T>(row.sum));
      each_vector<T>(rows.m, [=](auto at, int64_t i) {
        at.store(out + i, (at.load(z + i) - row.top) - normalizer);
      });
    }
  }
};

// (max(z, 0) - z t) + log(1 + exp(-|z|)): the large terms cancel before the small one is added.
struct SigmoidCrossEntropy {
  template <typename T>
  static Vec<T> of(Vec<T> z, Vec<T> t) noexcept {
    const Vec<T> size = select<T>(z < Vec<T>{}, -z, z);
    return fma(-z, t, maximum<T>(z, Vec<T>{})) + log1p<T>(exp<T>(-size));
  }
};

// Leaves the length of the last axis of operand i, and how many of them a row of the tile holds.
void read_rows(Call& call, int i) {
  const Operand& z = call.operand[i];
  call.integers[0] = z.rank == 0 ? 1 : z.shape[z.rank - 1];
  call.integers[1] = 1;
  for (int axis = 1; axis < z.rank - 1; ++axis) call.integers[1] *= z.shape[axis];
}

template <typename T>
Length length_of(int64_t m) {
  if (m > kLanes<T>) return Length::longer;
  return m == kLanes<T> ? Length::whole : Length::part;
}
template <template <Length> class Loop, typename T>
Kernel by_length(int64_t m) {
  switch (length_of<T>(m)) {
    case Length::part: return Loop<Length::part>::template run<T>;
    case Length::whole: return Loop<Length::whole>::template run<T>;
    default: return Loop<Length::longer>::template run<T>;
  }
}
// The kernel for the type and the rows of operand i.
template <template <Length> class Loop>
Kernel row_kernel(Call& call, int i) {
  read_rows(call, i);
  switch (call.operand[i].dtype) {
    case DType::f32: return by_length<Loop, float>(call.integers[0]);
    case DType::f64: return by_length<Loop, double>(call.integers[0]);
    default: return nullptr;
  }
}

template <Length length>
using SparseLoss32 = SparseLoss<length, int32_t>;
template <Length length>
using SparseLoss64 = SparseLoss<length, int64_t>;
template <Length length>
using SparseGradient32 = SparseGradient<length, int32_t>;
template <Length length>
using SparseGradient64 = SparseGradient<length, int64_t>;

}  // namespace

Kernel prepare_softmax(Call& call) { return row_kernel<Softmax>(call, 0); }

Kernel prepare_log_softmax(Call& call) { return row_kernel<LogSoftmax>(call, 0); }

Kernel prepare_softmax_cross_entropy(Call& call) { return row_kernel<DenseLoss>(call, 0); }

Kernel prepare_softmax_cross_entropy_gradient(Call& call) {
  return row_kernel<DenseGradient>(call, 1);
}

Kernel prepare_sparse_softmax_cross_entropy(Call& call) {
  switch (call.operand[1].dtype) {
    case DType::i32: return row_kernel<SparseLoss32>(call, 0);
    case DType::i64: return row_kernel<SparseLoss64>(call, 0);
    default: return nullptr;
  }
}

Kernel prepare_sparse_softmax_cross_entropy_gradient(Call& call) {
  switch (call.operand[2].dtype) {
    case DType::i32: return row_kernel<SparseGradient32>(call, 1);
    case DType::i64: return row_kernel<SparseGradient64>(call, 1);
    default: return nullptr;
  }
}

Kernel prepare_sigmoid_cross_entropy(Call& call) {
  return floats<Binary<SigmoidCrossEntropy>>(call);
}

}  // namespace chainrule::CHAINRULE_ISA
