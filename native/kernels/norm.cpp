// Normalization of the columns of an array [n, ..., c]. Moments are those of differences from the
// mean or from a row, so that a large mean does not swallow the variance. What a column becomes
// does not depend on the tile it is in.
#include "norm_strips.h"
#include "norm_sums.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

// requires: x is whole, the outputs are tiled by columns.
struct ColumnMoments {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const int64_t n = rows_of(call.operand[0]), width = columns_of(call.operand[0]);
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
    const int64_t n = rows_of(call.operand[0]), width = columns_of(call.operand[0]);
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

// Rows of a part, and its first row within the tile: an array that is not tiled is given whole.
struct Part {
  int64_t rows;
  int64_t columns;
  int64_t offset;
};
Part part_of(const Call& call, const Tile& tile) noexcept {
  const int64_t columns = columns_of(call.output());
  const int64_t parts = call.output().shape[0];
  const int64_t rows = parts > 0 ? rows_of(call.operand[0]) / parts : 0;
  return {rows, columns, call.operand[0].tiled ? 0 : tile.begin * rows * columns};
}

// Mean, mean of x - mean and mean of (x - mean)^2 of each part. Scratch: the sums of columns.
struct PartialMoments {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Part part = part_of(call, tile);
    const int64_t columns = part.columns;
    const ColumnSums sums = sums_at(tile.scratch, columns);
    const T* x = argument<T>(tile, 0) + part.offset;
    T* mean = output<T>(call, tile, 0);
    T* rest = output<T>(call, tile, 1);
    T* spread = output<T>(call, tile, 2);
    const double share = share_of(part.rows);
    for (int64_t p = tile.begin; p < tile.end; ++p, x += part.rows * columns) {
      sum_shifted(x, part.rows, columns, sums);
      CHAINRULE_INDEPENDENT
      for (int64_t c = 0; c < columns; ++c) {
        const double from = sums.from[c], above = sums.first[c] * share;
        mean[c] = static_cast<T>(from + above);
        // What the rounded mean misses; (from + above) itself is rounded where T is double.
        const double missed = above - (static_cast<double>(mean[c]) - from);
        const double variance = sums.second[c] * share - above * above;
        rest[c] = static_cast<T>(missed);
        spread[c] = static_cast<T>((variance < 0 ? 0 : variance) + missed * missed);
      }
      mean += columns;
      rest += columns;
      spread += columns;
    }
  }
};

// requires: the arguments are whole, the outputs are tiled by columns.
struct JoinedMoments {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const int64_t parts = call.operand[0].shape[0], width = columns_of(call.operand[0]);
    const T* mean = argument<T>(tile, 0) + tile.begin;
    const T* rest = argument<T>(tile, 1) + tile.begin;
    const T* spread = argument<T>(tile, 2) + tile.begin;
    T* joined = output<T>(call, tile, 0);
    T* variance = output<T>(call, tile, 1);
    const double share = share_of(parts);
    each_wide<T>(tile.end - tile.begin, [=](auto at, int64_t c, auto count) {
      constexpr int vectors = decltype(count)::value;
      Vec<double> middle[vectors] = {}, missed[vectors] = {}, around[vectors] = {};
      for (int64_t p = 0; p < parts; ++p) {
        const int64_t i = p * width + c;
        for (int v = 0; v < vectors; ++v) {
          middle[v] += at.load(mean + i + v * kWide) + at.load(rest + i + v * kWide);
        }
      }
      for (int v = 0; v < vectors; ++v) middle[v] *= share;
      for (int64_t p = 0; p < parts; ++p) {
        const int64_t i = p * width + c;
        for (int v = 0; v < vectors; ++v) {
          const Vec<double> d = at.load(mean + i + v * kWide) - middle[v];
          const Vec<double> far = at.load(rest + i + v * kWide);
          missed[v] += d + far;
          around[v] += fma(d, d + 2.0 * far, at.load(spread + i + v * kWide));
        }
      }
      for (int v = 0; v < vectors; ++v) {
        at.store(joined + c + v * kWide, middle[v]);
        // The middle is rounded too, which counts where T is double.
        missed[v] *= share;
        at.store(variance + c + v * kWide, fma(-missed[v], missed[v], around[v] * share));
      }
    });
  }
};

// sum g and sum g (x - mean) of each part. Scratch: the sums of columns, and the means.
struct PartialColumnProducts {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Part part = part_of(call, tile);
    const int64_t columns = part.columns;
    const ColumnSums sums = sums_at(tile.scratch, columns);
    const T* g = argument<T>(tile, 0) + part.offset;
    const T* x = argument<T>(tile, 1) + part.offset;
    T* mean = table_at<T>(tile.scratch, sums_bytes(columns), columns, 0);
    T* total = output<T>(call, tile, 0);
    T* product = output<T>(call, tile, 1);
    copy_table(mean, argument<T>(tile, 2), columns);
    for (int64_t p = tile.begin; p < tile.end; ++p) {
      sum_products(g, x, mean, part.rows, columns, sums);
      CHAINRULE_INDEPENDENT
      for (int64_t c = 0; c < columns; ++c) {
        total[c] = static_cast<T>(sums.first[c]);
        product[c] = static_cast<T>(sums.second[c]);
      }
      g += part.rows * columns;
      x += part.rows * columns;
      total += columns;
      product += columns;
    }
  }
};

// y = f((x - mean) (gamma / sqrt(variance + epsilon)) + beta). Scratch: the tables of the formula.
template <Activation activation>
struct NormalizeColumns {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const int64_t columns = columns_of(call.operand[0]);
    const T* variance = argument<T>(tile, 2);
    const T* gamma = argument<T>(tile, 3);
    T* table[3];
    for (int i = 0; i < 3; ++i) table[i] = table_at<T>(tile.scratch, 0, columns, i);
    copy_table(table[0], argument<T>(tile, 1), columns);
    copy_table(table[2], argument<T>(tile, 4), columns);
    const Vec<T> epsilon = splat<T>(static_cast<T>(call.reals[0]));
    each_vector<T>(columns, [=](auto at, int64_t i) {
      at.store(table[1] + i, at.load(gamma + i) / sqrt(at.load(variance + i) + epsilon));
    });
    const Scaling<T, activation> formula{argument<T>(tile, 0), output<T>(call, tile), table[0],
                                         table[1], table[2]};
    over_rows<T>(rows_in(call, tile, 0), columns, formula);
  }
};

// dx = gamma r (g - total / n - (x - mean) r^2 product / n). Scratch: the tables of the formula.
struct BatchNormalizeGradient {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const int64_t columns = columns_of(call.operand[0]);
    const T* variance = argument<T>(tile, 3);
    const T* gamma = argument<T>(tile, 4);
    const T* total = argument<T>(tile, 5);
    const T* product = argument<T>(tile, 6);
    T* table[4];
    for (int i = 0; i < 4; ++i) table[i] = table_at<T>(tile.scratch, 0, columns, i);
    copy_table(table[0], argument<T>(tile, 2), columns);
    const Vec<T> epsilon = splat<T>(static_cast<T>(call.reals[0]));
    const Vec<T> share = splat<T>(static_cast<T>(share_of(rows_of(call.operand[0]))));
    each_vector<T>(columns, [=](auto at, int64_t i) {
      const Vec<T> spread = at.load(variance + i) + epsilon;
      const Vec<T> factor = at.load(gamma + i) / sqrt(spread);
      at.store(table[1] + i, factor);
      at.store(table[2] + i, at.load(total + i) * share * factor);
      at.store(table[3] + i, at.load(product + i) * share / spread * factor);
    });
    const Slope<T> formula{argument<T>(tile, 0),
                           argument<T>(tile, 1),
                           output<T>(call, tile),
                           table[0],
                           table[1],
                           table[2],
                           table[3]};
    over_rows<T>(rows_in(call, tile, 0), columns, formula);
  }
};

// The kernel of an operation with an epsilon, and so many tables in scratch.
template <typename Loop>
Kernel with_tables(Call& call, int64_t tables) {
  const Operand& x = call.operand[0];
  call.reals[0] = call.number("epsilon", 0.0);
  call.scratch_bytes = tables * table_size(columns_of(x)) * size_of(x.dtype);
  return floats<Loop>(call);
}

// Of the activations linear and relu only.
Kernel prepare_scaling(Call& call) {
  const std::optional<Activation> activation = activation_of(call);
  if (activation == Activation::linear) {
    return with_tables<NormalizeColumns<Activation::linear>>(call, 3);
  }
  if (activation == Activation::relu) {
    return with_tables<NormalizeColumns<Activation::relu>>(call, 3);
  }
  return nullptr;
}

}  // namespace

Kernel prepare_column_moments(Call& call) { return floats<ColumnMoments>(call); }

Kernel prepare_column_products(Call& call) { return floats<ColumnProducts>(call); }

Kernel prepare_partial_moments(Call& call) {
  call.scratch_bytes = sums_bytes(columns_of(call.operand[0]));
  return floats<PartialMoments>(call);
}

Kernel prepare_joined_moments(Call& call) { return floats<JoinedMoments>(call); }

Kernel prepare_partial_column_products(Call& call) {
  const Kernel kernel = with_tables<PartialColumnProducts>(call, 1);
  call.scratch_bytes += sums_bytes(columns_of(call.operand[0]));
  return kernel;
}

Kernel prepare_normalize_columns(Call& call) { return prepare_scaling(call); }

Kernel prepare_batch_normalize(Call& call) { return prepare_scaling(call); }

Kernel prepare_batch_normalize_gradient(Call& call) {
  return with_tables<BatchNormalizeGradient>(call, 4);
}

}  // namespace chainrule::CHAINRULE_ISA
