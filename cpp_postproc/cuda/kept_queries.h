// The queries that take part in a merge, as kernels hand them to each other and to the host.
#pragma once

#include "device.h"

namespace segrt {
namespace {

// `ScoredQuery` of the core.
struct KeptQuery {
    std::int32_t query, class_id;
    float score;
};

// How many queries are kept, and how many values of each head are not finite.
struct KeptCounts {
    std::int32_t kept, bad_classes, bad_masks;
};

}  // namespace
}  // namespace segrt
