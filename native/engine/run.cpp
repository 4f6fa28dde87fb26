#include "run.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <vector>

#include "cpu.h"
#include "thread_pool.h"
#include "waitable.h"

namespace chainrule {
namespace {

using Clock = std::chrono::steady_clock;

void run_tile(const Loop& loop, int64_t index, const Member& member, Status* status) noexcept {
  void* operand[max_operands];
  const int64_t begin = index * loop.tile;
  const Tile tile{operand, begin, std::min(begin + loop.tile, loop.rows), member.scratch, status};
  std::byte* const* base = member.base.data();
  for (const Instruction* i = loop.first; i != loop.last; ++i) {
    const Address* address = i->address;
    for (int64_t k = 0; k < i->operands; ++k) {
      operand[k] = base[address[k].which] + address[k].offset + begin * address[k].row_bytes;
    }
    i->kernel(*i->call, tile);
  }
}

void run_phase_alone(const Phase& phase, const Member& member, Status* status) noexcept {
  for (const Loop* loop = phase.first; loop != phase.last; ++loop) {
    for (int64_t tile = 0; tile < loop->tiles; ++tile) run_tile(*loop, tile, member, status);
  }
}

// Tile `index` of all tiles of the phase.
void run_tile_of_phase(const Phase& phase, int64_t index, const Member& member,
                       Status* status) noexcept {
  const Loop* loop = phase.first;
  for (; index >= loop->tiles; ++loop) index -= loop->tiles;
  run_tile(*loop, index, member, status);
}

// A member's own part of a phase, handed out in units of `unit` tiles.
struct Share {
  int64_t begin;
  int64_t end;
  int64_t unit;
  [[nodiscard]] int64_t units() const noexcept { return (end - begin + unit - 1) / unit; }
};

// How far a share is handed out: the number of the shared phase (36 bits), and the units taken from
// the front, by its member, and from the back, by others (14 bits each). So a member keeps the same
// tiles from step to step, as far as nobody has to help. The phase number makes a claim by a thread
// that fell behind fail, and saves resetting.
struct alignas(64) Cursor {
  std::atomic<uint64_t> word{0};
};
constexpr int unit_bits = 14;
constexpr uint64_t most_units = (uint64_t{1} << unit_bits) - 1;
constexpr int64_t most_shared_phases = int64_t{1} << (64 - 2 * unit_bits);

// The number of the next of `units` units, from the front or the back; -1: none is left.
int64_t claim(Cursor& cursor, int64_t phase, int64_t units, bool front) noexcept {
  uint64_t seen = cursor.word.load(std::memory_order_relaxed);
  for (;;) {
    const auto at = static_cast<int64_t>(seen >> (2 * unit_bits));
    if (at > phase) return -1;
    const uint64_t fresh = static_cast<uint64_t>(phase) << (2 * unit_bits);
    const uint64_t now = at == phase ? seen : fresh;
    const auto first = static_cast<int64_t>((now >> unit_bits) & most_units);
    const auto last = static_cast<int64_t>(now & most_units);
    if (first + last >= units) return -1;
    const uint64_t wanted = now + (front ? uint64_t{1} << unit_bits : uint64_t{1});
    if (cursor.word.compare_exchange_weak(seen, wanted, std::memory_order_relaxed)) {
      return front ? first : units - 1 - last;
    }
  }
}

// Members that are of use in a phase; the same for every thread that asks.
int members_of(const Phase& phase, int members) noexcept {
  constexpr double least_share = 1'500;  // ns
  const double useful = std::min(phase.cost / least_share, static_cast<double>(phase.tiles));
  return useful < members ? static_cast<int>(useful) : members;
}

// The tile of the phase before which there is so much of its cost.
int64_t tile_at(const Phase& phase, double cost) noexcept {
  int64_t tile = 0;
  for (const Loop* loop = phase.first; loop != phase.last; ++loop) {
    if (cost < loop->cost) {
      const double part = cost / loop->cost * static_cast<double>(loop->tiles);
      return tile + static_cast<int64_t>(part + 0.5);
    }
    cost -= loop->cost;
    tile += loop->tiles;
  }
  return tile;
}

// Appends the shares of `members` members, about equal in cost; none for those of no use.
void divide(const Phase& phase, int members, std::vector<Share>& shares) {
  const int useful = members_of(phase, members);
  int64_t begin = 0;
  for (int i = 1; i <= members; ++i) {
    const int64_t end =
        i < useful ? std::max(begin, tile_at(phase, phase.cost * i / useful)) : phase.tiles;
    shares.push_back({begin, end, 1 + (end - begin) / static_cast<int64_t>(most_units)});
    begin = end;
  }
}

// A run by several threads. The caller goes through the steps; at a shared phase it counts `begun`
// up and all members take tiles. The phase has ended when all its tiles are done: nobody waits for
// a helper that has none, such as one that the system does not let run.
struct TeamRun {
  Program& program;
  int members;
  std::vector<Share> shares;    // of all shared phases, one for each member
  std::vector<Cursor> cursors;  // one for each member
  Status status{};
  std::atomic<bool> over{false};
  Waitable begun;  // shared phases so far, modulo 2^32
  Waitable done;   // tiles of shared phases so far, modulo 2^32

  TeamRun(Program& p, int n) : program(p), members(n), cursors(static_cast<size_t>(n)) {
    for (const Phase* phase : p.shared_phases()) divide(*phase, n, shares);
  }
};

// A member's own units first, which are the same in every step and so in its cache; then those that
// the others have not begun.
void share_phase(TeamRun& run, const Phase& phase, int64_t number, int me) noexcept {
  const int members = members_of(phase, run.members);
  if (me >= members) return;
  const Member& member = run.program.member(me);
  const auto count = static_cast<int64_t>(run.program.shared_phases().size());
  const Share* shares = &run.shares[static_cast<size_t>((number - 1) % count * run.members)];
  int finished = 0;
  for (int turn = 0; turn < members; ++turn) {
    const int owner = (me + turn) % members;
    const Share& share = shares[owner];
    const int64_t units = share.units();
    Cursor& cursor = run.cursors[static_cast<size_t>(owner)];
    for (int64_t unit; (unit = claim(cursor, number, units, turn == 0)) >= 0;) {
      const int64_t begin = share.begin + unit * share.unit;
      const int64_t end = std::min(begin + share.unit, share.end);
      for (int64_t tile = begin; tile < end; ++tile, ++finished) {
        run_tile_of_phase(phase, tile, member, &run.status);
      }
    }
  }
  if (finished > 0) run.done.add(finished);
}

int low_bits(int64_t number) noexcept { return static_cast<int>(static_cast<uint32_t>(number)); }

void follow(void* context, int me) noexcept {
  auto& run = *static_cast<TeamRun*>(context);
  const FlushToZero flush_to_zero;
  const std::vector<const Phase*>& phases = run.program.shared_phases();
  const auto count = static_cast<int64_t>(phases.size());
  int64_t number = 0;
  for (;;) {
    const int now = run.begun.wait_while(low_bits(number), spin_within_run(run.members));
    if (run.over.load(std::memory_order_acquire)) return;
    number +=
        static_cast<int64_t>(static_cast<uint32_t>(now) - static_cast<uint32_t>(low_bits(number)));
    run.program.place_slots(run.program.member(me), (number - 1) / count);
    share_phase(run, *phases[static_cast<size_t>((number - 1) % count)], number, me);
  }
}

// What the caller knows of a team run; alone, no team.
struct Lead {
  TeamRun* team;
  int64_t begun = 0;
  int64_t tiles = 0;
};

void lead_phase(Lead& lead, const Phase& phase) noexcept {
  TeamRun& run = *lead.team;
  lead.tiles += phase.tiles;
  run.begun.store(low_bits(++lead.begun));
  share_phase(run, phase, lead.begun, 0);
  const int all = low_bits(lead.tiles);
  const Spin spin = spin_within_run(run.members);
  for (int done = run.done.load(); done != all;) done = run.done.wait_while(done, spin);
}

// Asks at most every 5 ms. Asking takes the lock of the Python interpreter, which another thread
// may hold for 5 ms: then it asks less often, to lose no more than a twentieth. The clock is read
// every `every` steps only (25 ns, in steps of 3 us).
class Poller {
 public:
  explicit Poller(Poll poll) noexcept : poll_(poll), last_(Clock::now()) {}
  // False: stop.
  bool go_on() noexcept {
    if (--left_ > 0 || poll_.ask == nullptr) return true;
    const Clock::time_point now = Clock::now();
    const auto since = now - last_read_;
    last_read_ = now;
    if (since < std::chrono::milliseconds(1)) every_ = std::min(every_ * 2, 1024);
    if (since > std::chrono::milliseconds(2)) every_ = std::max(every_ / 4, 1);
    left_ = every_;
    return now - last_ < interval_ || ask(now);
  }

 private:
  bool ask(Clock::time_point now) noexcept {
    const bool go_on = poll_.ask(poll_.context);
    last_ = last_read_ = Clock::now();
    interval_ =
        std::clamp<Clock::duration>(20 * (last_ - now), shortest, std::chrono::milliseconds(200));
    return go_on;
  }

  static constexpr Clock::duration shortest = std::chrono::milliseconds(5);
  Poll poll_;
  Clock::time_point last_;
  Clock::time_point last_read_ = last_;
  Clock::duration interval_ = shortest;
  int every_ = 1;
  int left_ = 1;
};

bool faulty(const Status& status) noexcept {
  return __atomic_load_n(&status.fault, __ATOMIC_RELAXED) != 0;
}

// False: a phase was at fault.
bool lead_step(Program& program, Lead& lead, Status* status) noexcept {
  const FlushToZero flush_to_zero;  // not while others are asked
  for (const Phase& phase : program.phases()) {
    if (lead.team != nullptr && phase.shared) {
      lead_phase(lead, phase);
    } else {
      run_phase_alone(phase, program.member(0), status);
    }
    if (faulty(*status)) return false;
  }
  return true;
}

// Returns the number of completed steps.
int64_t lead_steps(Program& program, int64_t steps, Lead& lead, Status* status,
                   Poll poll) noexcept {
  Poller poller(poll);
  const int generation = fork_generation();
  for (int64_t step = 0; step < steps; ++step) {
    program.place_slots(program.member(0), step);
    if (!lead_step(program, lead, status)) return step;
    if (!poller.go_on()) return step + 1;
    // A signal handler has forked and this is the child, where the helpers do not exist.
    if (fork_generation() != generation) lead.team = nullptr;
  }
  return steps;
}

Outcome outcome_of(int64_t done, const Status& status) noexcept {
  if (status.fault == 0) return {done, -1, -1};
  const uint64_t fault = status.fault - 1;
  return {done, static_cast<int>(fault & 0xffff), static_cast<int64_t>(fault >> 16)};
}

Outcome run_alone(Program& program, int64_t steps, Poll poll) noexcept {
  Status status;
  Lead lead{nullptr};
  const int64_t done = lead_steps(program, steps, lead, &status, poll);
  return outcome_of(done, status);
}

Outcome run_together(Program& program, Team& team, int64_t steps, Poll poll) {
  auto run = std::make_unique<TeamRun>(program, team.size());
  const int generation = fork_generation();
  Lead lead{run.get()};
  team.start(follow, run.get());
  const int64_t done = lead_steps(program, steps, lead, &run->status, poll);
  const Outcome outcome = outcome_of(done, run->status);
  if (fork_generation() != generation) {
    // Whoever slept on it in the parent never leaves it here; to destroy it would wait for them.
    static_cast<void>(run.release());
    return outcome;
  }
  run->over.store(true, std::memory_order_release);
  run->begun.add(1);
  team.finish();
  return outcome;
}

}  // namespace

Outcome run_steps(Program& program, int64_t steps, int members, Poll poll) {
  const auto shared = static_cast<int64_t>(program.shared_phases().size());
  // At a microsecond a phase, the numbers of phases last for twelve days.
  if (members > 1 && steps >= most_shared_phases / shared) {
    throw ProgramError("too many steps in one run");
  }
  Team team(members);
  return team.size() == 1 ? run_alone(program, steps, poll)
                          : run_together(program, team, steps, poll);
}

}  // namespace chainrule
