// Normalization of each sample of an array [n, ..., c] over its places and a group of neighbouring
// columns. The sums are those of columns, joined over a group, so that channels stay where they
// are.
#include "norm_strips.h"
#include "norm_sums.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

// One sample: its rows, and how its columns form groups. Lives in Call::integers.
struct Form {
  int64_t rows;
  int64_t columns;
  int64_t group;  // columns of a group

  [[nodiscard]] int64_t size() const noexcept { return rows * columns; }
  [[nodiscard]] double share() const noexcept { return share_of(rows * group); }
};

const Form& form_of(const Call& call) noexcept {
  return *reinterpret_cast<const Form*>(call.integers);
}

// The mean of a group and 1 / sqrt(variance + epsilon).
struct Moments {
  double mean;
  double inverse;
};

// The moments of the group from column `start` on, from the sums of its columns.
Moments moments_of(const Form& form, const ColumnSums& sums, int64_t start,
                   double epsilon) noexcept {
  const double rows = static_cast<double>(form.rows);
  const double from = sums.from[start];
  double first = 0, second = 0;
  for (int64_t c = start; c < start + form.group; ++c) {
    add_shifted(rows, sums.from[c] - from, sums.first[c], sums.second[c], first, second);
  }
  const double above = first * form.share();
  const double variance = second * form.share() - above * above;
  return {from + above, 1.0 / __builtin_sqrt((variance < 0 ? 0 : variance) + epsilon)};
}

// y = gamma r (x - a) + beta. Scratch: the sums of columns, the tables of the formula.
struct NormalizeGroups {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Form& form = form_of(call);
    if (form.size() == 0) return;
    const int64_t columns = form.columns;
    const T* gamma = argument<T>(tile, 1);
    const ColumnSums sums = sums_at(tile.scratch, columns);
    T* table[3];
    for (int i = 0; i < 3; ++i) {
      table[i] = table_at<T>(tile.scratch, sums_bytes(columns), columns, i);
    }
    copy_table(table[2], argument<T>(tile, 2), columns);
    Scaling<T> formula{argument<T>(tile, 0), output<T>(call, tile), table[0], table[1], table[2]};
    for (int64_t n = tile.begin; n < tile.end; ++n, formula = formula.from(form.size())) {
      sum_shifted(formula.x, form.rows, columns, sums);
      for (int64_t start = 0; start < columns; start += form.group) {
        const Moments m = moments_of(form, sums, start, call.reals[0]);
        for (int64_t c = start; c < start + form.group; ++c) {
          table[0][c] = static_cast<T>(m.mean);
          table[1][c] = static_cast<T>(static_cast<double>(gamma[c]) * m.inverse);
        }
      }
      over_rows<T>(form.rows, columns, formula);
    }
  }
};

// dx = r (h - mean(h) - (x - a) r^2 mean(h (x - a))), h = g gamma. Scratch: the sums of columns,
// the tables of the formula.
struct NormalizeGroupsGradient {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Form& form = form_of(call);
    if (form.size() == 0) return;
    const int64_t columns = form.columns;
    const T* gamma = argument<T>(tile, 2);
    const ColumnSums sums = sums_at(tile.scratch, columns);
    T* table[4];
    for (int i = 0; i < 4; ++i) {
      table[i] = table_at<T>(tile.scratch, sums_bytes(columns), columns, i);
    }
    Slope<T> formula{argument<T>(tile, 0),
                     argument<T>(tile, 1),
                     output<T>(call, tile),
                     table[0],
                     table[1],
                     table[2],
                     table[3]};
    for (int64_t n = tile.begin; n < tile.end; ++n, formula = formula.from(form.size())) {
      sum_shifted(formula.x, form.rows, columns, sums);
      // The inverse waits in the table of factors for the sums that need the mean.
      for (int64_t start = 0; start < columns; start += form.group) {
        const Moments m = moments_of(form, sums, start, call.reals[0]);
        for (int64_t c = start; c < start + form.group; ++c) {
          table[0][c] = static_cast<T>(m.mean);
          table[1][c] = static_cast<T>(m.inverse);
        }
      }
      sum_products(formula.g, formula.x, table[0], form.rows, columns, sums);
      for (int64_t start = 0; start < columns; start += form.group) {
        fill_slopes(form, gamma, sums, start, table[1], table[2], table[3]);
      }
      over_rows<T>(form.rows, columns, formula);
    }
  }

  // The tables of a group, from the sums of its columns; `factor` holds 1 / sqrt(v + epsilon).
  template <typename T>
  static void fill_slopes(const Form& form, const T* gamma, const ColumnSums& sums, int64_t start,
                          T* factor, T* shift, T* pull) noexcept {
    double total = 0, product = 0;
    for (int64_t c = start; c < start + form.group; ++c) {
      total += static_cast<double>(gamma[c]) * sums.first[c];
      product += static_cast<double>(gamma[c]) * sums.second[c];
    }
    const double inverse = static_cast<double>(factor[start]);
    const double scale = inverse * form.share();
    for (int64_t c = start; c < start + form.group; ++c) {
      factor[c] = static_cast<T>(inverse * static_cast<double>(gamma[c]));
      shift[c] = static_cast<T>(scale * total);
      pull[c] = static_cast<T>(scale * inverse * inverse * product);
    }
  }
};

template <typename Loop>
Kernel prepare(Call& call, int64_t tables) {
  const Operand& x = call.operand[0];
  const int64_t samples = x.shape[0], columns = columns_of(x);
  const int64_t groups = static_cast<int64_t>(call.number("groups", 1.0));
  const Form form{samples > 0 ? rows_of(x) / samples : 0, columns,
                  groups > 0 ? columns / groups : columns};
  static_assert(sizeof form <= sizeof call.integers);
  std::memcpy(call.integers, &form, sizeof form);
  call.reals[0] = call.number("epsilon", 0.0);
  call.scratch_bytes = sums_bytes(columns) + tables * table_size(columns) * size_of(x.dtype);
  return floats<Loop>(call);
}

}  // namespace

Kernel prepare_normalize_groups(Call& call) { return prepare<NormalizeGroups>(call, 3); }

Kernel prepare_normalize_groups_gradient(Call& call) {
  return prepare<NormalizeGroupsGradient>(call, 4);
}

}  // namespace chainrule::CHAINRULE_ISA
