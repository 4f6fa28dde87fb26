// Products of matrices: matmul, batch_matmul and dense. Which way an element is computed is chosen
// in `prepare` from the shapes alone, so that its bits do not depend on tiles.
#include "activation.h"
#include "elementwise.h"
#include "gemm.h"
#include "gemm_dot.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

// y[n, m] = x[n, k] w[k, m]; the letters of a form say which of x and w lie transposed in memory.
enum class Form : uint8_t {
  plain,
  transposed_x,
  transposed_w,
  transposed_both,
  rows,    // y = rows of x with rows of w^T
  vector,  // m = 1 and x transposed: y^T = w^T x
};

struct Shape {
  int64_t n, k, m;
  bool transpose_x, transpose_w;
};

// Shapes of the two matrices are the axes from `first` on.
Shape shape_of(const Call& call, int first) {
  const bool transpose_x = call.number("transpose_x", 0) != 0;
  const bool transpose_w = call.number("transpose_w", 0) != 0;
  const int64_t* x = call.operand[0].shape + first;
  const int64_t* w = call.operand[1].shape + first;
  return {x[transpose_x ? 1 : 0], x[transpose_x ? 0 : 1], w[transpose_w ? 0 : 1], transpose_x,
          transpose_w};
}

// For a few long rows, transposing w costs more than adding up the lanes of sums (n k m = 1 16 128:
// 180 to 224 ns; 2 32 128: 404 to 482; 4 32 128: 787 to 580; 4 64 128: 1061 to 1149).
bool is_rows_with_rows(const Shape& s) {
  if (s.transpose_x || s.k == 1) return false;
  return s.m == 1 || (s.transpose_w && s.n <= 8 && s.k > 16 * (s.n - 1));
}

Form form_of(const Shape& s) {
  if (is_rows_with_rows(s)) return Form::rows;
  const bool vector = s.m == 1 || s.k == 1;  // w reads the same either way
  if (s.transpose_x && s.m == 1) return Form::vector;
  if (s.transpose_w && !vector) return s.transpose_x ? Form::transposed_both : Form::transposed_w;
  return s.transpose_x ? Form::transposed_x : Form::plain;
}

// One product; x is at the first of `rows` rows, or columns if it is transposed.
template <typename T>
struct Matrices {
  const T* x;
  const T* w;
  const T* bias;
  T* y;
  int64_t rows;
  std::byte* scratch;
};

// Rows of w a multiple of 4 KiB apart fall on the same places of the caches. With vectors of 32
// bytes the blocks are too narrow to bear reading them again from afar: on Zen 4, 1024 cubed runs
// at 68 GFLOP/s a core as it lies, at 83, 94, 100 with blocks of w copied for each 32, 64, 128
// rows, and at 62 for 16. With vectors of 64 bytes it runs at 107 as it lies, at 92, 98, 102
// copied.
constexpr int64_t least_packing_rows = 32;

template <typename T>
bool collides(int64_t m) noexcept {
  return kBytes == 32 && m > 0 && m * static_cast<int64_t>(sizeof(T)) % 4096 == 0;
}
template <typename T>
T* packing_place(const Matrices<T>& s, int64_t m) noexcept {
  const bool pays = collides<T>(m) && s.rows >= least_packing_rows;
  return pays ? reinterpret_cast<T*>(s.scratch) : nullptr;
}

template <typename T, Form form, bool relu>
void contract(const Call& call, const Matrices<T>& s) noexcept {
  const int64_t n = call.integers[0], k = call.integers[1], m = call.integers[2];
  if constexpr (form == Form::rows) {
    multiply_rows_with_rows<T>({s.rows, k, m, s.x, s.w, s.y, m, s.bias});
  } else if constexpr (form == Form::vector) {
    multiply<T>({1, k, s.rows, s.w, 0, 1, s.x, n, s.y, s.rows});
  } else if constexpr (form == Form::transposed_w) {
    multiply_by_transposed<T>({s.rows, k, m, s.x, k, 1, s.w, k, s.y, m},
                              reinterpret_cast<T*>(s.scratch));
  } else if constexpr (form == Form::transposed_both) {
    multiply<T>({s.rows, k, m, s.x, 1, n, s.w, k, s.y, m, nullptr, false, true,
                 reinterpret_cast<T*>(s.scratch)});
  } else {
    constexpr bool transposed = form == Form::transposed_x;
    multiply<T>({s.rows, k, m, s.x, transposed ? 1 : k, transposed ? n : 1, s.w, m, s.y, m, s.bias,
                 relu, false, packing_place(s, m)});
  }
}

template <typename T>
int64_t scratch_bytes(const Shape& s, Form form) {
  int64_t elements = 0;
  if (form == Form::transposed_both || collides<T>(s.m)) elements = packed_size<T>;
  if (form == Form::transposed_w) elements = transposed_scratch<T>(s.k);
  return elements * static_cast<int64_t>(sizeof(T));
}

template <typename T, Form form>
void run_matmul(const Call& call, const Tile& tile) noexcept {
  const T* x = argument<T>(tile, 0) + (call.operand[0].tiled ? 0 : tile.begin * call.integers[3]);
  contract<T, form, false>(call, {x, argument<T>(tile, 1), nullptr, output<T>(call, tile),
                                  tile.end - tile.begin, tile.scratch});
}

template <typename T, Form form>
void run_batch(const Call& call, const Tile& tile) noexcept {
  Matrices<T> s{argument<T>(tile, 0),  argument<T>(tile, 1), nullptr,
                output<T>(call, tile), call.integers[0],     tile.scratch};
  for (int64_t i = tile.begin; i < tile.end; ++i) {
    contract<T, form, false>(call, s);
    s.x += call.operand[0].row_size;
    s.w += call.operand[1].row_size;
    s.y += call.output().row_size;
  }
}

// relu is applied in registers, the costlier functions in one pass over the tile while it is hot:
// inside every block they would make it many times as long.
template <typename T, Form form, Activation activation>
void run_dense(const Call& call, const Tile& tile) noexcept {
  constexpr bool relu = activation == Activation::relu && form == Form::plain;
  T* y = output<T>(call, tile);
  contract<T, form, relu>(call, {argument<T>(tile, 0), argument<T>(tile, 1), argument<T>(tile, 2),
                                 y, tile.end - tile.begin, tile.scratch});
  if constexpr (!relu) {
    activate_all<T, activation>(y, (tile.end - tile.begin) * call.integers[2]);
  }
}

// y[c, n, m] = x[n, c q] w[c, q, m]: x whole, the others tiled.
struct PartialProducts {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const int64_t n = call.integers[0], k = call.integers[1], m = call.integers[2];
    const int64_t q = call.integers[3];
    Matrices<T> s{argument<T>(tile, 0) + tile.begin * q,
                  argument<T>(tile, 1),
                  nullptr,
                  output<T>(call, tile),
                  n,
                  tile.scratch};
    for (int64_t i = tile.begin; i < tile.end; ++i) {
      multiply<T>({n, q, m, s.x, k, 1, s.w, m, s.y, m, nullptr, false, false, packing_place(s, m)});
      s.x += q;
      s.w += q * m;
      s.y += n * m;
    }
  }
};

// y[n, m] = f(sum_c x[c, n, m] + b[m]): x and b whole.
template <Activation activation>
struct DenseOfParts {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const int64_t parts = call.operand[0].shape[0], size = call.operand[0].row_size;
    const int64_t m = call.operand[1].size;
    const T* b = argument<T>(tile, 1);
    const T* x = argument<T>(tile, 0) + tile.begin * m;
    T* y = output<T>(call, tile);
    for (int64_t row = tile.begin; row < tile.end; ++row) {
      each_vector<T>(m, [=](auto at, int64_t i) {
        Vec<T> sum = at.load(b + i);
        for (int64_t c = 0; c < parts; ++c) sum += at.load(x + c * size + i);
        at.store(y + i, activate<T, activation>(sum));
      });
      x += m;
      y += m;
    }
  }
};

template <template <typename, Form> typename Run, typename T>
Kernel kernel_for(Call& call, const Shape& s) {
  const Form form = form_of(s);
  const int64_t x_step = s.transpose_x ? 1 : s.k;  // from one row of y to the next
  const int64_t values[] = {s.n, s.k, s.m, x_step};
  for (int i = 0; i < 4; ++i) call.integers[i] = values[i];
  call.scratch_bytes = scratch_bytes<T>(s, form);
  switch (form) {
    case Form::plain: return Run<T, Form::plain>::run;
    case Form::transposed_x: return Run<T, Form::transposed_x>::run;
    case Form::transposed_w: return Run<T, Form::transposed_w>::run;
    case Form::transposed_both: return Run<T, Form::transposed_both>::run;
    case Form::rows: return Run<T, Form::rows>::run;
    case Form::vector: return Run<T, Form::vector>::run;
  }
  return nullptr;
}

template <template <typename, Form> typename Run>
Kernel prepare_product(Call& call, int first) {
  const Shape shape = shape_of(call, first);
  switch (call.operand[0].dtype) {
    case DType::f32: return kernel_for<Run, float>(call, shape);
    case DType::f64: return kernel_for<Run, double>(call, shape);
    default: return nullptr;
  }
}

template <typename T, Form form>
struct Matmul {
  static constexpr Kernel run = run_matmul<T, form>;
};
template <typename T, Form form>
struct Batch {
  static constexpr Kernel run = run_batch<T, form>;
};
// Its x and w lie as they are, so it has two forms only.
template <Activation activation>
struct Dense {
  template <typename T, Form form>
  struct Of {
    static constexpr Form used = form == Form::rows ? Form::rows : Form::plain;
    static constexpr Kernel run = run_dense<T, used, activation>;
  };
};

}  // namespace

Kernel prepare_matmul(Call& call) { return prepare_product<Matmul>(call, 0); }
Kernel prepare_batch_matmul(Call& call) { return prepare_product<Batch>(call, 1); }
Kernel prepare_dense(Call& call) {
  return with_activation(call, [&](auto activation) {
    return prepare_product<Dense<activation.value>::template Of>(call, 0);
  });
}

Kernel prepare_partial_products(Call& call) {
  const int64_t* w = call.operand[1].shape;
  const int64_t values[] = {call.operand[0].shape[0], call.operand[0].shape[1], w[2], w[1]};
  for (int i = 0; i < 4; ++i) call.integers[i] = values[i];
  const Shape shape{values[0], w[1], w[2], false, false};
  const bool single = call.operand[0].dtype == DType::f32;
  call.scratch_bytes =
      single ? scratch_bytes<float>(shape, Form::plain) : scratch_bytes<double>(shape, Form::plain);
  return floats<PartialProducts>(call);
}
Kernel prepare_dense_of_parts(Call& call) {
  return with_activation(
      call, [&](auto activation) { return floats<DenseOfParts<activation.value>>(call); });
}

}  // namespace chainrule::CHAINRULE_ISA
