// A program as Python describes it: phases of loops of calls (see Program).
#pragma once

#include <cstdint>
#include <stdexcept>
#include <vector>

#include "../kernels/call.h"

namespace chainrule {

// The program breaks a rule, the text says which call and how.
struct ProgramError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

enum class Kind : uint8_t { arena, local, slot };

// Where an operand lies: a byte offset in the arena, a byte offset in the thread's scratch (which
// holds the rows of one tile), or the number of an array bound from Python.
struct Location {
  Kind kind = Kind::arena;
  int64_t place = 0;
};

struct CallSpec {
  Call call;
  Location location[max_operands];
};

// calls[first:last] run on one tile of rows after another. `cost` is in nanoseconds of one core.
struct LoopSpec {
  int64_t rows = 0;
  int64_t tile = 1;
  double cost = 0;
  int64_t first = 0;
  int64_t last = 0;
};

// loops[first:last] are independent of each other; a phase begins when the one before has ended.
struct PhaseSpec {
  int64_t first = 0;
  int64_t last = 0;
};

// An array bound from Python: the bytes that one step reads or writes.
struct SlotSpec {
  int64_t bytes = 0;
  bool writable = false;
};

struct ProgramSpec {
  std::vector<CallSpec> calls;
  std::vector<LoopSpec> loops;
  std::vector<PhaseSpec> phases;
  std::vector<SlotSpec> slots;
  int64_t arena_bytes = 0;
  int64_t local_bytes = 0;
};

inline int64_t tiles_of(const LoopSpec& loop) noexcept {
  return loop.rows / loop.tile + (loop.rows % loop.tile != 0 ? 1 : 0);
}
inline int64_t bytes_of(const Operand& operand) noexcept {
  return operand.size * size_of(operand.dtype);
}
// From one row of the loop to the next.
inline int64_t row_bytes_of(const Operand& operand) noexcept {
  return (operand.columns ? 1 : operand.row_size) * size_of(operand.dtype);
}
// The rows of the loop that it takes part in. A scalar has one.
inline int64_t rows_of(const Operand& operand) noexcept {
  return operand.rank == 0 ? 1 : operand.shape[operand.columns ? operand.rank - 1 : 0];
}

}  // namespace chainrule
