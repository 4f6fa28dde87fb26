// The kernels of the instruction set chosen for this process.
#pragma once

#include <string>
#include <vector>

#include "../kernels/call.h"

namespace chainrule {

// Entries are in the order of ops.def. kernels/table.cpp defines one table for each compiled set.
struct KernelTable {
  const char* instruction_set;
  const KernelEntry* entries;
  int64_t count;
};

const KernelTable&
kernels() noexcept;  // the chosen one; the best that the processor has unless told
const KernelTable* kernels_of(
    const std::string& instruction_set);  // nullptr: not compiled or not supported
bool choose_instruction_set(const std::string& instruction_set);  // false: not available
std::vector<std::string> instruction_sets();                      // available here, worst first

const KernelEntry* find_kernel(const KernelTable& table,
                               const std::string& operation);  // nullptr: unknown

// What ops.def says of an operation beyond its name. Elementwise operations and updates may write
// an output over the argument of the same type.
const char* family_of(const std::string& operation);  // "" if unknown
bool may_run_in_place(const std::string& operation);

}  // namespace chainrule
