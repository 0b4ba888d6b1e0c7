// Grids that are read column after column, as run-length codes run.
#pragma once

#include <cstdint>

#include "views.h"

namespace segrt {

// Reads one image of the stack: columns[x * height + y]. Returns how many values are not finite.
std::int64_t read_columns(const FloatStack& stack, Index image, float* columns);

}  // namespace segrt
