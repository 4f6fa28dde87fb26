// Copies in another order: everything here moves elements and computes nothing.

#include "constant.h"
#include "gemm_transpose.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

// The output in row-major order as a walk over the argument: element (i0, i1, ...) is
// x[offset + sum i * stride]. Transposing, broadcasting, slicing and reversing differ in the
// strides only. Lives in Call::integers; the first axis is the output's rows and is never merged.
struct Walk {
  int64_t offset;
  int64_t rank;
  int64_t plane;  // the axis that is contiguous in the argument where the last is not, else -1
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

// Merges neighbouring axes behind the first that the argument holds next to each other, and leaves
// out those of one element.
void merge_axes(Walk& w) noexcept {
  int64_t kept = w.rank < 1 ? w.rank : 1;
  for (int64_t i = 1; i < w.rank; ++i) {
    if (w.shape[i] == 1) continue;
    if (kept > 1 && w.stride[kept - 1] == w.shape[i] * w.stride[i]) {
      w.shape[kept - 1] *= w.shape[i];
      w.stride[kept - 1] = w.stride[i];
    } else {
      w.shape[kept] = w.shape[i];
      w.stride[kept] = w.stride[i];
      ++kept;
    }
  }
  w.rank = kept;
}

void find_plane(Walk& w) noexcept {
  w.plane = -1;
  if (w.rank < 2 || w.stride[w.rank - 1] < 2) return;
  for (int64_t i = 0; i + 1 < w.rank; ++i) {
    if (w.stride[i] == 1 && w.shape[i] > 1) w.plane = i;
  }
}

template <typename T>
void copy_line(const T* x, T* y, int64_t n, int64_t stride) noexcept {
  if (n == 0) return;
  if (stride == 1) {
    std::memcpy(y, x, static_cast<size_t>(n) * sizeof(T));
  } else if (stride == 0) {
    const T value = *x;
    for (int64_t i = 0; i < n; ++i) y[i] = value;
  } else if (stride == -1) {
    for (int64_t i = 0; i < n; ++i) y[i] = x[-i];
  } else {
    for (int64_t i = 0; i < n; ++i) y[i] = x[i * stride];
  }
}

// The n elements at y again, up to `times` in all; returns the end. Copies what was copied, so
// that short blocks do not cost a call each, in pieces that stay in the nearest cache.
template <typename T>
T* repeat(T* y, int64_t n, int64_t times) noexcept {
  constexpr int64_t most = 8192 / sizeof(T);
  const int64_t total = n * times;
  int64_t piece = n;
  for (int64_t done = n; done < total; done += piece) {
    if (done <= most) piece = done;
    if (piece > total - done) piece = total - done;
    std::memcpy(y + done, y, static_cast<size_t>(piece) * sizeof(T));
  }
  return y + total;
}

// `size` indices of an axis, and all of the axes behind it; returns the end of what was written.
template <typename T>
T* copy_axes(const T* x, T* y, const Walk& w, int64_t axis, int64_t size) noexcept {
  const int64_t stride = w.stride[axis];
  if (axis + 1 == w.rank) {
    copy_line(x, y, size, stride);
    return y + size;
  }
  const int64_t inner = w.shape[axis + 1];
  if (stride == 0 && size > 0) {
    return repeat(y, copy_axes(x, y, w, axis + 1, inner) - y, size);
  }
  for (int64_t i = 0; i < size; ++i, x += stride) y = copy_axes(x, y, w, axis + 1, inner);
  return y;
}

// to[c, r] = from[r, c], element by element.
template <typename T>
void transpose_plainly(const Transpose<T>& s) noexcept {
  for (int64_t r = 0; r < s.rows; ++r) {
    const T* from = s.from + r * s.from_row;
    for (int64_t c = 0; c < s.columns; ++c) s.to[c * s.to_row + r] = from[c];
  }
}

// Rows too short for a vector, and bytes, whose squares do not fit in registers, go element by
// element, some columns at a time so that the output stays in the cache: 3 channels of an image to
// the last axis took 37 us through registers and take 14 us so. Blocks of a line of the cache in
// both directions around `transpose_matrix` gained nothing at 512 x 784 and lost at 128 x 128.
template <typename T>
void transpose_plane(const Transpose<T>& plane) noexcept {
  if constexpr (sizeof(T) > 1) {
    if (plane.rows >= 4) return transpose_matrix(plane);
  }
  constexpr int64_t width = 256;
  constexpr int64_t height = 16;
  for (int64_t c = 0; c < plane.columns; c += width) {
    for (int64_t r = 0; r < plane.rows; r += height) {
      Transpose<T> block = plane;
      block.from += r * plane.from_row + c;
      block.to += c * plane.to_row + r;
      block.rows = plane.rows - r < height ? plane.rows - r : height;
      block.columns = plane.columns - c < width ? plane.columns - c : width;
      transpose_plainly(block);
    }
  }
}

// Elements of the output between neighbours along an axis.
int64_t spacing(const Walk& w, int64_t axis) noexcept {
  int64_t n = 1;
  for (int64_t i = axis + 1; i < w.rank; ++i) n *= w.shape[i];
  return n;
}

// Transposes the plane of the axis `w.plane` and the last for all indices of the axes from `axis`
// on; `rows` is the length of the first axis.
template <typename T>
void copy_planes(const T* x, T* y, const Walk& w, int64_t axis, int64_t rows) noexcept {
  const int64_t last = w.rank - 1;
  if (axis == last) {
    const int64_t width = w.plane == 0 ? rows : w.shape[w.plane];
    transpose_plane<T>({x, w.stride[last], w.shape[last], width, y, spacing(w, w.plane), false});
  } else if (axis == w.plane) {
    copy_planes(x, y, w, axis + 1, rows);
  } else {
    const int64_t size = axis == 0 ? rows : w.shape[axis];
    const int64_t step = spacing(w, axis);
    for (int64_t i = 0; i < size; ++i) {
      copy_planes(x + i * w.stride[axis], y + i * step, w, axis + 1, rows);
    }
  }
}

template <typename T>
struct WalkOf {
  static void run(const Call& call, const Tile& tile) noexcept {
    const Walk& w = walk_of(call);
    const T* x = argument<T>(tile, 0) + w.offset;
    T* y = output<T>(call, tile);
    const int64_t rows = tile.end - tile.begin;
    if (w.rank == 0) {
      *y = *x;
      return;
    }
    if (!call.operand[0].tiled) x += tile.begin * w.stride[0];
    if (w.plane < 0 || (w.plane == 0 && rows < 2)) {
      copy_axes(x, y, w, 0, rows);
    } else {
      copy_planes(x, y, w, 0, rows);
    }
  }
};

Kernel walker(Call& call) noexcept {
  merge_axes(walk_of(call));
  find_plane(walk_of(call));
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

// The first row of the tile may begin within a run of equal numbers, but not within a row.
template <typename T>
void iota(const Call& call, const Tile& tile) noexcept {
  T* y = output<T>(call, tile);
  const int64_t inner = call.integers[0];
  const int64_t size = call.integers[1];
  const int64_t first = tile.begin * call.output().row_size;
  int64_t left = tile_size(call, tile, 0);
  int64_t number = first / inner % size;
  int64_t run = inner - first % inner;
  while (left > 0) {
    if (inner == 1) run = size - number;
    if (run > left) run = left;
    const int64_t rise = inner == 1 ? 1 : 0;
    for (int64_t i = 0; i < run; ++i) y[i] = static_cast<T>(number + i * rise);
    y += run;
    left -= run;
    number = inner == 1 || number + 1 == size ? 0 : number + 1;
    run = inner;
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
  store_constant(call.output().dtype, call.number("value", 0), call.integers);
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
    case DType::u8: return iota<uint8_t>;
    default: return nullptr;
  }
}

}  // namespace chainrule::CHAINRULE_ISA
