// The pool and the runs on it: every tile once, whatever the threads, the load, forks and other
// runs.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <numeric>
#include <thread>

#include "check.h"
#include "engine/cpu.h"
#include "engine/thread_pool.h"
#include "programs.h"

// A child of fork may find the locks of a sanitizer taken for ever.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define CHAINRULE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define CHAINRULE_SANITIZED 1
#endif
#endif

namespace chainrule::test {
namespace {

constexpr int64_t rows = 1000;
constexpr double heavy = 1e9;  // ns: as many threads as allowed

struct Result {
  std::vector<double> state;
  double total;
  Outcome outcome;
};

Result train(int64_t steps, int threads, int64_t tile, double cost, Poll poll = {}) {
  Program program(accumulate(rows, tile, cost), test_table);
  std::vector<double> x(static_cast<size_t>(rows + steps));
  std::iota(x.begin(), x.end(), 0.0);
  std::vector<double> state(static_cast<size_t>(rows), 0.0);
  std::vector<double> total(1, 0.0);
  program.bind(0, binding(x, 8));
  program.bind(1, binding(state));
  program.bind(2, binding(total));
  const Outcome outcome = program.run(steps, threads, poll);
  return {state, total[0], outcome};
}

// Step s adds 2 * (row + s) to the state of a row.
void check_trained(const Result& result, int64_t steps) {
  CHECK(result.outcome.done == steps);
  CHECK(result.outcome.fault_code == -1);
  const auto n = static_cast<double>(steps);
  for (int64_t row = 0; row < rows; ++row) {
    CHECK(result.state[static_cast<size_t>(row)] == 2 * n * static_cast<double>(row) + n * (n - 1));
  }
  const auto r = static_cast<double>(rows);
  CHECK(result.total == 2 * (r * (r - 1) / 2 + r * (n - 1)));
}

void test_any_number_of_threads() {
  for (const int threads : {1, 2, 3, 7, 32}) {
    for (const int64_t tile : {1, 7, 250, 1000, 5000})
      check_trained(train(20, threads, tile, heavy), 20);
  }
}

// A share that has more tiles than can be counted one by one is handed out in larger units.
void test_a_great_many_tiles() {
  constexpr int64_t many = 200'000;
  Program program(accumulate(many, 1, heavy), test_table);
  std::vector<double> x(static_cast<size_t>(many));
  std::iota(x.begin(), x.end(), 0.0);
  std::vector<double> state(static_cast<size_t>(many), 0.0);
  std::vector<double> total(1, 0.0);
  program.bind(0, binding(x));
  program.bind(1, binding(state));
  program.bind(2, binding(total));
  double steps = 0;
  for (const int threads : {2, 3}) {
    CHECK(program.run(5, threads, {}).done == 5);
    steps += 5;
    for (size_t row = 0; row < state.size(); ++row) CHECK(state[row] == 2 * steps * x[row]);
  }
}

void test_many_short_runs() {
  for (int i = 0; i < 300; ++i) check_trained(train(1 + i % 3, 2 + i % 3, 100, heavy), 1 + i % 3);
}

void test_other_threads_run_at_once() {
  std::vector<std::thread> others;
  std::vector<Result> results(4);
  for (size_t i = 0; i < results.size(); ++i) {
    others.emplace_back([&results, i] { results[i] = train(200, 3, 50, heavy); });
  }
  for (std::thread& other : others) other.join();
  for (const Result& result : results) check_trained(result, 200);
}

void test_same_program_refuses_a_second_run() {
  Program program(accumulate(rows, 10, heavy), test_table);
  std::vector<double> x(rows, 1.0);
  std::vector<double> state(rows, 0.0);
  std::vector<double> total(1, 0.0);
  program.bind(0, binding(x));
  program.bind(1, binding(state));
  program.bind(2, binding(total));
  struct Inside {
    Program& program;
    bool refused = false;
  } inside{program};
  const auto ask = [](void* context) noexcept {
    auto& in = *static_cast<Inside*>(context);
    try {
      in.program.run(1, 1, {});
    } catch (const ProgramError&) {
      in.refused = true;
    }
    return false;
  };
  const Outcome outcome = program.run(100'000'000, 2, {ask, &inside});
  CHECK(inside.refused);
  CHECK(outcome.done > 0 && outcome.done < 100'000'000);
  CHECK(state[0] == 2.0 * static_cast<double>(outcome.done));
  CHECK(program.run(3, 2, {}).done == 3);
}

void test_fault_stops_the_run() {
  for (const int threads : {1, 3}) {
    Program program(accumulate(rows, 10, heavy), test_table);
    // Step s reads from row s on: row 1500 comes into sight, as the last row, in step 501.
    std::vector<double> x(3000, 1.0);
    x[1500] = x[1501] = -1.0;
    std::vector<double> state(rows, 0.0);
    std::vector<double> total(1, 0.0);
    program.bind(0, binding(x, 8));
    program.bind(1, binding(state));
    program.bind(2, binding(total));
    const Outcome outcome = program.run(1000, threads, {});
    CHECK(outcome.done == 501);
    CHECK(outcome.fault_code == 1);
    CHECK(outcome.fault_row == rows - 1);
    CHECK(state[0] == 2.0 * 502);
    CHECK(total[0] == 2.0 * rows);
  }
}

void test_team_gives_back_helpers() {
  struct Count {
    std::atomic<int> seen{0};
  } count;
  const Job job = [](void* context, int) noexcept {
    static_cast<Count*>(context)->seen.fetch_add(1);
  };
  int calls = 0;
  for (int i = 0; i < 1000; ++i) {
    Team team(4);
    CHECK(team.size() == 4);
    team.start(job, &count);
    team.finish();
    calls += team.size() - 1;
  }
  CHECK(count.seen.load() <= calls);
  // More than any other test asks for.
  Team all(64);
  Team none(64);
  CHECK(none.size() == 1);
}

#if !defined(CHAINRULE_SANITIZED)
// Exits with 0 if training works in the child.
void test_fork() {
  check_trained(train(10, 3, 50, heavy), 10);
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    const Result result = train(10, 3, 50, heavy);
    _exit(result.outcome.done == 10 && result.state[1] == 20.0 + 90.0 ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  check_trained(train(10, 3, 50, heavy), 10);
}

// A signal handler of Python may fork in the middle of a run.
void test_fork_inside_a_run() {
  struct Inside {
    pid_t child = -1;
  } inside;
  const auto ask = [](void* context) noexcept {
    auto& in = *static_cast<Inside*>(context);
    if (in.child != -1) return false;
    in.child = fork();
    if (in.child == 0) alarm(60);
    return true;
  };
  const Result result = train(1'000'000, 3, 50, heavy, {ask, &inside});
  const bool right =
      result.state[1] - result.state[0] == 2.0 * static_cast<double>(result.outcome.done);
  if (inside.child == 0) _exit(right ? 0 : 1);
  CHECK(right);
  int status = -1;
  CHECK(waitpid(inside.child, &status, 0) == inside.child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
#endif

void test_threads_follow_the_work() {
  const auto threads_for = [](double cost, int64_t tile, int threads) {
    return Program(accumulate(rows, tile, cost), test_table).threads_for(threads);
  };
  CHECK(threads_for(1'000, 100, 8) == 1);
  CHECK(threads_for(19'000, 100, 8) == 1);
  CHECK(threads_for(30'000, 100, 8) == 3);
  CHECK(threads_for(1e9, 100, 8) == 8);
  CHECK(threads_for(1e9, 500, 8) == 2);
  CHECK(threads_for(1e9, 1000, 8) == 1);
  CHECK(threads_for(1e9, 100, 1) == 1);
  CHECK(core_count() >= 1);
}

}  // namespace
}  // namespace chainrule::test

int main() {
  using namespace chainrule::test;
  test_any_number_of_threads();
  test_a_great_many_tiles();
  test_many_short_runs();
  test_other_threads_run_at_once();
  test_same_program_refuses_a_second_run();
  test_fault_stops_the_run();
  test_team_gives_back_helpers();
  test_threads_follow_the_work();
#if !defined(CHAINRULE_SANITIZED)
  test_fork();
  test_fork_inside_a_run();
#endif
  return check_result();
}
