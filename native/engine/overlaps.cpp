#include "overlaps.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "registry.h"
#include "verify.h"

namespace chainrule {
namespace {

// The bytes [begin, end) of one memory that a call reads or writes. Memory 0 is the arena, 1 the
// scratch of a thread, 2 + i slot i.
struct Access {
  int64_t memory;
  int64_t begin;
  int64_t end;
  int64_t loop;
  int64_t call;
  int operand;
};

Access access_of(const ProgramSpec& spec, int64_t loop, int64_t number, int i) {
  const CallSpec& call = spec.calls[static_cast<size_t>(number)];
  const LoopSpec& l = spec.loops[static_cast<size_t>(loop)];
  const Operand& operand = call.call.operand[i];
  const Location& location = call.location[i];
  const bool part = location.kind == Kind::local && operand.tiled;
  const int64_t bytes = part ? std::min(l.tile, l.rows) * row_bytes_of(operand) : bytes_of(operand);
  if (location.kind == Kind::slot) return {2 + location.place, 0, bytes, loop, number, i};
  const int64_t memory = location.kind == Kind::arena ? 0 : 1;
  return {memory, location.place, location.place + bytes, loop, number, i};
}

const Call& call_of(const ProgramSpec& spec, const Access& access) {
  return spec.calls[static_cast<size_t>(access.call)].call;
}
const Operand& operand_of(const ProgramSpec& spec, const Access& access) {
  return call_of(spec, access).operand[access.operand];
}
bool writes(const ProgramSpec& spec, const Access& access) {
  return access.operand >= call_of(spec, access).arguments;
}

// Row r of one is row r of the other, in the same bytes.
bool same_rows(const ProgramSpec& spec, const Access& a, const Access& b) {
  const Operand& x = operand_of(spec, a);
  const Operand& y = operand_of(spec, b);
  return a.begin == b.begin && x.tiled && y.tiled && !x.columns && !y.columns &&
         row_bytes_of(x) == row_bytes_of(y);
}

bool in_place(const ProgramSpec& spec, const Access& a, const Access& b) {
  return writes(spec, a) != writes(spec, b) && may_run_in_place(call_of(spec, a).name) &&
         same_rows(spec, a, b) &&
         size_of(operand_of(spec, a).dtype) == size_of(operand_of(spec, b).dtype);
}

// requires: a and b overlap in one memory, and at least one writes.
bool may_overlap(const ProgramSpec& spec, const Access& a, const Access& b) {
  if (a.call == b.call) return in_place(spec, a, b);
  if (a.memory == 1)
    return true;  // one after the other on one thread; verify_written sees to the order
  if (a.loop != b.loop) return false;
  // Tiles of a loop run in any order: each tile must keep to its own rows.
  return tiles_of(spec.loops[static_cast<size_t>(a.loop)]) <= 1 || same_rows(spec, a, b);
}

[[noreturn]] void fail_overlap(const ProgramSpec& spec, const Access& a, const Access& b) {
  const Access& first = a.call <= b.call ? a : b;
  const Access& second = a.call <= b.call ? b : a;
  throw ProgramError(name_of(spec, second.call) + ", operand " + std::to_string(second.operand) +
                     ": overlaps operand " + std::to_string(first.operand) + " of " +
                     name_of(spec, first.call) + ", and one of them is written");
}

std::vector<Access> accesses_of(const ProgramSpec& spec, const PhaseSpec& phase) {
  std::vector<Access> all;
  for (int64_t l = phase.first; l < phase.last; ++l) {
    const LoopSpec& loop = spec.loops[static_cast<size_t>(l)];
    for (int64_t c = loop.first; c < loop.last; ++c) {
      for (int i = 0; i < spec.calls[static_cast<size_t>(c)].call.operands(); ++i) {
        const Access access = access_of(spec, l, c, i);
        if (access.begin < access.end) all.push_back(access);
      }
    }
  }
  return all;
}

void verify_phase(const ProgramSpec& spec, const PhaseSpec& phase) {
  std::vector<Access> all = accesses_of(spec, phase);
  std::stable_sort(all.begin(), all.end(), [](const Access& a, const Access& b) {
    return a.memory != b.memory ? a.memory < b.memory : a.begin < b.begin;
  });
  for (auto a = all.begin(); a != all.end(); ++a) {
    for (auto b = a + 1; b != all.end() && b->memory == a->memory && b->begin < a->end; ++b) {
      const bool harmless = !writes(spec, *a) && !writes(spec, *b);
      if (!harmless && !may_overlap(spec, *a, *b)) fail_overlap(spec, *a, *b);
    }
  }
}

// The bytes of one memory that hold values, each range as it was written (or what is left of it).
class Written {
 public:
  // Whether [begin, end) lies in what was written, gaps not counted.
  [[nodiscard]] bool covers(int64_t begin, int64_t end) const {
    auto range = ranges_.upper_bound(begin);
    if (range != ranges_.begin()) --range;
    for (; range != ranges_.end() && range->first <= begin && begin < end; ++range)
      begin = std::max(begin, range->second);
    return begin >= end;
  }
  void add(int64_t begin, int64_t end) {
    clear(begin, end);
    if (begin < end) ranges_[begin] = end;
  }
  // Forgets [begin, end); a value that was written there in one piece and is cut is forgotten
  // whole.
  void clear(int64_t begin, int64_t end) {
    auto range = ranges_.lower_bound(begin);
    while (range != ranges_.begin() && std::prev(range)->second > begin) --range;
    while (range != ranges_.end() && range->first < end) range = ranges_.erase(range);
  }

 private:
  std::map<int64_t, int64_t> ranges_;
};

void fail_unwritten(const ProgramSpec& spec, const Access& access) {
  throw ProgramError(name_of(spec, access.call) + ", operand " + std::to_string(access.operand) +
                     ": reads bytes " + std::to_string(access.begin) + " to " +
                     std::to_string(access.end) + " of the " +
                     (access.memory == 0 ? "arena" : "scratch") +
                     ", where no earlier call of the step left a value");
}

void follow_call(const ProgramSpec& spec, int64_t loop, int64_t number, Written& arena,
                 Written& local) {
  const Call& call = spec.calls[static_cast<size_t>(number)].call;
  for (int i = 0; i < call.operands(); ++i) {
    const Access access = access_of(spec, loop, number, i);
    if (access.memory > 1) continue;
    Written& written = access.memory == 0 ? arena : local;
    if (i >= call.arguments) {
      written.add(access.begin, access.end);
    } else if (!written.covers(access.begin, access.end)) {
      fail_unwritten(spec, access);
    }
  }
}

}  // namespace

void verify_overlaps(const ProgramSpec& spec) {
  for (const PhaseSpec& phase : spec.phases) verify_phase(spec, phase);
}

void verify_written(const ProgramSpec& spec) {
  Written arena;
  for (size_t l = 0; l < spec.loops.size(); ++l) {
    Written local;  // holds nothing from one tile to the next
    const LoopSpec& loop = spec.loops[l];
    for (int64_t c = loop.first; c < loop.last; ++c)
      follow_call(spec, static_cast<int64_t>(l), c, arena, local);
  }
}

}  // namespace chainrule
