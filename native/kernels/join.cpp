// Joining arrays along an axis, and padding one: runs of bytes at their place in the output.

#include "constant.h"

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

// An axis behind the first: where the argument begins in the output, and the length of both.
struct PaddedAxis {
  int64_t low;
  int64_t size;
  int64_t wide;
};
// Lives in Call::integers.
struct Padding {
  int64_t value;      // the bits of an element
  int64_t first_row;  // where the argument begins in the rows of the output
  int64_t rank;
  PaddedAxis axis[max_rank - 1];
};
static_assert(sizeof(Padding) <= sizeof(Call::integers));

const Padding& padding_of(const Call& call) noexcept {
  return *reinterpret_cast<const Padding*>(call.integers);
}

template <typename T>
T* put_many(T* y, int64_t n, T value) noexcept {
  for (int64_t i = 0; i < n; ++i) y[i] = value;
  return y + n;
}

// The axes from `axis` on; x moves past what is copied, and the end of what was written is
// returned.
template <typename T>
T* pad_axes(const T*& x, T* y, const Padding& p, int64_t axis, T value) noexcept {
  if (axis == p.rank) {
    *y = *x++;
    return y + 1;
  }
  const auto [low, size, wide] = p.axis[axis];
  int64_t inner = 1;
  for (int64_t i = axis + 1; i < p.rank; ++i) inner *= p.axis[i].wide;
  y = put_many(y, low * inner, value);
  if (axis + 1 == p.rank) {
    std::memcpy(y, x, static_cast<size_t>(size) * sizeof(T));
    x += size;
    y += size;
  } else {
    for (int64_t i = 0; i < size; ++i) y = pad_axes(x, y, p, axis + 1, value);
  }
  return put_many(y, (wide - low - size) * inner, value);
}

template <typename T>
struct Pad {
  static void run(const Call& call, const Tile& tile) noexcept {
    const Operand& operand = call.operand[0];
    const Padding& p = padding_of(call);
    T value;
    std::memcpy(&value, &p.value, sizeof value);
    const int64_t rows = operand.rank == 0 ? 1 : operand.shape[0];
    T* y = output<T>(call, tile);
    for (int64_t r = tile.begin; r < tile.end; ++r) {
      const int64_t row = r - p.first_row;
      if (row < 0 || row >= rows) {
        y = put_many(y, call.output().row_size, value);
        continue;
      }
      const int64_t at = operand.tiled ? r - tile.begin : row;
      const T* x = argument<T>(tile, 0) + at * operand.row_size;
      y = pad_axes(x, y, p, 0, value);
    }
  }
};

// An axis that is not padded is part of the one before it.
void set_up_axes(const Call& call, Padding& p) noexcept {
  const Attribute* low = call.find("low");
  const Operand& x = call.operand[0];
  const auto low_of = [&](int axis) {
    return low == nullptr ? 0 : static_cast<int64_t>(low->numbers[static_cast<size_t>(axis)]);
  };
  p.first_row = x.rank == 0 ? 0 : low_of(0);
  for (int i = 1; i < x.rank; ++i) {
    const PaddedAxis axis{low_of(i), x.shape[i], call.output().shape[i]};
    if (p.rank > 0 && axis.size == axis.wide) {
      PaddedAxis& before = p.axis[p.rank - 1];
      before = {before.low * axis.wide, before.size * axis.wide, before.wide * axis.wide};
    } else {
      p.axis[p.rank++] = axis;
    }
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
  Padding p{};
  store_constant(call.output().dtype, call.number("value", 0), &p.value);
  set_up_axes(call, p);
  std::memcpy(call.integers, &p, sizeof p);
  return by_size<Pad>(call.output());
}

}  // namespace chainrule::CHAINRULE_ISA
