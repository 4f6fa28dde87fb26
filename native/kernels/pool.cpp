// Pooling of images [n, *space, c]: the greatest of each window with its place, or the sum, and the
// two maps back. Sums run over windows or places in a fixed order, whatever the tile; maps back
// visit the cells, so that each element is written once and nothing is cleared first.
#include "pool_pairs.h"
#include "pool_sum.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

template <typename T>
void max_of_pairs(const Form& f, int64_t samples, const T* x, T* y, uint8_t* place) noexcept {
  each_pair<T>(f, samples, x, [=](auto at, int64_t i, Sides<T> upper, Sides<T> lower) {
    const Greatest<T> best = greatest_of_four<T>(upper.left, upper.right, lower.left, lower.right);
    at.store(y + i, best.value);
    store_numbers(at, place + i, best.number);
  });
}

template <typename Place>
struct MaxPool {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Form f = form_of(call);
    const int64_t samples = tile.end - tile.begin;
    const T* x = argument<T>(tile, 0);
    T* y = output<T>(call, tile, 0);
    Place* place = output<Place>(call, tile, 1);
    if constexpr (std::is_same_v<Place, uint8_t>) {
      if (is_pairs(f)) return max_of_pairs<T>(f, samples, x, y, place);
    }
    each_window<T>(f, samples, [=, &f](const Window& w) {
      const int64_t cell = (w.span[0].begin * f.size[1] + w.span[1].begin) * f.size[2];
      const int64_t first = w.start + (cell + w.span[2].begin) * f.c;
      const int64_t row = w.span[0].begin * f.window[1] + w.span[1].begin;
      const Numbers<T> number = splat_number<T>(row * f.window[2] + w.span[2].begin);
      each_of<T>(w.count, w.spill, [=, &f, &w](auto at, int64_t c) {
        Greatest<T> best{at.load(x + first + c), number};
        each_place(f, w, [&](int64_t element, int64_t its) {
          best.meet(at.load(x + element + c), splat_number<T>(its));
        });
        at.store(y + w.pooled + c, best.value);
        store_numbers(at, place + w.pooled + c, best.number);
      });
    });
  }
};

template <typename Place>
struct MaxPoolTake {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Form f = form_of(call);
    const T* h = argument<T>(tile, 0);
    const Place* place = argument<Place>(tile, 1);
    T* g = output<T>(call, tile);
    each_window<T>(f, tile.end - tile.begin, [=, &f](const Window& w) {
      each_of<T>(w.count, w.spill, [=, &f, &w](auto at, int64_t c) {
        const Numbers<T> mine = load_numbers(at, place + w.pooled + c);
        Vec<T> taken = {};
        each_place(f, w, [&](int64_t element, int64_t its) {
          taken = select<T>(mine == splat_number<T>(its), at.load(h + element + c), taken);
        });
        at.store(g + w.pooled + c, taken);
      });
    });
  }
};

// Lines along the last axis have sums of their own, so that large windows do not lose digits.
struct SumPool {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Form f = form_of(call);
    const T* x = argument<T>(tile, 0);
    T* y = output<T>(call, tile);
    if (is_pairs(f)) {
      return each_pair<T>(f, tile.end - tile.begin, x,
                          [=](auto at, int64_t i, Sides<T> upper, Sides<T> lower) {
                            const Vec<T> sum = upper.left + upper.right;
                            at.store(y + i, sum + (lower.left + lower.right));
                          });
    }
    each_window<T>(f, tile.end - tile.begin, [=, &f](const Window& w) {
      each_of<T>(w.count, w.spill, [=, &f, &w](auto at, int64_t c) {
        Vec<T> total = {};
        for (int64_t i = w.span[0].begin; i < w.span[0].end; ++i) {
          Vec<T> plane = {};
          for (int64_t j = w.span[1].begin; j < w.span[1].end; ++j) {
            const T* row = x + w.start + (i * f.size[1] + j) * f.size[2] * f.c + c;
            Vec<T> line = {};
            for (int64_t k = w.span[2].begin; k < w.span[2].end; ++k)
              line += at.load(row + k * f.c);
            plane += line;
          }
          total += plane;
        }
        at.store(y + w.pooled + c, total);
      });
    });
  }
};

template <typename T>
void max_from_pairs(const Form& f, int64_t samples, const T* g, const uint8_t* place,
                    T* dx) noexcept {
  each_pair_back<T>(f, samples, dx, [=](auto at, int64_t i, int64_t row) {
    const Vec<T> slope = at.load(g + i);
    const Numbers<T> mine = load_numbers(at, place + i);
    return Sides<T>{select<T>(mine == splat_number<T>(2 * row), slope, Vec<T>{}),
                    select<T>(mine == splat_number<T>(2 * row + 1), slope, Vec<T>{})};
  });
}

template <typename Place>
struct MaxPoolGradient {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Form f = form_of(call);
    const int64_t samples = tile.end - tile.begin;
    const T* g = argument<T>(tile, 0);
    const Place* place = argument<Place>(tile, 1);
    T* dx = output<T>(call, tile);
    if constexpr (std::is_same_v<Place, uint8_t>) {
      if (is_pairs(f)) return max_from_pairs<T>(f, samples, g, place, dx);
    }
    each_cell<T>(f, samples, dx, [=](auto at, int64_t i, int64_t number) {
      const auto chosen = load_numbers(at, place + i) == splat_number<T>(number);
      return select<T>(chosen, at.load(g + i), Vec<T>{});
    });
  }
};

struct SumPoolGradient {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Form f = form_of(call);
    const int64_t samples = tile.end - tile.begin;
    const T* g = argument<T>(tile, 0);
    T* dx = output<T>(call, tile);
    if (is_pairs(f)) {
      return each_pair_back<T>(f, samples, dx, [=](auto at, int64_t i, int64_t) {
        const Vec<T> slope = at.load(g + i);
        return Sides<T>{slope, slope};
      });
    }
    each_cell<T>(f, samples, dx, [=](auto at, int64_t i, int64_t) { return at.load(g + i); });
  }
};

template <typename Place>
struct PooledBiasGradient {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const int64_t m = call.output().row_size;
    const int64_t size = call.operand[0].row_size;
    const T* g = argument<T>(tile, 0);
    const Place* place = argument<Place>(tile, 1);
    T* y = output<T>(call, tile);
    for (int64_t n = tile.begin; n < tile.end; ++n, g += size, place += size, y += m) {
      each_sum_of_placed(g, place, size, m, call.integers[0],
                         [=](auto at, int64_t j, Vec<T> sum) { at.store(y + j, sum); });
    }
  }
};

// The kernel for the dtype of the places.
template <template <typename> typename Loop>
Kernel with_places(const Call& call, const Operand& place) {
  switch (place.dtype) {
    case DType::u8: return floats<Loop<uint8_t>>(call);
    case DType::i32: return floats<Loop<int32_t>>(call);
    default: return nullptr;
  }
}

}  // namespace

Kernel prepare_max_pool(Call& call) {
  keep_form(call, call.operand[0], call.output());
  return with_places<MaxPool>(call, call.output(1));
}

Kernel prepare_max_pool_take(Call& call) {
  keep_form(call, call.operand[0], call.operand[1]);
  return with_places<MaxPoolTake>(call, call.operand[1]);
}

Kernel prepare_max_pool_gradient(Call& call) {
  keep_form(call, call.output(), call.operand[0]);
  return with_places<MaxPoolGradient>(call, call.operand[1]);
}

Kernel prepare_pooled_bias_gradient(Call& call) {
  call.integers[0] = 1;
  for (const double cells : call.find("window")->numbers)
    call.integers[0] *= static_cast<int64_t>(cells);
  return with_places<PooledBiasGradient>(call, call.operand[1]);
}

Kernel prepare_sum_pool(Call& call) {
  keep_form(call, call.operand[0], call.output());
  return floats<SumPool>(call);
}

Kernel prepare_sum_pool_gradient(Call& call) {
  keep_form(call, call.output(), call.operand[0]);
  return floats<SumPoolGradient>(call);
}

}  // namespace chainrule::CHAINRULE_ISA
