// Copies in another order: everything here moves elements and computes nothing.

#include "simd.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

// The output in row-major order as a walk over the argument: element (i0, i1, ...) is
// x[offset + sum i * stride]. Transposing, broadcasting, slicing and reversing differ in the strides
// only. Lives in Call::integers; the first axis is the output's rows and is never merged.
struct Walk {
  int64_t offset;
  int64_t rank;
  int64_t shape[max_rank];
  int64_t stride[max_rank];
};
static_assert(sizeof(Walk) <= sizeof(Call::integers));

Walk& walk_of(Call& call) noexcept { return *reinterpret_cast<Walk*>(call.integers); }
const Walk& walk_of(const Call& call) noexcept {
  return *reinterpret_cast<const Walk*>(call.integers);
}

int64_t listed(const Call& call, const char* name, int64_t i, int64_t otherwise) noexcept {
  const Attribute* a = call.find(name);
  const auto count = a == nullptr ? 0 : static_cast<int64_t>(a->numbers.size());
  return i < count ? static_cast<int64_t>(a->numbers[static_cast<size_t>(i)]) : otherwise;
}

void strides_of(const Operand& x, int64_t* stride) noexcept {
  int64_t step = 1;
  for (int i = x.rank - 1; i >= 0; --i) {
    stride[i] = step;
    step *= x.shape[i];
  }
}

// Merges neighbouring axes behind the first that the argument holds next to each other.
void merge_axes(Walk& w) noexcept {
  int64_t kept = w.rank < 1 ? w.rank : 1;
  for (int64_t i = 1; i < w.rank; ++i) {
    if (kept > 1 && w.stride[kept - 1] == w.shape[i] * w.stride[i]) {
      w.shape[kept - 1] *= w.shape[i];
      w.stride[kept - 1] = w.stride[i];
    } else if (w.shape[i] != 1 || i == w.rank - 1) {
      w.shape[kept] = w.shape[i];
      w.stride[kept] = w.stride[i];
      ++kept;
    }
  }
  w.rank = kept;
}

template <typename T>
void copy_line(const T* x, T* y, int64_t n, int64_t stride) noexcept {
  if (stride == 1) {
    std::memcpy(y, x, static_cast<size_t>(n) * sizeof(T));
  } else if (stride == 0) {
    const T value = n > 0 ? *x : T{};
    for (int64_t i = 0; i < n; ++i) y[i] = value;
  } else {
    for (int64_t i = 0; i < n; ++i) y[i] = x[i * stride];
  }
}

// One row of the output: the axes behind the first.
template <typename T>
T* copy_row(const T* x, T* y, const Walk& w) noexcept {
  if (w.rank <= 1) {
    *y = *x;
    return y + 1;
  }
  const int64_t inner = w.rank - 1;
  int64_t lines = 1;
  for (int64_t i = 1; i < inner; ++i) lines *= w.shape[i];
  if (w.shape[inner] == 0) return y;
  int64_t at[max_rank] = {};
  for (; lines > 0; --lines, y += w.shape[inner]) {
    copy_line(x, y, w.shape[inner], w.stride[inner]);
    for (int64_t i = inner - 1; i >= 1; --i) {
      x += w.stride[i];
      if (++at[i] < w.shape[i]) break;
      x -= w.stride[i] * w.shape[i];
      at[i] = 0;
    }
  }
  return y;
}

// A block of 16 x 16 at a time, so that a line of the cache is used whole on both sides.
template <typename T>
void transpose_block(const T* x, T* y, int64_t rows, const Walk& w) noexcept {
  constexpr int64_t block = 16;
  const int64_t width = w.shape[1];
  for (int64_t r = 0; r < rows; r += block) {
    const int64_t last_row = r + block < rows ? r + block : rows;
    for (int64_t c = 0; c < width; c += block) {
      const int64_t last_column = c + block < width ? c + block : width;
      for (int64_t i = r; i < last_row; ++i) {
        const T* from = x + i * w.stride[0];
        for (int64_t k = c; k < last_column; ++k) y[i * width + k] = from[k * w.stride[1]];
      }
    }
  }
}

template <typename T>
void walk(const Call& call, const Tile& tile) noexcept {
  const Walk& w = walk_of(call);
  const T* x = argument<T>(tile, 0) + w.offset;
  T* y = output<T>(call, tile);
  if (!call.operand[0].tiled && w.rank > 0) x += tile.begin * w.stride[0];
  const int64_t rows = tile.end - tile.begin;
  if (w.rank == 2 && w.stride[1] > 1 && w.stride[0] == 1) {
    transpose_block(x, y, rows, w);
  } else if (w.rank == 1) {
    copy_line(x, y, rows, w.stride[0]);
  } else {
    for (int64_t r = 0; r < rows; ++r) {
      y = copy_row(x, y, w);
      if (w.rank > 0) x += w.stride[0];
    }
  }
}

template <template <typename> class Run>
Kernel by_size(const Operand& operand) noexcept {
  switch (size_of(operand.dtype)) {
    case 1: return Run<uint8_t>::run;
    case 4: return Run<uint32_t>::run;
    default: return Run<uint64_t>::run;
  }
}

template <typename T>
struct WalkOf {
  static void run(const Call& call, const Tile& tile) noexcept { walk<T>(call, tile); }
};

Kernel walker(Call& call) noexcept {
  merge_axes(walk_of(call));
  return by_size<WalkOf>(call.operand[0]);
}

// Begins the walk with the output's shape.
Walk& begin_walk(Call& call) noexcept {
  Walk& w = walk_of(call);
  w.offset = 0;
  w.rank = call.output().rank;
  for (int i = 0; i < call.output().rank; ++i) w.shape[i] = call.output().shape[i];
  return w;
}

void copy(const Call& call, const Tile& tile) noexcept {
  const int64_t bytes = tile_size(call, tile, 0) * size_of(call.operand[0].dtype);
  void* to = tile.operand[1];
  if (to != tile.operand[0]) std::memcpy(to, tile.operand[0], static_cast<size_t>(bytes));
}

// The whole array, into one with other rows: each tile copies its own part of the elements.
void copy_whole(const Call& call, const Tile& tile) noexcept {
  const int64_t item = size_of(call.operand[0].dtype);
  const int64_t first = tile.begin * call.output().row_size * item;
  const int64_t bytes = tile_size(call, tile, 1) * item;
  std::memcpy(tile.operand[1], argument<std::byte>(tile, 0) + first, static_cast<size_t>(bytes));
}

template <typename T>
struct FillOf {
  static void run(const Call& call, const Tile& tile) noexcept {
    T value;
    std::memcpy(&value, call.integers, sizeof value);
    T* y = output<T>(call, tile);
    const int64_t n = tile_size(call, tile, 0);
    for (int64_t i = 0; i < n; ++i) y[i] = value;
  }
};

// The attribute `value` as the bits of an element of the output.
void store_value(Call& call) noexcept {
  const double value = call.number("value", 0);
  const auto put = [&](auto typed) { std::memcpy(call.integers, &typed, sizeof typed); };
  switch (call.output().dtype) {
    case DType::f32: return put(static_cast<float>(value));
    case DType::f64: return put(value);
    case DType::i32: return put(static_cast<int32_t>(value));
    case DType::i64: return put(static_cast<int64_t>(value));
    case DType::u8: return put(static_cast<uint8_t>(value));
    default: return put(static_cast<uint8_t>(value != 0));
  }
}

template <typename T>
void iota(const Call& call, const Tile& tile) noexcept {
  T* y = output<T>(call, tile);
  const int64_t row_size = call.output().row_size;
  const int64_t n = tile_size(call, tile, 0);
  const int64_t first = tile.begin * row_size;
  for (int64_t i = 0; i < n; ++i) {
    y[i] = static_cast<T>((first + i) / call.integers[0] % call.integers[1]);
  }
}

}  // namespace

Kernel prepare_reshape(Call& call) { return call.operand[0].tiled ? copy : copy_whole; }

Kernel prepare_transpose(Call& call) {
  Walk& w = begin_walk(call);
  int64_t stride[max_rank];
  strides_of(call.operand[0], stride);
  for (int64_t i = 0; i < w.rank; ++i) w.stride[i] = stride[listed(call, "axes", i, i)];
  return walker(call);
}

Kernel prepare_broadcast(Call& call) {
  Walk& w = begin_walk(call);
  int64_t stride[max_rank];
  const Operand& x = call.operand[0];
  strides_of(x, stride);
  for (int64_t i = 0; i < w.rank; ++i) w.stride[i] = 0;
  for (int i = 0; i < x.rank; ++i) {
    w.stride[listed(call, "axes", i, i)] = x.shape[i] == 1 ? 0 : stride[i];
  }
  return walker(call);
}

Kernel prepare_slice(Call& call) {
  Walk& w = begin_walk(call);
  int64_t stride[max_rank];
  strides_of(call.operand[0], stride);
  for (int64_t i = 0; i < w.rank; ++i) {
    w.stride[i] = stride[i] * listed(call, "step", i, 1);
    w.offset += stride[i] * listed(call, "start", i, 0);
  }
  return walker(call);
}

Kernel prepare_reverse(Call& call) {
  Walk& w = begin_walk(call);
  strides_of(call.operand[0], w.stride);
  const Attribute* axes = call.find("axes");
  const auto count = axes == nullptr ? 0 : static_cast<int64_t>(axes->numbers.size());
  for (int64_t i = 0; i < count; ++i) {
    const int64_t axis = listed(call, "axes", i, 0);
    if (w.shape[axis] > 0) w.offset += (w.shape[axis] - 1) * w.stride[axis];
    w.stride[axis] = -w.stride[axis];
  }
  return walker(call);
}

Kernel prepare_fill(Call& call) {
  store_value(call);
  return by_size<FillOf>(call.output());
}

Kernel prepare_iota(Call& call) {
  const auto axis = static_cast<int>(call.number("axis", 0));
  const Operand& y = call.output();
  int64_t inner = 1;
  for (int i = axis + 1; i < y.rank; ++i) inner *= y.shape[i];
  call.integers[0] = inner > 0 ? inner : 1;
  call.integers[1] = axis < y.rank && y.shape[axis] > 0 ? y.shape[axis] : 1;
  switch (y.dtype) {
    case DType::f32: return iota<float>;
    case DType::f64: return iota<double>;
    case DType::i32: return iota<int32_t>;
    case DType::i64: return iota<int64_t>;
    default: return nullptr;
  }
}

}  // namespace chainrule::CHAINRULE_ISA
