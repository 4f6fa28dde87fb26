#include "program.h"

#include <algorithm>

#include "run.h"
#include "thread_pool.h"
#include "verify.h"

namespace chainrule {
namespace {

// Handing a phase to another thread and back takes about half a microsecond where it is awake, so a
// shorter phase is done sooner by one thread.
constexpr double least_shared_phase = 3'000;  // ns
// Waking threads for the first phase takes several microseconds.
constexpr double least_shared_step = 20'000;  // ns
constexpr double work_of_a_thread = 10'000;   // ns

std::string types_of(const Call& call) {
  std::string text;
  for (int i = 0; i < call.operands(); ++i) {
    const char* before = i == call.arguments ? (i == 0 ? "() -> " : " -> ") : i == 0 ? "" : ", ";
    text += std::string(before) + name_of(call.operand[i].dtype);
  }
  return text;
}

void check_known(const ProgramSpec& spec, const KernelTable& table) {
  for (size_t i = 0; i < spec.calls.size(); ++i) {
    const Call& call = spec.calls[i].call;
    if (find_kernel(table, call.name) != nullptr) continue;
    throw ProgramError(name_of(spec, static_cast<int64_t>(i)) + ": no kernel for operation '" +
                       call.name + "' with " + types_of(call) + ": add it to native/ops.def");
  }
}

// requires: the operation is known.
Kernel prepare(Call& call, const KernelTable& table, const std::string& where) {
  const Kernel kernel = find_kernel(table, call.name)->prepare(call);
  if (kernel != nullptr) return kernel;
  throw ProgramError(where + ": no kernel for operation '" + call.name + "' with " +
                     types_of(call) + ": add the variant to prepare_" + call.name +
                     " in native/kernels/" + family_of(call.name) + ".cpp");
}

Address address_of(const Operand& operand, const Location& location) {
  const int64_t row_bytes =
      operand.tiled && location.kind != Kind::local ? row_bytes_of(operand) : 0;
  if (location.kind == Kind::slot) return {2 + location.place, 0, row_bytes};
  return {location.kind == Kind::arena ? 0 : 1, location.place, row_bytes};
}

bool overlap(const Binding& a, int64_t a_bytes, const Binding& b, int64_t b_bytes) {
  return a_bytes > 0 && b_bytes > 0 && a.pointer < b.pointer + b_bytes &&
         b.pointer < a.pointer + a_bytes;
}

}  // namespace

// While it exists, no other thread runs or changes the program. A child of fork has none of the
// threads of its parent, so what they were running is free in the child.
class Program::Use {
 public:
  Use(std::atomic<int>& running, const char* where) : running_(running) {
    int seen = running.load();
    const int mine = 1 + fork_generation();
    if (seen == mine || !running.compare_exchange_strong(seen, mine)) {
      throw ProgramError(std::string(where) + ": the program is running already");
    }
  }
  ~Use() { running_.store(0); }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

 private:
  std::atomic<int>& running_;
};

Program::Program(ProgramSpec spec, const KernelTable& table, bool to_run) {
  measure(spec);
  check_known(spec, table);
  verify(spec);
  slots_ = spec.slots;
  arena_bytes_ = spec.arena_bytes;
  local_bytes_ = round_up(spec.local_bytes);
  bindings_.resize(slots_.size());
  slot_alignment_.assign(slots_.size(), 1);
  load_calls(spec, table);
  load_loops(spec);
  if (to_run) arena_ = allocate(arena_bytes_);
}

void Program::load_calls(ProgramSpec& spec, const KernelTable& table) {
  for (size_t number = 0; number < spec.calls.size(); ++number) {
    CallSpec& c = spec.calls[number];
    for (int i = 0; i < c.call.operands(); ++i) {
      const Location& at = c.location[i];
      c.call.operand[i].constant =
          at.kind == Kind::slot && !slots_[static_cast<size_t>(at.place)].writable;
    }
    c.call.kernel = prepare(c.call, table, name_of(spec, static_cast<int64_t>(number)));
    c.call.attributes = {};  // a kernel reads them no more
    scratch_bytes_ = std::max(scratch_bytes_, c.call.scratch_bytes);
    for (int i = 0; i < c.call.operands(); ++i) {
      addresses_.push_back(address_of(c.call.operand[i], c.location[i]));
      if (c.location[i].kind != Kind::slot) continue;
      int64_t& multiple = slot_alignment_[static_cast<size_t>(c.location[i].place)];
      multiple = std::max(multiple, size_of(c.call.operand[i].dtype));
    }
  }
  calls_.reserve(spec.calls.size());
  const Address* address = addresses_.data();
  for (CallSpec& c : spec.calls) {
    calls_.push_back(std::move(c.call));
    const Call& call = calls_.back();
    instructions_.push_back({call.kernel, &call, address, call.operands()});
    address += call.operands();
  }
}

void Program::load_loops(const ProgramSpec& spec) {
  for (const LoopSpec& l : spec.loops) {
    loops_.push_back({l.rows, std::clamp<int64_t>(l.tile, 1, std::max<int64_t>(l.rows, 1)),
                      tiles_of(l), l.cost, instructions_.data() + l.first,
                      instructions_.data() + l.last});
  }
  for (const PhaseSpec& p : spec.phases) {
    Phase phase{loops_.data() + p.first, loops_.data() + p.last, 0, 0, false};
    for (int64_t l = p.first; l < p.last; ++l) {
      phase.tiles += loops_[static_cast<size_t>(l)].tiles;
      phase.cost += spec.loops[static_cast<size_t>(l)].cost;
    }
    phase.shared = phase.tiles > 1 && phase.cost >= least_shared_phase;
    phases_.push_back(phase);
  }
  for (const Phase& phase : phases_) {
    if (!phase.shared) continue;
    shared_.push_back(&phase);
    shared_cost_ += phase.cost;
    most_tiles_ = std::max(most_tiles_, phase.tiles);
  }
}

int Program::threads_for(int threads) const noexcept {
  if (threads < 2 || shared_cost_ < least_shared_step) return 1;
  const double useful = std::min(shared_cost_ / work_of_a_thread, static_cast<double>(most_tiles_));
  return useful < threads ? static_cast<int>(useful) : threads;
}

void Program::bind(int64_t slot, const Binding& binding) {
  const std::string where = "slot " + std::to_string(slot);
  const Use use(running_, "bind");
  if (slot < 0 || slot >= slots()) throw ProgramError(where + " of " + std::to_string(slots()));
  const int64_t multiple = slot_alignment_[static_cast<size_t>(slot)];
  if (binding.stride < 0)
    throw ProgramError(where + ": stride is " + std::to_string(binding.stride));
  if (reinterpret_cast<uintptr_t>(binding.pointer) % static_cast<uintptr_t>(multiple) != 0 ||
      binding.stride % multiple != 0) {
    throw ProgramError(where + ": the array or its stride is not aligned to " +
                       std::to_string(multiple) + " bytes");
  }
  Binding& mine = bindings_[static_cast<size_t>(slot)];
  mine = binding;
  mine.bound = true;
  ready_ = false;
}

void Program::check_bindings(int64_t steps) const {
  const auto used = [&](size_t i) { return slots_[i].bytes + (steps - 1) * bindings_[i].stride; };
  for (size_t i = 0; i < bindings_.size(); ++i) {
    const std::string where = "slot " + std::to_string(i);
    if (!bindings_[i].bound) throw ProgramError(where + ": no array is bound");
    // Divided, not multiplied: steps * stride may not fit.
    const int64_t spare = bindings_[i].bytes - slots_[i].bytes;
    if (spare < 0 || (bindings_[i].stride > 0 && spare / bindings_[i].stride < steps - 1)) {
      throw ProgramError(
          where + ": " + std::to_string(steps) + " steps of " + std::to_string(slots_[i].bytes) +
          " bytes, " + std::to_string(bindings_[i].stride) + " apart, do not fit in an array of " +
          std::to_string(bindings_[i].bytes) + " bytes");
    }
  }
  for (size_t i = 0; i < bindings_.size(); ++i) {
    for (size_t j = 0; slots_[i].writable && j < bindings_.size(); ++j) {
      if (i == j || !overlap(bindings_[i], used(i), bindings_[j], used(j))) continue;
      throw ProgramError("slot " + std::to_string(i) +
                         ": is written, but its array overlaps that of slot " + std::to_string(j));
    }
  }
}

void Program::add_member() {
  Member member;
  member.base.resize(2 + slots_.size());
  member.memory = allocate(member_bytes());
  member.base[0] = arena_.get();
  member.base[1] = member.memory.get();
  member.scratch = member.memory.get() + local_bytes_;
  members_.push_back(std::move(member));
}

void Program::make_ready(int members) {
  if (static_cast<int>(members_.size()) < members) ready_ = false;
  while (static_cast<int>(members_.size()) < members) add_member();
  if (ready_) return;
  moving_.clear();
  for (size_t i = 0; i < bindings_.size(); ++i) {
    if (bindings_[i].stride != 0) moving_.push_back(static_cast<int64_t>(i));
    for (Member& member : members_) member.base[2 + i] = bindings_[i].pointer;
  }
  ready_ = true;
}

Outcome Program::run(int64_t steps, int threads, Poll poll) {
  const Use use(running_, "run");
  if (steps < 1) return {};
  check_bindings(steps);
  const int members = threads_for(threads);
  make_ready(members);
  return run_steps(*this, steps, members, poll);
}

}  // namespace chainrule
