#include "thread_pool.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <mutex>
#include <system_error>
#include <thread>

#include "cpu.h"

namespace chainrule {

enum : int { idle, called, inside };

// `state` goes idle -> called (by the borrower) -> inside -> idle (by the thread); the borrower may
// take a call back (called -> idle). The other members are the borrower's to write while the state
// is idle.
struct Worker {
  Waitable state;
  Job job = nullptr;
  void* context = nullptr;
  int member = 0;
};

class Pool {
 public:
  std::vector<Worker*> borrow(int wanted);
  void give_back(const std::vector<Worker*>& workers) noexcept;

 private:
  void add_worker();

  std::mutex mutex_;
  std::vector<Worker*> idle_;
  int workers_ = 0;
};

namespace {

constexpr int most_workers = 1023;

// Neither is ever freed: threads may be waiting in them when the process ends. A child of fork has
// none of the threads, so it leaves the pool of its parent alone and makes its own when it needs
// one.
std::atomic<Pool*> the_pool{nullptr};
std::atomic<int> generation{0};

void forget_pool() {
  the_pool.store(nullptr);
  generation.fetch_add(1);
}

Pool* pool() {
  static const int registered = pthread_atfork(nullptr, nullptr, forget_pool);
  static_cast<void>(registered);
  Pool* current = the_pool.load();
  if (current != nullptr) return current;
  auto* fresh = new Pool;
  if (the_pool.compare_exchange_strong(current, fresh)) return fresh;
  delete fresh;
  return current;
}

void serve(Worker* worker) noexcept {
  for (;;) {
    // Longer than the gap between two runs of a training loop written in Python.
    if (worker->state.wait_while(idle, spin_of_helper(2)) != called) continue;
    if (!worker->state.replace(called, inside)) continue;
    worker->job(worker->context, worker->member);
    worker->state.store(idle);
  }
}

}  // namespace

// Signals are for the threads of Python.
void Pool::add_worker() {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  auto* worker = new Worker;
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread(serve, worker).detach();
    idle_.push_back(worker);
    ++workers_;
  } catch (const std::system_error&) {
    delete worker;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

std::vector<Worker*> Pool::borrow(int wanted) {
  const std::lock_guard lock(mutex_);
  idle_.reserve(static_cast<size_t>(most_workers));
  for (int missing = std::min(wanted, most_workers) - workers_; missing > 0; --missing)
    add_worker();
  // The thread that came back last is the likeliest to be still awake.
  const size_t got = std::min(static_cast<size_t>(std::max(wanted, 0)), idle_.size());
  std::vector<Worker*> workers(idle_.rbegin(), idle_.rbegin() + static_cast<std::ptrdiff_t>(got));
  idle_.resize(idle_.size() - got);
  return workers;
}

void Pool::give_back(const std::vector<Worker*>& workers) noexcept {
  const std::lock_guard lock(mutex_);
  // In reverse, so that the next run gives each thread the member number, and so the rows, it had.
  idle_.insert(idle_.end(), workers.rbegin(), workers.rend());
}

Team::Team(int members) : pool_(nullptr) {
  if (members < 2) return;
  pool_ = pool();
  helpers_ = pool_->borrow(members - 1);
}

Team::~Team() {
  if (helpers_.empty() || the_pool.load() != pool_) return;
  finish();
  pool_->give_back(helpers_);
}

void Team::start(Job job, void* context) noexcept {
  int member = 0;
  for (Worker* helper : helpers_) {
    helper->job = job;
    helper->context = context;
    helper->member = ++member;
    helper->state.store(called);
  }
}

void Team::finish() noexcept {
  // The process forked inside the run (in a signal handler): the helpers are not in this process.
  if (the_pool.load() != pool_) return;
  for (Worker* helper : helpers_) {
    if (helper->state.replace(called, idle)) continue;
    helper->state.wait_while(inside, spin_of_caller(size()));
  }
}

Spin spin_of_caller(int members) noexcept {
  // Covers the gap between two phases or two runs; longer would starve others for nothing.
  constexpr int nanoseconds = 30'000;
  static const int cores = core_count();
  return {members <= cores ? nanoseconds : 0, false};
}

// Covers what a loop written by hand does in Python between two steps, about 100 us: a helper that
// sleeps meanwhile is woken on the caller's core and drives the caller to the other, away from its
// caches (steps of 100 us by hand: 210 us instead of 240, of Python 65 us instead of 120). It
// yields.
Spin spin_of_helper(int members) noexcept {
  constexpr int nanoseconds = 300'000;
  return {spin_of_caller(members).nanoseconds > 0 ? nanoseconds : 0, true};
}

// Within a run the next phase comes for certain, and soon. A helper that sleeps comes back 50 us
// and more later, finds most of its tiles taken, waits long again and sleeps again: with 30 us a
// run of two threads often stayed as slow as one (600 us a step instead of 310). It yields
// meanwhile.
Spin spin_within_run(int members) noexcept {
  constexpr int nanoseconds = 2'000'000;
  return {spin_of_caller(members).nanoseconds > 0 ? nanoseconds : 0, true};
}

int fork_generation() noexcept { return generation.load(); }

}  // namespace chainrule
