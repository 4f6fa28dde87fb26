// Normalization of the columns or rows of an array [n, c]. Sums are held in double, and variances
// are those of differences from the mean, so that a large mean does not swallow them. What a column
// or a row becomes does not depend on the tile it is in.
#include "elementwise.h"
#include "widen.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

constexpr int64_t kWide = kLanes<double>;

// Where a loop over vectors of doubles stands: at a whole one, or at the last n < kWide elements.
template <typename T>
struct WholeWide {
  Vec<double> load(const T* p) const noexcept { return widened<T, double>(p); }
  Vec<double> keep(Vec<double> v) const noexcept { return v; }
  void store(T* p, Vec<double> v) const noexcept {
    for (int64_t i = 0; i < kWide; ++i) p[i] = static_cast<T>(v[i]);
  }
};
template <typename T>
struct PartWide {
  int64_t n;
  Vec<double> load(const T* p) const noexcept { return widened_part<T, double>(p, n); }
  // v without what the missing lanes hold.
  Vec<double> keep(Vec<double> v) const noexcept {
    return select<double>(lane_numbers<double>() < n, v, Vec<double>{});
  }
  void store(T* p, Vec<double> v) const noexcept {
    for (int64_t i = 0; i < n; ++i) p[i] = static_cast<T>(v[i]);
  }
};

// body(at, i, count) for elements i of [0, n): `count` vectors of doubles, four where there are so
// many, as each sum waits for the one before.
template <typename T, typename Body>
void each_wide(int64_t n, Body body) noexcept {
  int64_t i = 0;
  for (; i + 4 * kWide <= n; i += 4 * kWide) {
    body(WholeWide<T>{}, i, std::integral_constant<int, 4>{});
  }
  for (; i + kWide <= n; i += kWide) body(WholeWide<T>{}, i, std::integral_constant<int, 1>{});
  if (i < n) body(PartWide<T>{n - i}, i, std::integral_constant<int, 1>{});
}

double share_of(int64_t n) noexcept { return 1.0 / static_cast<double>(n > 0 ? n : 1); }

// requires: x is whole, the outputs are tiled by columns.
struct ColumnMoments {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const int64_t n = call.operand[0].shape[0], width = call.operand[0].shape[1];
    const T* x = argument<T>(tile, 0) + tile.begin;
    T* mean = output<T>(call, tile, 0);
    T* variance = output<T>(call, tile, 1);
    const double share = share_of(n);
    each_wide<T>(tile.end - tile.begin, [=](auto at, int64_t c, auto count) {
      constexpr int vectors = decltype(count)::value;
      Vec<double> middle[vectors] = {}, spread[vectors] = {};
      for (int64_t r = 0; r < n; ++r) {
        const T* row = x + r * width + c;
        for (int v = 0; v < vectors; ++v) middle[v] += at.load(row + v * kWide);
      }
      for (int v = 0; v < vectors; ++v) middle[v] *= share;
      for (int64_t r = 0; r < n; ++r) {
        const T* row = x + r * width + c;
        for (int v = 0; v < vectors; ++v) {
          const Vec<double> d = at.load(row + v * kWide) - middle[v];
          spread[v] = fma(d, d, spread[v]);
        }
      }
      for (int v = 0; v < vectors; ++v) {
        at.store(mean + c + v * kWide, middle[v]);
        at.store(variance + c + v * kWide, spread[v] * share);
      }
    });
  }
};

// requires: g and x are whole, mean and the outputs are tiled by columns.
struct ColumnProducts {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const int64_t n = call.operand[0].shape[0], width = call.operand[0].shape[1];
    const T* g = argument<T>(tile, 0) + tile.begin;
    const T* x = argument<T>(tile, 1) + tile.begin;
    const T* mean = argument<T>(tile, 2);
    T* total = output<T>(call, tile, 0);
    T* product = output<T>(call, tile, 1);
    each_wide<T>(tile.end - tile.begin, [=](auto at, int64_t c, auto count) {
      constexpr int vectors = decltype(count)::value;
      Vec<double> middle[vectors], sum[vectors] = {}, dot[vectors] = {};
      for (int v = 0; v < vectors; ++v) middle[v] = at.load(mean + c + v * kWide);
      for (int64_t r = 0; r < n; ++r) {
        const int64_t start = r * width + c;
        for (int v = 0; v < vectors; ++v) {
          const Vec<double> slope = at.load(g + start + v * kWide);
          sum[v] += slope;
          dot[v] = fma(slope, at.load(x + start + v * kWide) - middle[v], dot[v]);
        }
      }
      for (int v = 0; v < vectors; ++v) {
        at.store(total + c + v * kWide, sum[v]);
        at.store(product + c + v * kWide, dot[v]);
      }
    });
  }
};

// y = (x - mean) (gamma / sqrt(variance + epsilon)) + beta. Scratch: the factors.
struct NormalizeColumns {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const int64_t width = call.operand[0].shape[1];
    const T* x = argument<T>(tile, 0);
    const T* mean = argument<T>(tile, 1);
    const T* variance = argument<T>(tile, 2);
    const T* gamma = argument<T>(tile, 3);
    const T* beta = argument<T>(tile, 4);
    T* y = output<T>(call, tile);
    T* factor = reinterpret_cast<T*>(tile.scratch);
    const Vec<T> epsilon = splat<T>(static_cast<T>(call.reals[0]));
    each_vector<T>(width, [=](auto at, int64_t i) {
      at.store(factor + i, at.load(gamma + i) / sqrt(at.load(variance + i) + epsilon));
    });
    for (int64_t r = tile.begin; r < tile.end; ++r, x += width, y += width) {
      each_vector<T>(width, [=](auto at, int64_t i) {
        const Vec<T> d = at.load(x + i) - at.load(mean + i);
        at.store(y + i, fma(d, at.load(factor + i), at.load(beta + i)));
      });
    }
  }
};

// dx = gamma r (g - total / n - (x - mean) r^2 product / n). Scratch: gamma r, total / n and
// r^2 product / n.
struct BatchNormalizeGradient {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const int64_t width = call.operand[0].shape[1];
    const T* g = argument<T>(tile, 0);
    const T* x = argument<T>(tile, 1);
    const T* mean = argument<T>(tile, 2);
    const T* variance = argument<T>(tile, 3);
    const T* gamma = argument<T>(tile, 4);
    const T* total = argument<T>(tile, 5);
    const T* product = argument<T>(tile, 6);
    T* y = output<T>(call, tile);
    T* factor = reinterpret_cast<T*>(tile.scratch);
    T* shift = factor + width;
    T* pull = shift + width;
    const Vec<T> epsilon = splat<T>(static_cast<T>(call.reals[0]));
    const Vec<T> share = splat<T>(static_cast<T>(share_of(call.operand[0].shape[0])));
    each_vector<T>(width, [=](auto at, int64_t i) {
      const Vec<T> spread = at.load(variance + i) + epsilon;
      at.store(factor + i, at.load(gamma + i) / sqrt(spread));
      at.store(shift + i, at.load(total + i) * share);
      at.store(pull + i, at.load(product + i) * share / spread);
    });
    for (int64_t r = tile.begin; r < tile.end; ++r, g += width, x += width, y += width) {
      each_vector<T>(width, [=](auto at, int64_t i) {
        const Vec<T> d = at.load(x + i) - at.load(mean + i);
        const Vec<T> rest = at.load(g + i) - at.load(shift + i);
        at.store(y + i, fma(-d, at.load(pull + i), rest) * at.load(factor + i));
      });
    }
  }
};

// The sum of what term(at, i) gives for the vectors of a row.
template <typename T, typename Term>
double sum_row(int64_t m, Term term) noexcept {
  Vec<double> total = {};
  each_wide<T>(m, [&](auto at, int64_t i, auto count) {
    constexpr int vectors = decltype(count)::value;
    if constexpr (vectors == 4) {
      total +=
          (term(at, i) + term(at, i + kWide)) + (term(at, i + 2 * kWide) + term(at, i + 3 * kWide));
    } else {
      total += at.keep(term(at, i));
    }
  });
  return sum_lanes<double>(total);
}

// The mean of a row (0 where it is not taken off) and 1 / sqrt(v + epsilon).
struct RowMoments {
  double mean;
  double inverse;
};
template <typename T>
RowMoments row_moments(const Call& call, const T* x, int64_t m) noexcept {
  const double share = share_of(m);
  const bool center = call.reals[1] != 0;
  const double mean =
      center ? share * sum_row<T>(m, [=](auto at, int64_t i) { return at.load(x + i); }) : 0.0;
  const double variance = share * sum_row<T>(m, [=](auto at, int64_t i) {
                            const Vec<double> d = at.load(x + i) - mean;
                            return d * d;
                          });
  return {mean, 1.0 / __builtin_sqrt(variance + call.reals[0])};
}

struct NormalizeRows {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const int64_t m = call.operand[0].shape[1];
    const T* x = argument<T>(tile, 0);
    const T* gamma = argument<T>(tile, 1);
    const T* beta = argument<T>(tile, 2);
    T* y = output<T>(call, tile);
    for (int64_t r = tile.begin; r < tile.end; ++r, x += m, y += m) {
      const RowMoments row = row_moments<T>(call, x, m);
      const Vec<T> mean = splat<T>(static_cast<T>(row.mean));
      const Vec<T> inverse = splat<T>(static_cast<T>(row.inverse));
      each_vector<T>(m, [=](auto at, int64_t i) {
        const Vec<T> z = (at.load(x + i) - mean) * inverse;
        at.store(y + i, fma(z, at.load(gamma + i), at.load(beta + i)));
      });
    }
  }
};

// dx = r (h - mean(h) - (x - a) r^2 mean(h (x - a))), h = g gamma; mean(h) only where centered.
struct NormalizeRowsGradient {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const int64_t m = call.operand[0].shape[1];
    const T* g = argument<T>(tile, 0);
    const T* x = argument<T>(tile, 1);
    const T* gamma = argument<T>(tile, 2);
    T* y = output<T>(call, tile);
    const double share = share_of(m);
    for (int64_t r = tile.begin; r < tile.end; ++r, g += m, x += m, y += m) {
      const RowMoments row = row_moments<T>(call, x, m);
      const double middle = row.mean;
      const double dot = sum_row<T>(m, [=](auto at, int64_t i) {
        return at.load(g + i) * at.load(gamma + i) * (at.load(x + i) - middle);
      });
      double total = 0;
      if (call.reals[1] != 0) {
        total =
            sum_row<T>(m, [=](auto at, int64_t i) { return at.load(g + i) * at.load(gamma + i); });
      }
      const Vec<T> mean = splat<T>(static_cast<T>(middle));
      const Vec<T> inverse = splat<T>(static_cast<T>(row.inverse));
      const Vec<T> shift = splat<T>(static_cast<T>(total * share));
      const Vec<T> pull = splat<T>(static_cast<T>(dot * share * row.inverse * row.inverse));
      each_vector<T>(m, [=](auto at, int64_t i) {
        const Vec<T> rest = fma(at.load(g + i), at.load(gamma + i), -shift);
        at.store(y + i, fma(mean - at.load(x + i), pull, rest) * inverse);
      });
    }
  }
};

// The kernel of an operation with an epsilon, and `rows` rows of scratch.
template <typename Loop>
Kernel with_epsilon(Call& call, int64_t rows) {
  call.reals[0] = call.number("epsilon", 0.0);
  call.reals[1] = call.number("center", 1.0);
  call.scratch_bytes = rows * call.operand[0].shape[1] * size_of(call.operand[0].dtype);
  return floats<Loop>(call);
}

}  // namespace

Kernel prepare_column_moments(Call& call) { return floats<ColumnMoments>(call); }

Kernel prepare_column_products(Call& call) { return floats<ColumnProducts>(call); }

Kernel prepare_normalize_columns(Call& call) { return with_epsilon<NormalizeColumns>(call, 1); }

Kernel prepare_batch_normalize(Call& call) { return with_epsilon<NormalizeColumns>(call, 1); }

Kernel prepare_batch_normalize_gradient(Call& call) {
  return with_epsilon<BatchNormalizeGradient>(call, 3);
}

Kernel prepare_normalize_rows(Call& call) { return with_epsilon<NormalizeRows>(call, 0); }

Kernel prepare_normalize_rows_gradient(Call& call) {
  return with_epsilon<NormalizeRowsGradient>(call, 0);
}

}  // namespace chainrule::CHAINRULE_ISA
