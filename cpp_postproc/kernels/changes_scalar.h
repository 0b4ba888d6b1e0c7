// The readable version of changes_fast.h.
#pragma once

#include <algorithm>
#include <cstdint>

#include "views.h"

namespace segrt {
namespace {

template <class T>
void row_changes(const T* row, Index count, std::uint64_t* bits) {
    std::fill_n(bits, (count + 63) / 64, std::uint64_t{0});
    for (Index x = 0; x + 1 < count; ++x) {
        bits[x / 64] |= std::uint64_t{row[x] != row[x + 1]} << (x % 64);
    }
}

}  // namespace
}  // namespace segrt
