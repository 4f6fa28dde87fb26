// Small programs for the tests of the engine, with kernels of their own.
#pragma once

#include <string>
#include <vector>

#include "engine/program.h"

namespace chainrule::test {

// y = a + b, elementwise.
inline void add_rows(const Call& call, const Tile& tile) noexcept {
  const auto* a = static_cast<const double*>(tile.operand[0]);
  const auto* b = static_cast<const double*>(tile.operand[1]);
  auto* y = static_cast<double*>(tile.operand[2]);
  for (int64_t i = 0; i < (tile.end - tile.begin) * call.operand[0].row_size; ++i)
    y[i] = a[i] + b[i];
}
// The sum of the whole argument; reports the first row with a negative value.
inline void sum_all(const Call& call, const Tile& tile) noexcept {
  const auto* x = static_cast<const double*>(tile.operand[0]);
  double sum = 0;
  for (int64_t i = 0; i < call.operand[0].size; ++i) sum += x[i];
  *static_cast<double*>(tile.operand[1]) = sum;
}
inline void report_negative(const Call& call, const Tile& tile) noexcept {
  const auto* x = static_cast<const double*>(tile.operand[0]);
  auto* y = static_cast<double*>(tile.operand[1]);
  for (int64_t row = tile.begin; row < tile.end; ++row) {
    y[row - tile.begin] = x[row - tile.begin];
    if (x[row - tile.begin] < 0) tile.status->report(row, static_cast<int>(call.number("code", 1)));
  }
}

template <Kernel kernel>
Kernel only_doubles(Call& call) {
  return call.operand[0].dtype == DType::f64 ? kernel : nullptr;
}

inline const KernelEntry test_entries[] = {{"add", only_doubles<add_rows>},
                                           {"reduce_sum", only_doubles<sum_all>},
                                           {"require_finite", only_doubles<report_negative>}};
inline const KernelTable test_table = {"test", test_entries, 3};

inline Operand array(std::vector<int64_t> shape, bool tiled = true, DType dtype = DType::f64) {
  Operand operand;
  operand.dtype = dtype;
  operand.tiled = tiled;
  operand.rank = static_cast<int>(shape.size());
  for (size_t i = 0; i < shape.size(); ++i) operand.shape[i] = shape[i];
  return operand;
}

struct Placed {
  Operand operand;
  Location location;
};
inline Placed arena(int64_t place, Operand operand) { return {operand, {Kind::arena, place}}; }
inline Placed local(int64_t place, Operand operand) { return {operand, {Kind::local, place}}; }
inline Placed slot(int64_t place, Operand operand) { return {operand, {Kind::slot, place}}; }

inline CallSpec call(const std::string& name, int arguments, const std::vector<Placed>& operands) {
  CallSpec spec;
  spec.call.name = name;
  spec.call.arguments = arguments;
  for (size_t i = 0; i < operands.size(); ++i) {
    spec.call.operand.add(operands[i].operand);
    spec.location[i] = operands[i].location;
  }
  return spec;
}

// Two phases: t = x + x and state = state + t on tiles of rows (t in scratch, u = t in the arena),
// then total = sum of u. Slots: x (read), state (written), total (written).
inline ProgramSpec accumulate(int64_t rows, int64_t tile, double cost) {
  ProgramSpec spec;
  spec.calls.push_back(
      call("add", 2, {slot(0, array({rows})), slot(0, array({rows})), local(0, array({rows}))}));
  spec.calls.push_back(
      call("add", 2, {slot(1, array({rows})), local(0, array({rows})), slot(1, array({rows}))}));
  spec.calls.push_back(
      call("require_finite", 1, {local(0, array({rows})), arena(64, array({rows}))}));
  spec.calls.push_back(
      call("reduce_sum", 1, {arena(64, array({rows}, false)), slot(2, array({}))}));
  spec.loops = {{rows, tile, cost, 0, 3}, {1, 1, 0, 3, 4}};
  spec.phases = {{0, 1}, {1, 2}};
  spec.slots = {{rows * 8, false}, {rows * 8, true}, {8, true}};
  spec.arena_bytes = 64 + rows * 8;
  spec.local_bytes = tile * 8;
  return spec;
}

inline Binding binding(std::vector<double>& values, int64_t stride = 0) {
  return {reinterpret_cast<std::byte*>(values.data()), static_cast<int64_t>(values.size() * 8),
          stride, true};
}

}  // namespace chainrule::test
