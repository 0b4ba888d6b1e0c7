// Reading class maps of any integer type.
#pragma once

#include <cstdint>

#include "views.h"

namespace segrt {

// Class ids that the core works with.
constexpr std::int64_t kClasses = 65536;

// One row as 16-bit class ids. Throws std::invalid_argument for a negative id or one beyond 65535.
void read_classes(const ClassMap& map, Index y, std::uint16_t* classes);

}  // namespace segrt
