// When a query of a merge stands: the rule of every merge but DETR's own.
#pragma once

#include "float_math.h"

namespace segrt {
namespace {

// Enough of the query's own mask must be left. The ratio is a float32 compared as double, as torch's item() gives.
SEGRT_SHARED bool is_enough_left(std::int64_t labelled, std::int64_t original, std::int64_t visible,
                                 double overlap_threshold) {
    if (labelled == 0 || original == 0 || visible == 0) {
        return false;
    }
    const float ratio = static_cast<float>(labelled) / static_cast<float>(original);
    return static_cast<double>(ratio) > overlap_threshold;
}

}  // namespace
}  // namespace segrt
