// The runs of equal ids in the rows of a label map: what is done once a run need not be done for each pixel.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "kernels.h"
#include "scratch.h"
#include "views.h"

namespace segrt {

// Calls run(y, begin, end, id) for each run of pixels [begin, end) of the rows [top, bottom) of `map`, in order; its
// ids are T.
template <class T, class Run>
void for_runs_of(const ClassMap& map, Index top, Index bottom, Run&& run) {
    ScratchFrame frame;
    const std::span<std::uint64_t> bits = frame.take<std::uint64_t>((map.width + 63) / 64);
    const std::span<T> copy = frame.take<T>(map.width);
    for (Index y = top; y < bottom; ++y) {
        const std::byte* bytes = map.data + y * map.strides[0];
        const T* row = copy.data();
        if (map.strides[1] == static_cast<Index>(sizeof(T)) &&
            reinterpret_cast<std::uintptr_t>(bytes) % alignof(T) == 0) {
            row = reinterpret_cast<const T*>(bytes);
        } else {
            for (Index x = 0; x < map.width; ++x) {
                std::memcpy(&copy[static_cast<std::size_t>(x)], bytes + x * map.strides[1], sizeof(T));
            }
        }
        if constexpr (std::is_same_v<T, std::uint8_t>) {
            kernels().changes8(row, map.width, bits.data());
        } else if constexpr (std::is_same_v<T, std::uint16_t>) {
            kernels().changes16(row, map.width, bits.data());
        } else {
            kernels().changes32(row, map.width, bits.data());
        }
        Index begin = 0, word_at = 0;
        for (std::uint64_t word : bits) {
            for (; word != 0; word &= word - 1) {
                const Index end = word_at + std::countr_zero(word) + 1;
                run(y, begin, end, static_cast<std::int32_t>(row[begin]));
                begin = end;
            }
            word_at += 64;
        }
        run(y, begin, map.width, static_cast<std::int32_t>(row[begin]));
    }
}

// The same for a map of uint8, uint16 or int32; `name` is what it is called where it is refused.
template <class Run>
void for_runs(const ClassMap& map, const char* name, Index top, Index bottom, Run&& run) {
    if (map.width < 1) {
        return;
    }
    switch (map.item_size) {
        case 1:
            return for_runs_of<std::uint8_t>(map, top, bottom, run);
        case 2:
            return for_runs_of<std::uint16_t>(map, top, bottom, run);
        case 4:
            return for_runs_of<std::int32_t>(map, top, bottom, run);
        default:
            throw std::invalid_argument(std::string(name) + " must be uint8, uint16 or int32");
    }
}

}  // namespace segrt
