// One pool of threads for the process. A run borrows helpers for its whole length, so that threads
// are woken once a run, not once a phase. A run that finds no idle helper (another Python thread is
// training) goes on alone and does not wait: results do not depend on the number of threads.
#pragma once

#include <vector>

#include "waitable.h"

namespace chainrule {

using Job = void (*)(void* context, int member) noexcept;

struct Worker;
class Pool;

// The calling thread (member 0) and the helpers it borrows (members 1, 2, ...), given back at the
// end.
class Team {
 public:
  // Gets at most `members` members; fewer where others use the pool or the system gives no thread.
  explicit Team(int members);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  [[nodiscard]] int size() const noexcept { return static_cast<int>(helpers_.size()) + 1; }
  // Each helper calls job(context, member) once, unless `finish` comes before it has woken up. So
  // the caller must be able to do all the work alone.
  void start(Job job, void* context) noexcept;
  // Returns when no helper is in the job. requires: the job returns soon.
  void finish() noexcept;

 private:
  Pool* pool_;
  std::vector<Worker*> helpers_;
};

// How the members of a team of this size wait: without spinning where there are more members than
// cores. With all cores busy with other processes, 2 threads are 3 % slower than 1; where helpers
// do not yield, up to twice as slow, as a helper that is woken takes the core of the caller, to
// spin on it.
Spin spin_of_caller(int members) noexcept;
Spin spin_of_helper(int members) noexcept;
Spin spin_within_run(int members) noexcept;

// Counts the forks between the first process and this one; what threads did before is void after
// it.
int fork_generation() noexcept;

}  // namespace chainrule
