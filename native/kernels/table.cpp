// The kernels of one instruction set. Compiled once for each set, like every file here.
#include "kernel.h"

namespace chainrule::CHAINRULE_ISA {

extern const KernelEntry kernel_entries[];
extern const int64_t kernel_count;

const KernelEntry kernel_entries[] = {
#define OP(name, family) {#name, prepare_##name},
#include "../ops.def"
#undef OP
};
const int64_t kernel_count = static_cast<int64_t>(sizeof kernel_entries / sizeof kernel_entries[0]);

}  // namespace chainrule::CHAINRULE_ISA
