#include "verify.h"

#include <algorithm>
#include <cmath>

#include "overlaps.h"

namespace chainrule {
namespace {

constexpr int64_t most_bytes = int64_t{1} << 48;
// The claims of a team count tiles in 24 bits.
constexpr int64_t most_tiles = (int64_t{1} << 24) - 1;

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw ProgramError(where + ": " + what);
}

std::string text(int64_t number) { return std::to_string(number); }

std::string operand_of(const ProgramSpec& spec, int64_t call, int i) {
  const Call& c = spec.calls[static_cast<size_t>(call)].call;
  const bool argument = i < c.arguments;
  return name_of(spec, call) +
         (argument ? ", argument " + text(i) : ", output " + text(i - c.arguments));
}

void measure_operand(Operand& operand, const std::string& where) {
  if (operand.rank < 0 || operand.rank > max_rank) fail(where, "rank is " + text(operand.rank));
  operand.row_size = 1;
  for (int axis = operand.rank - 1; axis >= 0; --axis) {
    const int64_t length = operand.shape[axis];
    if (length < 0) fail(where, "axis " + text(axis) + " is " + text(length));
    // An axis of length 0 does not hide that the others are too long.
    if (length > 0 && operand.row_size > most_bytes / length) fail(where, "the array is too large");
    if (axis > 0) operand.row_size *= length;
  }
  operand.size = operand.rank == 0 ? 1 : operand.row_size * operand.shape[0];
}

// Items of one level must be used by the ranges of the level above in order, each exactly once.
template <typename Range>
void verify_ranges(const std::vector<Range>& ranges, size_t count, const std::string& of,
                   const std::string& what) {
  int64_t next = 0;
  for (size_t i = 0; i < ranges.size(); ++i) {
    const auto& range = ranges[i];
    if (range.first != next || range.last < range.first) {
      fail(of + " " + std::to_string(i), what + " " + text(range.first) + " to " +
                                             text(range.last) + " do not follow " + what +
                                             " up to " + text(next));
    }
    next = range.last;
  }
  if (next != static_cast<int64_t>(count)) {
    fail("the program", "has " + std::to_string(count) + " " + what + ", but its " + of +
                            "s end at " + text(next));
  }
}

void verify_loop(const LoopSpec& loop, const std::string& where) {
  if (loop.rows < 0) fail(where, "rows is " + text(loop.rows));
  if (loop.tile < 1) fail(where, "tile is " + text(loop.tile));
  if (!std::isfinite(loop.cost) || loop.cost < 0)
    fail(where, "cost is " + std::to_string(loop.cost));
}

int64_t bytes_behind(const ProgramSpec& spec, const Location& location, const std::string& where) {
  if (location.kind == Kind::arena) return spec.arena_bytes - location.place;
  if (location.kind == Kind::local) return spec.local_bytes - location.place;
  if (location.place >= static_cast<int64_t>(spec.slots.size())) {
    fail(where, "slot " + text(location.place) + " of " + std::to_string(spec.slots.size()));
  }
  return spec.slots[static_cast<size_t>(location.place)].bytes;
}

// requires: the rows of the operand were verified.
void verify_location(const ProgramSpec& spec, const LoopSpec& loop, int64_t call, int i) {
  const std::string where = operand_of(spec, call, i);
  const CallSpec& c = spec.calls[static_cast<size_t>(call)];
  const Operand& operand = c.call.operand[i];
  const Location& location = c.location[i];
  if (location.place < 0) fail(where, "place is " + text(location.place));
  const bool local = location.kind == Kind::local;
  if (local && !operand.tiled && tiles_of(loop) > 1) {
    fail(where, "is wanted whole, but scratch holds one tile of " + text(loop.tile) + " rows");
  }
  if (local && operand.columns) fail(where, "is tiled by columns, but scratch holds rows");
  const int64_t needed = local && operand.tiled
                             ? std::min(loop.tile, loop.rows) * row_bytes_of(operand)
                             : bytes_of(operand);
  const int64_t there = bytes_behind(spec, location, where);
  if (needed > there)
    fail(where, "needs " + text(needed) + " bytes where there are " + text(there));
  if (location.kind != Kind::slot && location.place % size_of(operand.dtype) != 0) {
    fail(where, "offset " + text(location.place) + " is not a multiple of the size of " +
                    name_of(operand.dtype));
  }
  const bool written = i >= c.call.arguments;
  if (written && location.kind == Kind::slot &&
      !spec.slots[static_cast<size_t>(location.place)].writable) {
    fail(where, "slot " + text(location.place) + " is read-only");
  }
}

void verify_call(const ProgramSpec& spec, const LoopSpec& loop, int64_t number) {
  const Call& call = spec.calls[static_cast<size_t>(number)].call;
  for (int i = 0; i < call.operands(); ++i) {
    const Operand& operand = call.operand[i];
    if (!operand.tiled && i >= call.arguments)
      fail(operand_of(spec, number, i), "an output must be tiled");
    if (operand.tiled && rows_of(operand) != loop.rows) {
      fail(operand_of(spec, number, i),
           "has " + text(rows_of(operand)) + " rows in a loop of " + text(loop.rows));
    }
    verify_location(spec, loop, number, i);
  }
}

void verify_phase(const ProgramSpec& spec, const PhaseSpec& phase) {
  int64_t tiles = 0;
  for (int64_t l = phase.first; l < phase.last; ++l) {
    const LoopSpec& loop = spec.loops[static_cast<size_t>(l)];
    for (int64_t call = loop.first; call < loop.last; ++call) verify_call(spec, loop, call);
    tiles += std::min(tiles_of(loop), most_tiles + 1);
    if (tiles > most_tiles)
      fail("loop " + text(l), "the phase has more than " + text(most_tiles) + " tiles");
  }
}

}  // namespace

std::string name_of(const ProgramSpec& spec, int64_t call) {
  return "call " + text(call) + " (" + spec.calls[static_cast<size_t>(call)].call.name + ")";
}

const char* name_of(DType dtype) noexcept {
  switch (dtype) {
    case DType::f32: return "float32";
    case DType::f64: return "float64";
    case DType::i32: return "int32";
    case DType::i64: return "int64";
    case DType::u8: return "uint8";
    default: return "bool";
  }
}

void measure(ProgramSpec& spec) {
  for (size_t number = 0; number < spec.calls.size(); ++number) {
    Call& call = spec.calls[number].call;
    const std::string where = name_of(spec, static_cast<int64_t>(number));
    if (call.operands() < 1 || call.operands() > max_operands)
      fail(where, "has " + text(call.operands()) + " operands");
    if (call.arguments < 0 || call.arguments >= call.operands()) {
      fail(where,
           text(call.arguments) + " of its " + text(call.operands()) + " operands are arguments");
    }
    for (int i = 0; i < call.operands(); ++i) {
      measure_operand(call.operand[i], operand_of(spec, static_cast<int64_t>(number), i));
    }
  }
}

void verify(const ProgramSpec& spec) {
  for (const int64_t bytes : {spec.arena_bytes, spec.local_bytes}) {
    if (bytes < 0 || bytes > most_bytes)
      fail("the program", "a memory of " + text(bytes) + " bytes");
  }
  verify_ranges(spec.phases, spec.loops.size(), "phase", "loops");
  verify_ranges(spec.loops, spec.calls.size(), "loop", "calls");
  for (size_t i = 0; i < spec.slots.size(); ++i) {
    if (spec.slots[i].bytes < 0) fail("slot " + std::to_string(i), "its size is negative");
  }
  for (size_t i = 0; i < spec.loops.size(); ++i)
    verify_loop(spec.loops[i], "loop " + std::to_string(i));
  for (const PhaseSpec& phase : spec.phases) verify_phase(spec, phase);
  verify_overlaps(spec);
  verify_written(spec);
}

}  // namespace chainrule
