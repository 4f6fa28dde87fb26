// A number that threads can wait on: a short spin, then sleep. Waking costs a load where nobody
// sleeps.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace chainrule {

// Spinning covers the gap between two phases or two runs; longer would starve others for nothing.
inline constexpr int spin_nanoseconds = 30'000;

class alignas(64) Waitable {
 public:
  [[nodiscard]] int load() const noexcept { return value_.load(std::memory_order_acquire); }
  void store(int value) noexcept {
    value_.store(value);
    wake();
  }
  void add(int amount) noexcept {
    value_.fetch_add(amount);
    wake();
  }
  // Whether the value was `expected` and is now `desired`.
  bool replace(int expected, int desired) noexcept {
    const bool replaced = value_.compare_exchange_strong(expected, desired);
    if (replaced) wake();
    return replaced;
  }
  // Returns the value as soon as it is `wanted`, or when the time is up.
  int spin_until(int wanted, int nanoseconds) const noexcept;
  // Returns the value as soon as it is not `unwanted`.
  int wait_while(int unwanted, int spin_for_nanoseconds) noexcept;

 private:
  // The write before and the load here are sequentially consistent, as are a sleeper's announcement
  // and its last look at the value: one of the two sides sees the other.
  void wake() noexcept {
    if (sleepers_.load() != 0) wake_sleepers();
  }
  void wake_sleepers() noexcept;

  std::atomic<int> value_{0};
  std::atomic<int> sleepers_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace chainrule
