// The update of a matrix by a gradient that is a product, x^T g: that of a dense layer's kernel.
// While some rows of the gradient are multiplied, those before them are used, a vector with each
// step of the product. Roots and quotients, and the way to memory, take time in which the
// multipliers would have nothing to do.
#include "elementwise.h"
#include "gemm_live.h"
#include "update.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

// Of columns. With 32 registers as many as in a product alone, though the rule needs some too: 4 %
// faster with 64 bytes each than 2.
constexpr int kVectors = kBytes == 64 ? kBlockVectors : 2;

template <typename T, typename Rule, bool scaled>
struct Rows {
  const Updater<T, Rule, scaled>& updater;
  int64_t n, k, m;  // x[n, k], g[n, m]
  const T* x;
  const T* g;
};

// Gradients that wait: `count` vectors, the first for the elements from i on.
template <typename T>
struct Waiting {
  const T* g;
  int64_t i;
  int64_t count;
};

// y = x^T g for a block of rows and columns; `all.count` vectors that wait are used meanwhile.
template <typename T, typename Rule, bool scaled, int vectors>
[[gnu::noinline]] void multiply_and_update(const Rows<T, Rule, scaled>& s, const T* x, const T* g,
                                           T* y, const Waiting<T>& all) noexcept {
  Vec<T> sum[kBlockRows][vectors] = {};
  // What is behind a reference would be read each time.
  const Updater<T, Rule, scaled> updater = s.updater;
  constexpr int64_t share = kBlockRows * vectors * kLanes<T>;  // what the next block will use
  const int64_t k = s.k, m = s.m;
  Waiting<T> w = all;
  const auto update = [&]() {
    updater.fetch(w.i + share);
    updater.update(WholeVector<T>{}, w.i, w.g);
    w.i += kLanes<T>;
    w.g += kLanes<T>;
  };
  const auto add = [&]() {
    add_product<T, kBlockRows, vectors, false>(sum, [=](int r) { return x[r]; }, g, 0);
    x += k;
    g += m;
  };
  const int64_t both = least(s.n, w.count);
  for (int64_t p = 0; p < both; ++p) {
    add();
    update();
  }
  for (int64_t p = both; p < s.n; ++p) add();
  CHAINRULE_UNROLL
  for (int r = 0; r < kBlockRows; ++r) store_row<T, vectors, false>(sum[r], y + r * m, 0);
  for (int64_t p = both; p < w.count; ++p) update();
}

template <typename T, typename Rule, bool scaled>
void use(const Rows<T, Rule, scaled>& s, const T* g, int64_t first, int64_t rows) noexcept {
  const Updater<T, Rule, scaled> updater = s.updater;
  const int64_t begin = first * s.m, share = rows * s.m;
  each_vector<T>(share, [=](auto at, int64_t i) {
    updater.fetch(begin + i + share);
    updater.update(at, begin + i, g + i);
  });
}

// Rows of the gradient, now and before, and what a product with the live columns of g[n, m] takes.
template <typename T>
struct Room {
  T* gradient;
  T* live;     // columns of g
  T* product;  // a block of rows of x^T g, of the live columns
  int32_t* at;
  Room(int64_t n, int64_t m, std::byte* scratch) noexcept
      : gradient(reinterpret_cast<T*>(scratch)),
        live(gradient + 2 * kBlockRows * m),
        product(live + n * (m / 2)),
        at(reinterpret_cast<int32_t*>(product + kBlockRows * (m / 2))) {}
};
int64_t room_bytes(int64_t n, int64_t m, DType dtype) noexcept {
  const int64_t elements = 2 * kBlockRows * m + (n + kBlockRows) * (m / 2);
  return elements * size_of(dtype) + m * static_cast<int64_t>(sizeof(int32_t));
}

template <typename Rule>
struct ProductUpdate {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Updater<T, Rule> updater(call, tile, 2);
    if (updater.scales()) return run_by(call, tile, updater);
    run_by(call, tile, Updater<T, Rule, false>(call, tile, 2));
  }

 private:
  template <typename T, bool scaled>
  static void run_by(const Call& call, const Tile& tile,
                     const Updater<T, Rule, scaled>& updater) noexcept {
    const Rows<T, Rule, scaled> s{updater,
                                  call.integers[0],
                                  call.integers[1],
                                  call.integers[2],
                                  argument<T>(tile, 1) + tile.begin,
                                  argument<T>(tile, 2)};
    const int64_t rows = tile.end - tile.begin;
    const Room<T> room(s.n, s.m, tile.scratch);
    const int64_t live = find_live_columns(s.g, s.n, s.m, room.at);
    if (are_few(live, s.m)) return multiply_live(s, rows, room, live);
    const bool whole = s.m % kLanes<T> == 0;  // vectors of the gradient are vectors of its rows
    T *now = room.gradient, *before = now + kBlockRows * s.m;
    int64_t waiting = 0, row = 0;  // rows
    for (; row < rows; row += waiting) {
      const int64_t next = least(kBlockRows, rows - row);
      if (whole && next == kBlockRows) {
        multiply_block_of(s, row, now, before, waiting);
      } else {
        use(s, before, row - waiting, waiting);
        multiply<T>({next, s.n, s.m, s.x + row, 1, s.k, s.g, s.m, now, s.m});
      }
      waiting = next;
      std::swap(now, before);
    }
    use(s, before, rows - waiting, waiting);
  }

  // The gradient of columns that are not live is 0.
  template <typename T, bool scaled>
  static void multiply_live(const Rows<T, Rule, scaled>& s, int64_t rows, const Room<T>& room,
                            int64_t live) noexcept {
    gather_columns(s.g, s.n, s.m, room.at, live, room.live);
    std::fill_n(room.gradient, kBlockRows * s.m, T{});
    for (int64_t row = 0; row < rows; row += kBlockRows) {
      const int64_t count = least(kBlockRows, rows - row);
      multiply<T>({count, s.n, live, s.x + row, 1, s.k, room.live, live, room.product, live});
      for (int64_t i = 0; i < count; ++i)
        for (int64_t p = 0; p < live; ++p)
          room.gradient[i * s.m + room.at[p]] = room.product[i * live + p];
      use(s, room.gradient, row, count);
    }
  }
  template <typename T, bool scaled>
  static void multiply_block_of(const Rows<T, Rule, scaled>& s, int64_t row, T* now,
                                const T* before, int64_t waiting) noexcept {
    const int64_t rest = waiting * s.m;  // of which each block takes as much as it gives
    int64_t used = 0;
    for (int64_t j = 0; j < s.m;) {
      const int64_t vectors = next_vectors((s.m - j) / kLanes<T>, kVectors);
      const int64_t share = least(kBlockRows * vectors * kLanes<T>, rest - used);
      const Waiting<T> w{before + used, (row - waiting) * s.m + used, share / kLanes<T>};
      const auto block = vectors == 1   ? multiply_and_update<T, Rule, scaled, 1>
                         : vectors == 2 ? multiply_and_update<T, Rule, scaled, 2>
                                        : multiply_and_update<T, Rule, scaled, kVectors>;
      block(s, s.x + row, s.g + j, now + j, w);
      used += share;
      j += vectors * kLanes<T>;
    }
  }
};

}  // namespace

Kernel prepare_product_adam_update(Call& call) {
  read_adam(call);
  const int64_t* x = call.operand[1].shape;
  const int64_t m = call.operand[2].shape[1];
  const int64_t values[] = {x[0], x[1], m};
  for (int i = 0; i < 3; ++i) call.integers[i] = values[i];
  call.scratch_bytes = room_bytes(x[0], m, call.operand[0].dtype);
  return floats<ProductUpdate<Adam<false>>>(call);
}

}  // namespace chainrule::CHAINRULE_ISA
