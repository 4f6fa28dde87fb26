// A number that threads can wait on: a short spin, then sleep. Waking costs a load where nobody
// sleeps.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace chainrule {

// How to wait before going to sleep. A thread that yields while it spins leaves the core to others
// that want it; the awaited thread is often among them, for the system likes to wake a thread on
// the core of the one that woke it.
struct Spin {
  int nanoseconds = 0;
  bool yields = false;
};

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
  // Returns the value as soon as it is not `unwanted`.
  int wait_while(int unwanted, Spin spin) noexcept;

 private:
  // The write before and the load here are sequentially consistent, as are a sleeper's announcement
  // and its last look at the value: one of the two sides sees the other.
  void wake() noexcept {
    if (sleepers_.load() != 0) wake_sleepers();
  }
  void wake_sleepers() noexcept;
  int spin_while(int unwanted, Spin spin) const noexcept;

  std::atomic<int> value_{0};
  std::atomic<int> sleepers_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace chainrule
