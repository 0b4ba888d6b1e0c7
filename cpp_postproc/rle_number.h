// How COCO's run-length codes spell a number (cocoapi, common/maskApi.c, rleToString).
#pragma once

#include "float_math.h"

namespace segrt {
namespace {

// Run i is told as its difference to run i - 2, from the fourth on.
constexpr std::int32_t kToldWhole = 3;

// The longest spelling of a run of fewer than 2^31 pixels.
constexpr std::int32_t kMostBytes = 7;

// Groups of 5 bits, the lowest first, from character 48 on; 32 is added to all but the last. Calls write(character)
// for each.
template <class Write>
SEGRT_SHARED void spell_number(std::int64_t rest, Write&& write) {
    bool more = true;
    while (more) {
        auto group = static_cast<std::uint32_t>(rest & 0x1F);
        rest >>= 5;
        more = (group & 0x10U) != 0 ? rest != -1 : rest != 0;
        group |= more ? 0x20U : 0U;
        write(static_cast<char>(group + 48));
    }
}

}  // namespace
}  // namespace segrt
