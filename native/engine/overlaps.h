// The part of verify that looks at memory: what may share a place, and what was written before.
#pragma once

#include "spec.h"

namespace chainrule {

void verify_overlaps(const ProgramSpec& spec);
void verify_written(const ProgramSpec& spec);

}  // namespace chainrule
