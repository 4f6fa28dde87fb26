// Matrices that are turned, and a product that is: cut along the rows of what is read, the tiles of
// what is written are columns.
#include "elementwise.h"
#include "gemm_live.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

constexpr int64_t kRows = 64, kColumns = 48;

// Of scratch: a block of the product, or what belongs to live rows of w.
int64_t room_elements(int64_t n, int64_t k) noexcept {
  const int64_t all = kRows * kColumns, live = k / 2 * (kRows + n);
  return all > live ? all : live;
}

// y[n, m] = sum_k x[m, k] w[k, n]: x tiled, w whole, y tiled by columns. Rows of x that fit a cache
// are multiplied, then turned; where few rows of w are live, the columns that belong to them are
// turned first, which are fewer.
template <typename T>
class TransposedProduct {
 public:
  TransposedProduct(const Call& call, const Tile& tile) noexcept
      : n_(call.operand[1].shape[1]),
        k_(call.operand[1].shape[0]),
        y_row_(call.output().row_size),
        x_(argument<T>(tile, 0)),
        w_(argument<T>(tile, 1)),
        y_(output<T>(call, tile)),
        room_(reinterpret_cast<T*>(tile.scratch)),
        at_(reinterpret_cast<int32_t*>(room_ + room_elements(n_, k_))) {}

  void multiply_rows(int64_t rows) noexcept {
    const int64_t live = find_live_rows(w_, k_, n_, at_);
    const bool few = are_few(live, k_);
    T* const w_live = room_ + kRows * (k_ / 2);
    if (few) gather_rows(w_, n_, at_, live, w_live);
    for (int64_t i = 0; i < rows; i += kRows) {
      const int64_t count = least(kRows, rows - i);
      if (few) {
        multiply_live(i, count, w_live, live);
      } else {
        multiply_all(i, count);
      }
    }
  }

 private:
  void multiply_all(int64_t i, int64_t count) noexcept {
    for (int64_t j = 0; j < n_; j += kColumns) {
      const int64_t columns = least(kColumns, n_ - j);
      multiply<T>({count, k_, columns, x_ + i * k_, k_, 1, w_ + j, n_, room_, kColumns});
      transpose_matrix<T>({room_, kColumns, count, columns, y_ + j * y_row_ + i, y_row_, false});
    }
  }
  void multiply_live(int64_t i, int64_t count, const T* w_live, int64_t live) noexcept {
    const T* x = x_ + i * k_;
    for (int64_t r = 0; r < count; ++r)
      for (int64_t p = 0; p < live; ++p) room_[p * count + r] = x[r * k_ + at_[p]];
    multiply<T>({n_, live, count, w_live, 1, n_, room_, count, y_ + i, y_row_});
  }

  int64_t n_, k_, y_row_;
  const T *x_, *w_;
  T *y_, *room_;
  int32_t* at_;
};

struct TransposedMatmul {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    TransposedProduct<T>(call, tile).multiply_rows(tile.end - tile.begin);
  }
};

// y[m, n] = x[n, m]: x tiled, y by columns.
struct Turned {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const int64_t m = call.operand[0].row_size;
    transpose_matrix<T>({argument<T>(tile, 0), m, tile.end - tile.begin, m, output<T>(call, tile),
                         call.output().row_size, false});
  }
};

}  // namespace

Kernel prepare_transposed_matmul(Call& call) {
  const int64_t n = call.operand[1].shape[1], k = call.operand[1].shape[0];
  call.scratch_bytes = room_elements(n, k) * size_of(call.operand[0].dtype) +
                       k * static_cast<int64_t>(sizeof(int32_t));
  return floats<TransposedMatmul>(call);
}
Kernel prepare_turned(Call& call) { return floats<Turned>(call); }

}  // namespace chainrule::CHAINRULE_ISA
