// A plan made ready to run: kernels chosen, places resolved, memory allocated.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "memory.h"
#include "registry.h"
#include "spec.h"

namespace chainrule {

// Where an operand of a tile begins: base[which] + offset + first row of the tile * row_bytes.
// `which` is 0 for the arena, 1 for the thread's scratch, 2 + i for slot i; row_bytes is 0 where
// the tile does not move the operand (it is whole, or in scratch).
struct Address {
  int64_t which;
  int64_t offset;
  int64_t row_bytes;
};

struct Instruction {
  Kernel kernel;
  const Call* call;
  const Address* address;
  int64_t operands;
};

struct Loop {
  int64_t rows;
  int64_t tile;
  int64_t tiles;
  double cost;  // ns, as estimated
  const Instruction* first;
  const Instruction* last;
};

struct Phase {
  const Loop* first;
  const Loop* last;
  int64_t tiles;
  double cost;
  bool shared;  // worth the time of more than one thread
};

struct Binding {
  std::byte* pointer = nullptr;
  int64_t bytes = 0;
  int64_t stride = 0;  // bytes from one step to the next
  bool bound = false;
};

// What one thread needs to run tiles.
struct Member {
  std::vector<std::byte*> base;  // see Address
  std::byte* scratch = nullptr;
  Memory memory;
};

// `ask` is called from time to time between two steps; the run ends when it returns false.
struct Poll {
  bool (*ask)(void* context) noexcept = nullptr;
  void* context = nullptr;
};

struct Outcome {
  int64_t done = 0;
  int fault_code = -1;  // -1: none
  int64_t fault_row = -1;
};

class Program {
 public:
  // Throws ProgramError. One that is not `to_run` has no arena and only says what it would need.
  Program(ProgramSpec spec, const KernelTable& table, bool to_run = true);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // The memory must stay where it is until another is bound or the program ends.
  void bind(int64_t slot, const Binding& binding);
  // Runs up to `steps` steps on up to `threads` threads. Throws before the first step, not later.
  // One thread at a time: a second gets ProgramError.
  Outcome run(int64_t steps, int threads, Poll poll);

  [[nodiscard]] int threads_for(int threads) const noexcept;
  [[nodiscard]] int64_t arena_bytes() const noexcept { return arena_bytes_; }
  // What a run on up to `threads` threads keeps beside the arena.
  [[nodiscard]] int64_t scratch_bytes(int threads) const noexcept {
    return threads_for(threads) * member_bytes();
  }
  [[nodiscard]] const SlotSpec& slot(int64_t i) const { return slots_.at(static_cast<size_t>(i)); }
  [[nodiscard]] int64_t slots() const noexcept { return static_cast<int64_t>(slots_.size()); }

  // For the run (run.cpp).
  [[nodiscard]] const std::vector<Phase>& phases() const noexcept { return phases_; }
  [[nodiscard]] const std::vector<const Phase*>& shared_phases() const noexcept { return shared_; }
  [[nodiscard]] Member& member(int i) noexcept { return members_[static_cast<size_t>(i)]; }
  void place_slots(Member& member, int64_t step) const noexcept {
    for (const int64_t i : moving_) {
      const Binding& b = bindings_[static_cast<size_t>(i)];
      member.base[static_cast<size_t>(2 + i)] = b.pointer + step * b.stride;
    }
  }

 private:
  class Use;

  void load_calls(ProgramSpec& spec, const KernelTable& table);
  void load_loops(const ProgramSpec& spec);
  void check_bindings(int64_t steps) const;
  void make_ready(int members);
  void add_member();
  [[nodiscard]] int64_t member_bytes() const noexcept {
    // A page between two threads' scratch keeps the prefetcher of one out of the lines of the
    // other.
    return local_bytes_ + scratch_bytes_ + 4096;
  }

  std::vector<Call> calls_;
  std::vector<Address> addresses_;
  std::vector<Instruction> instructions_;
  std::vector<Loop> loops_;
  std::vector<Phase> phases_;
  std::vector<const Phase*> shared_;
  std::vector<SlotSpec> slots_;
  std::vector<int64_t> slot_alignment_;
  std::vector<Binding> bindings_;
  std::vector<int64_t> moving_;  // slots with a stride
  std::vector<Member> members_;
  Memory arena_;
  int64_t arena_bytes_ = 0;
  int64_t local_bytes_ = 0;
  int64_t scratch_bytes_ = 0;
  double shared_cost_ = 0;
  int64_t most_tiles_ = 1;
  bool ready_ = false;           // the members know the bindings
  std::atomic<int> running_{0};  // 1 + the fork generation of the thread that runs it
};

}  // namespace chainrule
