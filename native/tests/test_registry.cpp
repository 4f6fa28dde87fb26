// The tables of kernels: the same operations in every instruction set, chosen by name.
#include "engine/registry.h"

#include <cstring>

#include "check.h"

namespace chainrule::test {
namespace {

void test_tables_are_complete() {
  const char* const operations[] = {
#define OP(name, family) #name,
#include "ops.def"
#undef OP
  };
  const auto count = static_cast<int64_t>(sizeof operations / sizeof operations[0]);
  for (const std::string& set : instruction_sets()) {
    const KernelTable* table = kernels_of(set);
    if (!CHECK(table != nullptr && table->count == count)) continue;
    CHECK(set == table->instruction_set);
    for (int64_t i = 0; i < count; ++i) {
      CHECK(std::strcmp(table->entries[i].name, operations[i]) == 0);
      CHECK(find_kernel(*table, operations[i]) == table->entries + i);
      CHECK(table->entries[i].prepare != nullptr);
    }
  }
}

void test_choice() {
  CHECK(!instruction_sets().empty());
  CHECK(instruction_sets().back() == kernels().instruction_set);
  for (const std::string& set : instruction_sets()) {
    CHECK(choose_instruction_set(set));
    CHECK(set == kernels().instruction_set);
  }
  CHECK(!choose_instruction_set("mmx"));
  CHECK(instruction_sets().back() == kernels().instruction_set);
  CHECK(kernels_of("mmx") == nullptr);
  CHECK(find_kernel(kernels(), "foo") == nullptr);
}

void test_facts() {
  CHECK(may_run_in_place("add"));
  CHECK(may_run_in_place("adam_update"));
  CHECK(may_run_in_place("product_adam_update"));
  CHECK(!may_run_in_place("matmul"));
  CHECK(!may_run_in_place("foo"));
  CHECK(std::strcmp(family_of("softmax"), "fused") == 0);
  CHECK(std::strcmp(family_of("foo"), "") == 0);
}

}  // namespace
}  // namespace chainrule::test

int main() {
  chainrule::test::test_tables_are_complete();
  chainrule::test::test_choice();
  chainrule::test::test_facts();
  return check_result();
}
