// Where rows of label maps change. See fast_table.h for how this file is compiled.
#pragma once

#include <cstdint>

#include "kernels/bits_fast.h"

namespace segrt {
namespace {

template <class T>
inline void row_changes(const T* row, Index count, std::uint64_t* bits) {
    alignas(64) std::uint8_t differs[64];
    Index x = 0;
    for (; x + 64 < count; x += 64) {
        for (Index i = 0; i < 64; ++i) {
            if constexpr (sizeof(T) == 1) {
                differs[i] = static_cast<std::uint8_t>(row[x + i] ^ row[x + i + 1]);
            } else {
                differs[i] = row[x + i] != row[x + i + 1] ? 1 : 0;
            }
        }
        *bits++ = pack_word(differs);
    }
    std::uint64_t last = 0;
    for (Index i = 0; x + i + 1 < count; ++i) {
        last |= std::uint64_t{row[x + i] != row[x + i + 1]} << i;
    }
    *bits = last;
}

}  // namespace
}  // namespace segrt
