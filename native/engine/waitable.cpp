#include "waitable.h"

#include <chrono>
#include <thread>

#include "cpu.h"

namespace chainrule {
int Waitable::spin_while(int unwanted, Spin spin) const noexcept {
  using Clock = std::chrono::steady_clock;
  int value = load();
  if (value != unwanted || spin.nanoseconds <= 0) return value;
  const auto deadline = Clock::now() + std::chrono::nanoseconds(spin.nanoseconds);
  int round = 0;
  do {
    for (int i = 0; i < 16; ++i) {
      relax();
      value = load();
      if (value != unwanted) return value;
    }
    // The first microseconds are for the short gaps between phases, where a system call is too
    // long.
    if (spin.yields && ++round > 8) std::this_thread::yield();
  } while (Clock::now() < deadline);
  return value;
}

int Waitable::wait_while(int unwanted, Spin spin) noexcept {
  int value = spin_while(unwanted, spin);
  if (value != unwanted) return value;
  std::unique_lock lock(mutex_);
  sleepers_.fetch_add(1);
  while ((value = value_.load()) == unwanted) changed_.wait(lock);
  sleepers_.fetch_sub(1);
  return value;
}

void Waitable::wake_sleepers() noexcept {
  // Taking the mutex waits for a sleeper that has looked at the value but does not wait yet.
  {
    const std::lock_guard lock(mutex_);
  }
  changed_.notify_all();
}

}  // namespace chainrule
