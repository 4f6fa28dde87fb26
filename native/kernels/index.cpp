// Reading and adding rows by number.

#include <algorithm>

#include "simd.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

constexpr int bad_index = 0xffff;

// The row of x that index i of the tile names; one that is outside is reported and reads row 0.
template <typename I>
int64_t checked(const I* index, int64_t i, const Call& call, const Tile& tile) noexcept {
  const auto row = static_cast<int64_t>(index[i]);
  if (row >= 0 && row < call.operand[0].shape[0]) return row;
  const Operand& indices = call.operand[1];
  tile.status->report(indices.rank == 0 ? 0 : tile.begin + i / indices.row_size, bad_index);
  return 0;
}

// One row, named by a single index: the rows of the output are then the first axis of that row.
template <typename I>
void take_one(const Call& call, const Tile& tile) noexcept {
  const Operand& x = call.operand[0];
  const int64_t row = checked(argument<I>(tile, 1), 0, call, tile);
  if (x.shape[0] == 0) return;
  const int64_t item = size_of(x.dtype);
  const int64_t first = row * x.row_size + tile.begin * call.output().row_size;
  std::memcpy(output<std::byte>(call, tile), argument<std::byte>(tile, 0) + first * item,
              static_cast<size_t>(tile_size(call, tile, 2) * item));
}

// Rows of one element: a call of memcpy for each would cost more than the copy.
template <typename T, typename I>
void take_elements(const Call& call, const Tile& tile) noexcept {
  const int64_t rows = call.operand[0].shape[0];
  const I* index = argument<I>(tile, 1);
  const T* x = argument<T>(tile, 0);
  T* y = output<T>(call, tile);
  const int64_t n = tile_size(call, tile, 1);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t row = checked(index, i, call, tile);
    y[i] = rows > 0 ? x[row] : T{};
  }
}

// Bytes of coming rows that are on their way from memory. A row at random is nowhere near, and the
// processor foresees the lines within a row only once it is being read: 512 rows of 3 KiB took 110
// us to gather without.
constexpr int64_t prefetched = 16384;

template <typename I>
void prefetch_row(const Call& call, const std::byte* x, I index, int64_t bytes) noexcept {
  const auto row = static_cast<int64_t>(index);
  if (row < 0 || row >= call.operand[0].shape[0]) return;
  const int64_t near = std::min(bytes, prefetched);
  for (int64_t i = 0; i < near; i += 64) __builtin_prefetch(x + row * bytes + i);
}

template <typename I>
void take(const Call& call, const Tile& tile) noexcept {
  const Operand& x = call.operand[0];
  const int64_t rows = x.shape[0];
  const int64_t bytes = x.row_size * size_of(x.dtype);
  const I* index = argument<I>(tile, 1);
  const auto* from = argument<std::byte>(tile, 0);
  auto* to = output<std::byte>(call, tile);
  const int64_t n = tile_size(call, tile, 1);
  if (n == 0) return;
  // Where the indices go on after the tile, the first rows of the next one come while other calls
  // work on this one.
  const Operand& indices = call.operand[1];
  const int64_t left = indices.constant ? indices.size - tile.begin * indices.row_size : n;
  const int64_t ahead = std::clamp<int64_t>(prefetched / std::max<int64_t>(bytes, 1), 1, left);
  if (tile.begin == 0 || !indices.constant) {
    for (int64_t i = 0; i < ahead; ++i) prefetch_row(call, from, index[i], bytes);
  }
  for (int64_t i = 0; i < n; ++i, to += bytes) {
    const int64_t row = checked(index, i, call, tile);
    if (rows == 0) continue;
    if (i + ahead < left) prefetch_row(call, from, index[i + ahead], bytes);
    std::memcpy(to, from + row * bytes, static_cast<size_t>(bytes));
  }
}

// Each tile goes through all the indices and adds, in order, the rows that are its own.
template <typename T, typename I>
void scatter_add(const Call& call, const Tile& tile) noexcept {
  const int64_t width = call.output().row_size;
  const I* index = argument<I>(tile, 0);
  const T* updates = argument<T>(tile, 1);
  T* y = output<T>(call, tile);
  for (int64_t i = 0; i < (tile.end - tile.begin) * width; ++i) y[i] = 0;
  for (int64_t i = 0; i < call.operand[0].size; ++i) {
    const auto row = static_cast<int64_t>(index[i]);
    if (row < tile.begin || row >= tile.end) continue;
    T* to = y + (row - tile.begin) * width;
    const T* from = updates + i * width;
    for (int64_t k = 0; k < width; ++k) to[k] += from[k];
  }
}

template <typename T, typename I>
void one_hot(const Call& call, const Tile& tile) noexcept {
  const int64_t depth = call.integers[0];
  const I* index = argument<I>(tile, 0);
  T* y = output<T>(call, tile);
  const int64_t n = tile_size(call, tile, 0);
  for (int64_t i = 0; i < n; ++i, y += depth) {
    for (int64_t k = 0; k < depth; ++k) y[k] = 0;
    const auto hot = static_cast<int64_t>(index[i]);
    if (hot >= 0 && hot < depth) y[hot] = 1;
  }
}

// Of a single index: the rows of the output are the elements.
template <typename T, typename I>
void one_hot_one(const Call& call, const Tile& tile) noexcept {
  const auto hot = static_cast<int64_t>(*argument<I>(tile, 0));
  T* y = output<T>(call, tile);
  for (int64_t k = tile.begin; k < tile.end; ++k) *y++ = static_cast<T>(k == hot);
}

template <typename T, typename I>
Kernel one_hot_of(const Call& call) noexcept {
  return call.operand[0].rank == 0 ? one_hot_one<T, I> : one_hot<T, I>;
}

template <typename I>
Kernel take_of(const Call& call) noexcept {
  if (call.operand[1].rank == 0) return take_one<I>;
  if (call.operand[0].row_size != 1) return take<I>;
  switch (size_of(call.operand[0].dtype)) {
    case 1: return take_elements<uint8_t, I>;
    case 4: return take_elements<uint32_t, I>;
    default: return take_elements<uint64_t, I>;
  }
}

bool is_i64(const Operand& operand) noexcept { return operand.dtype == DType::i64; }
bool is_i32(const Operand& operand) noexcept { return operand.dtype == DType::i32; }

}  // namespace

Kernel prepare_take(Call& call) {
  if (is_i64(call.operand[1])) return take_of<int64_t>(call);
  return is_i32(call.operand[1]) ? take_of<int32_t>(call) : nullptr;
}

Kernel prepare_scatter_add(Call& call) {
  const bool wide = is_i64(call.operand[0]);
  if (!wide && !is_i32(call.operand[0])) return nullptr;
  switch (call.operand[1].dtype) {
    case DType::f32: return wide ? scatter_add<float, int64_t> : scatter_add<float, int32_t>;
    case DType::f64: return wide ? scatter_add<double, int64_t> : scatter_add<double, int32_t>;
    default: return nullptr;
  }
}

Kernel prepare_one_hot(Call& call) {
  call.integers[0] = static_cast<int64_t>(call.number("depth", 0));
  const bool wide = is_i64(call.operand[0]);
  if (!wide && !is_i32(call.operand[0])) return nullptr;
  switch (call.output().dtype) {
    case DType::f32:
      return wide ? one_hot_of<float, int64_t>(call) : one_hot_of<float, int32_t>(call);
    case DType::f64:
      return wide ? one_hot_of<double, int64_t>(call) : one_hot_of<double, int32_t>(call);
    default: return nullptr;
  }
}

}  // namespace chainrule::CHAINRULE_ISA
