// Programs that must not load, and what the error says.
#include <functional>

#include "check.h"
#include "programs.h"

namespace chainrule::test {
namespace {

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const ProgramError& error) {
    return error.what();
  }
  return "";
}

void expect_error(const std::string& error, const std::string& part) {
  if (!CHECK(!part.empty() && error.find(part) != std::string::npos)) {
    std::fprintf(stderr, "  expected: %s\n  got: %s\n", part.c_str(), error.c_str());
  }
}

// Loads `accumulate` after `change` has spoilt it.
void expect_load_error(const std::string& part, const std::function<void(ProgramSpec&)>& change) {
  ProgramSpec spec = accumulate(100, 10, 1e6);
  change(spec);
  expect_error(error_of([&] { Program program(spec, test_table); }), part);
}

void test_kernels() {
  expect_load_error(
      "call 1 (foo): no kernel for operation 'foo' with float64, float64 -> float64: add it to "
      "native/ops.def",
      [](ProgramSpec& s) { s.calls[1].call.name = "foo"; });
  expect_load_error(
      "call 3 (reduce_sum): no kernel for operation 'reduce_sum' with uint8 -> float64",
      [](ProgramSpec& s) {
        s.calls[3].call.operand[0].dtype = DType::u8;
        s.calls[3].call.operand[0].shape[0] = 800;
      });
}

void test_order() {
  expect_load_error("phase 1: loops 0 to 2 do not follow loops up to 1",
                    [](ProgramSpec& s) { s.phases[1].first = 0; });
  expect_load_error("loop 1: calls 3 to 2 do not follow",
                    [](ProgramSpec& s) { s.loops[1].last = 2; });
  expect_load_error("has 4 calls, but its loops end at 3",
                    [](ProgramSpec& s) { s.loops[1].last = 3; });
  expect_load_error("has 2 loops, but its phases end at 1",
                    [](ProgramSpec& s) { s.phases.pop_back(); });
}

void test_loops() {
  expect_load_error("loop 0: tile is 0", [](ProgramSpec& s) { s.loops[0].tile = 0; });
  expect_load_error("a memory of -1 bytes", [](ProgramSpec& s) { s.local_bytes = -1; });
  expect_load_error("a memory of 9223372036854775807 bytes",
                    [](ProgramSpec& s) { s.arena_bytes = INT64_MAX; });
  expect_load_error("loop 0: rows is -1", [](ProgramSpec& s) { s.loops[0].rows = -1; });
  expect_load_error("loop 1: cost is -", [](ProgramSpec& s) { s.loops[1].cost = -1; });
  expect_load_error("call 0 (add), argument 0: has 100 rows in a loop of 99",
                    [](ProgramSpec& s) { s.loops[0].rows = 99; });
  expect_load_error("call 3 (reduce_sum), output 0: an output must be tiled",
                    [](ProgramSpec& s) { s.calls[3].call.operand[1].tiled = false; });
  expect_load_error("call 1 (add), argument 1: is tiled by columns, but scratch holds rows",
                    [](ProgramSpec& s) { s.calls[1].call.operand[1].columns = true; });
  expect_load_error("call 2 (require_finite), output 0: has 3 rows in a loop of 100",
                    [](ProgramSpec& s) {
                      Operand& output = s.calls[2].call.operand[1];
                      output.columns = true;
                      output.rank = 2;
                      output.shape[1] = 3;
                      s.arena_bytes += 1600;
                    });
}

void test_shapes() {
  expect_load_error("call 0 (add): has 0 operands",
                    [](ProgramSpec& s) { s.calls[0].call.operand = {}; });
  expect_load_error("3 of its 3 operands are arguments",
                    [](ProgramSpec& s) { s.calls[0].call.arguments = 3; });
  expect_load_error("call 0 (add), argument 1: axis 0 is -100",
                    [](ProgramSpec& s) { s.calls[0].call.operand[1].shape[0] = -100; });
  expect_load_error("the array is too large", [](ProgramSpec& s) {
    s.calls[0].call.operand[1].rank = 3;
    for (int i = 0; i < 3; ++i) s.calls[0].call.operand[1].shape[i] = int64_t{1} << 40;
  });
}

void test_places() {
  expect_load_error("call 2 (require_finite), output 0: needs 800 bytes where there are 799",
                    [](ProgramSpec& s) { s.arena_bytes -= 1; });
  expect_load_error("call 0 (add), output 0: needs 80 bytes where there are 79",
                    [](ProgramSpec& s) { s.local_bytes -= 1; });
  expect_load_error("call 1 (add), argument 0: needs 800 bytes where there are 8",
                    [](ProgramSpec& s) { s.slots[1].bytes = 8; });
  expect_load_error("call 1 (add), output 0: slot 1 is read-only",
                    [](ProgramSpec& s) { s.slots[1].writable = false; });
  expect_load_error("slot 3 of 3", [](ProgramSpec& s) { s.calls[0].location[0].place = 3; });
  expect_load_error("place is -8", [](ProgramSpec& s) { s.calls[3].location[0].place = -8; });
  expect_load_error("offset 60 is not a multiple of the size of float64", [](ProgramSpec& s) {
    s.calls[2].location[1].place = s.calls[3].location[0].place = 60;
  });
  expect_load_error("is wanted whole, but scratch holds one tile",
                    [](ProgramSpec& s) { s.calls[1].call.operand[1].tiled = false; });
}

void test_values() {
  expect_load_error("call 1 (add), operand 1: reads bytes 0 to 80 of the scratch",
                    [](ProgramSpec& s) {
                      s.calls[0].location[2] = {Kind::arena, 864};
                      s.arena_bytes += 800;
                    });
  expect_load_error("call 3 (reduce_sum), operand 0: reads bytes 0 to 800 of the arena",
                    [](ProgramSpec& s) { s.calls[3].location[0].place = 0; });
}

void test_overlaps() {
  expect_load_error("call 3 (reduce_sum), operand 1: overlaps operand 0 of call 3 (reduce_sum)",
                    [](ProgramSpec& s) { s.calls[3].location[1] = {Kind::arena, 64}; });
  // An output over an argument, but one row further.
  expect_load_error("call 1 (add), operand 2: overlaps operand 0 of call 1 (add)",
                    [](ProgramSpec& s) {
                      s.calls[1].location[0] = {Kind::arena, 864};
                      s.calls[1].location[2] = {Kind::arena, 872};
                      s.arena_bytes += 808;
                    });
  // A whole argument of what other tiles write.
  expect_load_error("call 1 (add), operand 0: overlaps operand 2 of call 0 (add)",
                    [](ProgramSpec& s) {
                      s.calls[0].location[2] = {Kind::arena, 864};
                      s.calls[1].location[0] = {Kind::arena, 864};
                      s.calls[1].call.operand[0].tiled = false;
                      s.arena_bytes += 800;
                    });
  // Columns of what the same loop goes through by rows.
  expect_load_error("call 1 (add), operand 0: overlaps operand 2 of call 0 (add)",
                    [](ProgramSpec& s) {
                      s.calls[0].location[2] = {Kind::arena, 864};
                      s.calls[0].call.operand[2].columns = true;
                      s.calls[1].location[0] = {Kind::arena, 864};
                      s.arena_bytes += 800;
                    });
  // Two loops of one phase.
  expect_load_error("call 3 (reduce_sum), operand 0: overlaps operand 1 of call 2",
                    [](ProgramSpec& s) { s.phases = {{0, 2}}; });
}

void test_bindings() {
  Program program(accumulate(100, 10, 1e6), test_table);
  std::vector<double> x(109, 1.0);
  std::vector<double> state(100, 0.0);
  std::vector<double> total(1, 0.0);
  expect_error(error_of([&] { program.run(1, 1, {}); }), "slot 0: no array is bound");
  expect_error(error_of([&] { program.bind(3, binding(x)); }), "slot 3 of 3");
  expect_error(error_of([&] { program.bind(0, binding(x, 4)); }), "not aligned to 8 bytes");
  expect_error(error_of([&] { program.bind(0, binding(x, -8)); }), "stride is -8");
  program.bind(0, binding(x, 8));
  program.bind(1, binding(state));
  program.bind(2, binding(total));
  CHECK(program.run(10, 1, {}).done == 10);
  CHECK(program.run(0, 1, {}).done == 0);
  expect_error(error_of([&] { program.run(11, 1, {}); }),
               "slot 0: 11 steps of 800 bytes, 8 apart, do not fit in an array of 872 bytes");
  expect_error(error_of([&] { program.run(INT64_MAX, 1, {}); }), "do not fit");
  program.bind(2, {reinterpret_cast<std::byte*>(&state[50]), 8, 0, true});
  expect_error(error_of([&] { program.run(1, 1, {}); }),
               "slot 1: is written, but its array overlaps that of slot 2");
}

void test_tile_longer_than_rows() {
  ProgramSpec spec = accumulate(100, 100, 1e6);
  spec.loops[0].tile = INT64_MAX;
  Program program(spec, test_table);
  std::vector<double> x(100, 1.0);
  std::vector<double> state(100, 0.0);
  std::vector<double> total(1, 0.0);
  program.bind(0, binding(x));
  program.bind(1, binding(state));
  program.bind(2, binding(total));
  CHECK(program.run(3, 4, {}).done == 3);
  CHECK(state[99] == 6.0);
}

void test_empty() {
  ProgramSpec nothing;
  CHECK(Program(nothing, test_table).run(5, 4, {}).done == 5);
  ProgramSpec no_rows = accumulate(0, 10, 1e6);
  Program program(no_rows, test_table);
  std::vector<double> x(1);
  std::vector<double> state(1);
  std::vector<double> total(1, 7.0);
  program.bind(0, binding(x));
  program.bind(1, binding(state));
  program.bind(2, binding(total));
  CHECK(program.run(2, 4, {}).done == 2);
  CHECK(total[0] == 0.0);
}

}  // namespace
}  // namespace chainrule::test

int main() {
  using namespace chainrule::test;
  test_kernels();
  test_order();
  test_loops();
  test_shapes();
  test_places();
  test_values();
  test_overlaps();
  test_bindings();
  test_tile_longer_than_rows();
  test_empty();
  return check_result();
}
