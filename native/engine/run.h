// The loop over steps, phases and tiles.
#pragma once

#include "program.h"

namespace chainrule {

// requires: the first `members` members of the program are ready; nobody else runs it. Throws only
// before the first step, for want of memory.
Outcome run_steps(Program& program, int64_t steps, int members, Poll poll);

}  // namespace chainrule
