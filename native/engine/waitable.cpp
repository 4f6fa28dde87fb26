#include "waitable.h"

#include <chrono>

#include "cpu.h"

namespace chainrule {
namespace {

// Whether `is_over` held within the time; it is tried once in any case.
template <typename Condition>
bool spin(int nanoseconds, Condition is_over) noexcept {
  using Clock = std::chrono::steady_clock;
  if (is_over()) return true;
  if (nanoseconds <= 0) return false;
  const auto deadline = Clock::now() + std::chrono::nanoseconds(nanoseconds);
  do {
    for (int i = 0; i < 16; ++i) {
      relax();
      if (is_over()) return true;
    }
  } while (Clock::now() < deadline);
  return false;
}

}  // namespace

int Waitable::spin_until(int wanted, int nanoseconds) const noexcept {
  int value = wanted;
  spin(nanoseconds, [&] { return (value = load()) == wanted; });
  return value;
}

int Waitable::wait_while(int unwanted, int spin_for_nanoseconds) noexcept {
  int value = unwanted;
  if (spin(spin_for_nanoseconds, [&] { return (value = load()) != unwanted; })) return value;
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
