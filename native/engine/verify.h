// Everything the kernels take for granted, checked once, when a program is loaded.
#pragma once

#include <string>

#include "spec.h"

namespace chainrule {

// Fills in the sizes of all operands from their shapes. Throws ProgramError.
void measure(ProgramSpec& spec);

// Throws ProgramError unless: phases, loops and calls follow each other without gaps; every operand
// lies within its memory, is aligned, and has the rows of its loop where it is tiled; scratch and
// arena are read only where something was written before, in the same step; nothing overlaps what
// is written, but for an output that takes the place of an argument. requires: measure was called.
void verify(const ProgramSpec& spec);

// "call 3 (add)"
std::string name_of(const ProgramSpec& spec, int64_t call);
const char* name_of(DType dtype) noexcept;

}  // namespace chainrule
