// Memory that a program owns: aligned, not initialised, freed with its owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace chainrule {

// A cache line, and the widest vector.
inline constexpr int64_t alignment = 64;

constexpr int64_t round_up(int64_t bytes, int64_t multiple = alignment) noexcept {
  return (bytes + multiple - 1) / multiple * multiple;
}

struct Free {
  void operator()(std::byte* memory) const noexcept { std::free(memory); }
};
using Memory = std::unique_ptr<std::byte[], Free>;

// Fresh pages come as zeros from the system, but a reused block does not: nobody may rely on
// contents. A large block asks for large pages, which saves most of the page faults of the first
// step.
inline Memory allocate(int64_t bytes) {
  constexpr int64_t large_page = int64_t{1} << 21;
  const int64_t multiple = bytes >= 2 * large_page ? large_page : alignment;
  const auto size = static_cast<size_t>(round_up(bytes > 0 ? bytes : 1, multiple));
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(static_cast<size_t>(multiple), size));
  if (memory == nullptr) throw std::bad_alloc();
#if defined(__linux__)
  if (multiple == large_page) madvise(memory, size, MADV_HUGEPAGE);
#endif
  return Memory(memory);
}

// Gives memory that was freed, and is kept for more to come, back to the system. Takes 0.1 to 1 ms.
inline void give_back_freed() noexcept {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

}  // namespace chainrule
