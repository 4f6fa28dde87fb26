// Joining arrays along an axis, and padding one: runs of bytes at their place in the output.

#include "simd.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

// Along the leading axis: each argument fills rows of its own; a tile copies those it covers.
void concatenate_rows(const Call& call, const Tile& tile) noexcept {
  const int64_t row_bytes = call.output().row_size * size_of(call.output().dtype);
  auto* y = output<std::byte>(call, tile);
  int64_t first = 0;
  for (int i = 0; i < call.arguments; ++i) {
    const int64_t last = first + call.operand[i].shape[0];
    const int64_t begin = first > tile.begin ? first : tile.begin;
    const int64_t end = last < tile.end ? last : tile.end;
    if (begin < end) {
      std::memcpy(y + (begin - tile.begin) * row_bytes,
                  argument<std::byte>(tile, i) + (begin - first) * row_bytes,
                  static_cast<size_t>((end - begin) * row_bytes));
    }
    first = last;
  }
}

// Along another axis: integers[0] blocks in a row; integers[1 + i] bytes of argument i in a block.
void concatenate_blocks(const Call& call, const Tile& tile) noexcept {
  auto* y = output<std::byte>(call, tile);
  const int64_t blocks = (tile.end - tile.begin) * call.integers[0];
  for (int64_t b = 0; b < blocks; ++b) {
    for (int i = 0; i < call.arguments; ++i) {
      const int64_t bytes = call.integers[1 + i];
      std::memcpy(y, argument<std::byte>(tile, i) + b * bytes, static_cast<size_t>(bytes));
      y += bytes;
    }
  }
}

template <typename T>
struct Padding {
  // Fills the rows with the value, then copies the lines of the argument that fall in the tile.
  static void run(const Call& call, const Tile& tile) noexcept {
    const Operand& x = call.operand[0];
    const Operand& y = call.output();
    T value;
    std::memcpy(&value, call.integers + 16, sizeof value);
    T* to = output<T>(call, tile);
    const int64_t n = tile_size(call, tile, 1);
    for (int64_t i = 0; i < n; ++i) to[i] = value;
    if (x.rank == 0) {
      *to = *argument<T>(tile, 0);
      return;
    }
    const int64_t low = call.integers[0];
    for (int64_t r = tile.begin; r < tile.end; ++r) {
      const int64_t row = r - low;
      if (row < 0 || row >= x.shape[0]) continue;
      const int64_t at = x.tiled ? r - tile.begin : row;
      copy_row(argument<T>(tile, 0) + at * x.row_size, to + (r - tile.begin) * y.row_size, call);
    }
  }

  static void copy_row(const T* x, T* y, const Call& call) noexcept {
    const Operand& from = call.operand[0];
    const Operand& into = call.output();
    const int last = from.rank - 1;
    if (last == 0) {
      *y = *x;
      return;
    }
    int64_t at[max_rank] = {};
    const int64_t width = from.shape[last];
    for (int64_t left = width > 0 ? from.row_size / width : 0; left > 0; --left, x += width) {
      int64_t offset = 0;
      for (int i = 1; i <= last; ++i) offset = offset * into.shape[i] + at[i] + call.integers[i];
      std::memcpy(y + offset, x, static_cast<size_t>(width) * sizeof(T));
      for (int i = last - 1; i >= 1 && ++at[i] == from.shape[i]; --i) at[i] = 0;
    }
  }
};

template <typename T>
void put(Call& call, T value) noexcept {
  std::memcpy(call.integers + 16, &value, sizeof value);
}

void put_value(Call& call, double value) noexcept {
  switch (call.output().dtype) {
    case DType::f32: return put(call, static_cast<float>(value));
    case DType::f64: return put(call, value);
    case DType::i32: return put(call, static_cast<int32_t>(value));
    case DType::i64: return put(call, static_cast<int64_t>(value));
    default: return put(call, static_cast<uint8_t>(value));
  }
}

}  // namespace

Kernel prepare_concatenate(Call& call) {
  const auto axis = static_cast<int>(call.number("axis", 0));
  if (axis == 0) return concatenate_rows;
  const Operand& y = call.output();
  call.integers[0] = 1;
  for (int k = 1; k < axis; ++k) call.integers[0] *= y.shape[k];
  for (int i = 0; i < call.arguments; ++i) {
    int64_t bytes = size_of(y.dtype);
    for (int k = axis; k < y.rank; ++k) bytes *= call.operand[i].shape[k];
    call.integers[1 + i] = bytes;
  }
  return concatenate_blocks;
}

Kernel prepare_pad(Call& call) {
  const Attribute* low = call.find("low");
  for (size_t i = 0; low != nullptr && i < low->numbers.size(); ++i) {
    call.integers[i] = static_cast<int64_t>(low->numbers[i]);
  }
  put_value(call, call.number("value", 0));
  switch (size_of(call.output().dtype)) {
    case 1: return Padding<uint8_t>::run;
    case 4: return Padding<uint32_t>::run;
    default: return Padding<uint64_t>::run;
  }
}

}  // namespace chainrule::CHAINRULE_ISA
