// How many edits lead from one string to another: one row of the table of distances at a time.
#include <algorithm>

#include "ctc.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

// requires: `row` has space for m + 1 numbers.
template <typename X, typename Y>
int64_t distance(const X* x, int64_t n, const Y* y, int64_t m, int32_t* row) noexcept {
  for (int32_t j = 0; j <= m; ++j) row[j] = j;
  for (int64_t i = 0; i < n; ++i) {
    const auto mine = static_cast<int64_t>(x[i]);
    int32_t corner = row[0];  // of the row before
    int32_t left = ++row[0];
    for (int64_t j = 0; j < m; ++j) {
      const int32_t above = row[j + 1];
      const int32_t replaced = corner + (static_cast<int64_t>(y[j]) != mine);
      left = std::min(replaced, std::min(above, left) + 1);
      row[j + 1] = left;
      corner = above;
    }
  }
  return row[m];
}

template <typename X, typename Y>
void edit_distance(const Call& call, const Tile& tile) noexcept {
  const int64_t a = call.operand[0].shape[1], b = call.operand[2].shape[1];
  const X* x = argument<X>(tile, 0);
  const Y* y = argument<Y>(tile, 2);
  auto* d = output<int64_t>(call, tile);
  auto* row = reinterpret_cast<int32_t*>(tile.scratch);
  for (int64_t i = 0; i < tile.end - tile.begin; ++i, x += a, y += b) {
    const int64_t n = std::clamp<int64_t>(whole(call, tile, 1, i), 0, a);
    const int64_t m = std::clamp<int64_t>(whole(call, tile, 3, i), 0, b);
    d[i] = distance(x, n, y, m, row);
  }
}

template <typename X>
Kernel of(const Call& call) noexcept {
  switch (call.operand[2].dtype) {
    case DType::i32: return edit_distance<X, int32_t>;
    case DType::i64: return edit_distance<X, int64_t>;
    default: return nullptr;
  }
}

}  // namespace

Kernel prepare_edit_distance(Call& call) {
  const int64_t columns = call.operand[2].shape[1] + 1;
  call.scratch_bytes = columns * static_cast<int64_t>(sizeof(int32_t));
  if (!is_whole(call.operand[1]) || !is_whole(call.operand[3])) return nullptr;
  switch (call.operand[0].dtype) {
    case DType::i32: return of<int32_t>(call);
    case DType::i64: return of<int64_t>(call);
    default: return nullptr;
  }
}

}  // namespace chainrule::CHAINRULE_ISA
