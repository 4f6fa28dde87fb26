// Reading and adding rows by number.

#include "simd.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

constexpr int bad_index = 0xffff;

template <typename I>
void take(const Call& call, const Tile& tile) noexcept {
  const Operand& x = call.operand[0];
  const int64_t rows = x.shape[0];
  const int64_t bytes = x.row_size * size_of(x.dtype);
  const I* index = argument<I>(tile, 1);
  const auto* from = argument<std::byte>(tile, 0);
  auto* to = output<std::byte>(call, tile);
  const int64_t n = tile_size(call, tile, 1);
  const int64_t per_row = call.operand[1].row_size;
  for (int64_t i = 0; i < n; ++i, to += bytes) {
    auto row = static_cast<int64_t>(index[i]);
    if (row < 0 || row >= rows) {
      tile.status->report(tile.begin + i / (per_row > 0 ? per_row : 1), bad_index);
      row = 0;
      if (rows == 0) continue;
    }
    if (i + 1 < n) {
      const auto next = static_cast<int64_t>(index[i + 1]);
      if (next >= 0 && next < rows) __builtin_prefetch(from + next * bytes);
    }
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

bool is_i64(const Operand& operand) noexcept { return operand.dtype == DType::i64; }
bool is_i32(const Operand& operand) noexcept { return operand.dtype == DType::i32; }

}  // namespace

Kernel prepare_take(Call& call) {
  if (is_i64(call.operand[1])) return take<int64_t>;
  return is_i32(call.operand[1]) ? take<int32_t> : nullptr;
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
    case DType::f32: return wide ? one_hot<float, int64_t> : one_hot<float, int32_t>;
    case DType::f64: return wide ? one_hot<double, int64_t> : one_hot<double, int32_t>;
    default: return nullptr;
  }
}

}  // namespace chainrule::CHAINRULE_ISA
