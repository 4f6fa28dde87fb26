// What is particular to the processor and the system: instruction sets, cores, waiting.
#pragma once

#include <string>

namespace chainrule {

// Whether processor and system can run code of this instruction set ("baseline", "avx2", ...).
bool cpu_supports(const std::string& instruction_set);

// Cores this process may use: its affinity, cut to the quota of its control group.
int core_count();

// Tells the processor that this thread is waiting in a loop.
inline void relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

}  // namespace chainrule
