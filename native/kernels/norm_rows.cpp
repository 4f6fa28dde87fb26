// Normalization of the rows of an array [n, m]. Variances are those of differences from the mean,
// so that a large mean does not swallow them. Sums of long rows are made in T over blocks, then in
// double: all in double, the gradient of rows of 512 floats took 2.5 times as long.
#include "norm.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

struct Pair {
  double first;
  double second;
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

// Mean and variance with every number of the row in double: for rows whose squares T cannot hold.
template <typename T>
Pair wide_moments(const T* x, int64_t m, bool center) noexcept {
  const double share = share_of(m);
  const double mean =
      center ? share * sum_row<T>(m, [=](auto at, int64_t i) { return at.load(x + i); }) : 0.0;
  const double variance = share * sum_row<T>(m, [=](auto at, int64_t i) {
                            const Vec<double> d = at.load(x + i) - mean;
                            return d * d;
                          });
  return {mean, variance};
}

// Rows shorter than this are as fast in double, whose sums need one pass less.
constexpr int64_t kShortRow = 128;

// Two sums over a row, to which term(at, i, a, b) adds: in T over blocks, whose sums are added up
// in double. Four chains of each, as an addition waits for the one before.
constexpr int64_t kRowBlock = 1024;
template <typename T, typename Term>
inline Pair sum_blocks(int64_t m, Term term) noexcept {
  constexpr int64_t lanes = kLanes<T>;
  Pair total{0, 0};
  for (int64_t i = 0; i < m;) {
    const int64_t end = m - i < kRowBlock ? m : i + kRowBlock;
    Vec<T> a[4] = {}, b[4] = {};
    for (; i + 4 * lanes <= end; i += 4 * lanes) {
      for (int k = 0; k < 4; ++k) term(WholeVector<T>{}, i + k * lanes, a[k], b[k]);
    }
    for (; i + lanes <= end; i += lanes) term(WholeVector<T>{}, i, a[0], b[0]);
    if (i < end) term(PartVector<T>{end - i}, i, a[0], b[0]);
    i = end;
    total.first += static_cast<double>(sum_lanes<T>((a[0] + a[1]) + (a[2] + a[3])));
    total.second += static_cast<double>(sum_lanes<T>((b[0] + b[1]) + (b[2] + b[3])));
  }
  return total;
}

// Mean and variance from differences from the first element, then from the rounded mean.
template <typename T>
Pair moments(const T* x, int64_t m, bool center) noexcept {
  if (m < kShortRow) return wide_moments(x, m, center);
  const double share = share_of(m);
  T middle = 0;
  if (center) {
    const T first = x[0];
    const Pair sum = sum_blocks<T>(
        m, [=](auto at, int64_t i, Vec<T>& a, Vec<T>&) { a += at.load(x + i, first) - first; });
    middle = static_cast<T>(static_cast<double>(first) + sum.first * share);
  }
  const Pair sum = sum_blocks<T>(m, [=](auto at, int64_t i, Vec<T>& a, Vec<T>& b) {
    const Vec<T> d = at.load(x + i, middle) - middle;
    a += d;
    b = fma(d, d, b);
  });
  if (!(sum.second < __builtin_huge_val())) return wide_moments(x, m, center);
  const double above = center ? sum.first * share : 0.0;
  const double variance = sum.second * share - above * above;
  return {static_cast<double>(middle) + above, variance < 0 ? 0 : variance};
}

// The mean of a row (0 where it is not taken off) and 1 / sqrt(v + epsilon).
struct RowMoments {
  double mean;
  double inverse;
};
template <typename T>
RowMoments row_moments(const Call& call, const T* x, int64_t m) noexcept {
  const Pair found = moments(x, m, call.reals[1] != 0);
  return {found.first, 1.0 / __builtin_sqrt(found.second + call.reals[0])};
}

// The sums of h = g gamma and of h (x - mean) over a row.
template <typename T>
Pair row_slopes(const T* g, const T* x, const T* gamma, int64_t m, double mean) noexcept {
  if (2 * m >= kShortRow) {
    const T middle = static_cast<T>(mean);
    const Pair sum = sum_blocks<T>(m, [=](auto at, int64_t i, Vec<T>& a, Vec<T>& b) {
      const Vec<T> h = at.load(g + i) * at.load(gamma + i);
      a += h;
      b = fma(h, at.load(x + i) - middle, b);
    });
    const double far = mean - static_cast<double>(middle);
    if (__builtin_fabs(sum.second) < __builtin_huge_val()) {
      return {sum.first, sum.second - far * sum.first};
    }
  }
  const auto slope = [=](auto at, int64_t i) { return at.load(g + i) * at.load(gamma + i); };
  return {sum_row<T>(m, slope), sum_row<T>(m, [=](auto at, int64_t i) {
            return slope(at, i) * (at.load(x + i) - mean);
          })};
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
      const Pair sum = row_slopes(g, x, gamma, m, row.mean);
      const double total = call.reals[1] != 0 ? sum.first : 0.0;
      const Vec<T> mean = splat<T>(static_cast<T>(row.mean));
      const Vec<T> inverse = splat<T>(static_cast<T>(row.inverse));
      const Vec<T> shift = splat<T>(static_cast<T>(total * share));
      const Vec<T> pull = splat<T>(static_cast<T>(sum.second * share * row.inverse * row.inverse));
      each_vector<T>(m, [=](auto at, int64_t i) {
        const Vec<T> rest = fma(at.load(g + i), at.load(gamma + i), -shift);
        at.store(y + i, fma(mean - at.load(x + i), pull, rest) * inverse);
      });
    }
  }
};

template <typename Loop>
Kernel with_epsilon(Call& call) {
  call.reals[0] = call.number("epsilon", 0.0);
  call.reals[1] = call.number("center", 1.0);
  return floats<Loop>(call);
}

}  // namespace

Kernel prepare_normalize_rows(Call& call) { return with_epsilon<NormalizeRows>(call); }

Kernel prepare_normalize_rows_gradient(Call& call) {
  return with_epsilon<NormalizeRowsGradient>(call);
}

}  // namespace chainrule::CHAINRULE_ISA
