#include "registry.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "cpu.h"

namespace chainrule {

// CHAINRULE_SETS names the instruction sets that are compiled in, the best last.
#define SET(isa)                             \
  namespace isa {                            \
  extern const KernelEntry kernel_entries[]; \
  extern const int64_t kernel_count;         \
  }
CHAINRULE_SETS
#undef SET

namespace {

// Function-local, so that it is built whenever the first reader comes, in whatever translation
// unit.
const std::vector<KernelTable>& tables() {
  static const std::vector<KernelTable> available = [] {
    std::vector<KernelTable> found;
#define SET(isa) \
  if (cpu_supports(#isa)) found.push_back({#isa, isa::kernel_entries, isa::kernel_count});
    CHAINRULE_SETS
#undef SET
    return found;
  }();
  return available;
}

std::atomic<const KernelTable*> chosen{nullptr};

}  // namespace

const KernelTable& kernels() noexcept {
  const KernelTable* table = chosen.load(std::memory_order_acquire);
  return table != nullptr ? *table : tables().back();
}

const KernelTable* kernels_of(const std::string& instruction_set) {
  for (const KernelTable& table : tables()) {
    if (instruction_set == table.instruction_set) return &table;
  }
  return nullptr;
}

bool choose_instruction_set(const std::string& instruction_set) {
  const KernelTable* table = kernels_of(instruction_set);
  if (table == nullptr) return false;
  chosen.store(table, std::memory_order_release);
  return true;
}

std::vector<std::string> instruction_sets() {
  std::vector<std::string> names;
  for (const KernelTable& table : tables()) names.emplace_back(table.instruction_set);
  return names;
}

const KernelEntry* find_kernel(const KernelTable& table, const std::string& operation) {
  const KernelEntry* end = table.entries + table.count;
  const auto is_named = [&](const KernelEntry& entry) { return operation == entry.name; };
  const KernelEntry* found = std::find_if(table.entries, end, is_named);
  return found == end ? nullptr : found;
}

const char* family_of(const std::string& operation) {
#define OP(name, family) \
  if (operation == #name) return #family;
#include "../ops.def"
#undef OP
  return "";
}

bool may_run_in_place(const std::string& operation) {
  for (const char* family : {"elementwise", "update", "product_update"}) {
    if (std::strcmp(family_of(operation), family) == 0) return true;
  }
  return false;
}

}  // namespace chainrule
