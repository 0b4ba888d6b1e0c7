// rle.cpp on the GPU: from masks as bits to the places where they change, column after column, and on to COCO's codes.
// What bounds it is reading the bits, an eighth of a byte a pixel, twice.
#include "block.h"
#include "mask_bits.h"
#include "rle_number.h"

namespace segrt {
namespace {

// What is found of each mask.
struct MaskTables {
    std::int32_t* changes;        // how often it changes
    std::int32_t* bytes;          // of its code
    PixelRect* box;               // of its pixels; empty without any
    std::int32_t* column_places;  // [mask][x]: changes before column x, for columns of the reach and one more
};

constexpr std::int32_t kFar = 0x7FFFFFFF;

// Calls change(row) for every row of column x where the mask differs from the pixel before, which for row 0 is the last
// of the column before. x may be one beyond the reach.
template <class Change>
SEGRT_SHARED void walk_column(const MaskBits& bits, std::int32_t mask, PixelRect reach, std::int32_t x,
                              Change&& change) {
    const std::int32_t first = reach.top / kWordRows, end = (reach.bottom - 1) / kWordRows + 1;
    const std::int32_t last_bit = (bits.height - 1) % kWordRows;
    const bool to_the_bottom = end == bits.rows_of_words();
    std::uint32_t inside = 0;
    if (x > reach.left && to_the_bottom) {
        inside = bits.row(mask, end - 1)[x - 1] >> last_bit & 1U;
    }
    if (inside != 0 && (first > 0 || x >= reach.right)) {
        change(0);
        inside = 0;
    }
    for (std::int32_t word_row = first; word_row < end && x < reach.right; ++word_row) {
        const std::uint32_t word = bits.row(mask, word_row)[x];
        std::uint32_t differing = word ^ (word << 1U | inside);
        differing &= bits_between(0, bits.height - word_row * kWordRows);
        inside = word >> 31U;
        while (differing != 0) {
            change(word_row * kWordRows + __ffs(differing) - 1);
            differing &= differing - 1;
        }
    }
    if (inside != 0 && !to_the_bottom && x < reach.right) {
        change(end * kWordRows);
    }
}

// The rows [top, bottom) between the column's first and last pixel.
SEGRT_SHARED void column_extent(const MaskBits& bits, std::int32_t mask, PixelRect reach, std::int32_t x,
                                std::int32_t& top, std::int32_t& bottom) {
    top = kFar;
    bottom = 0;
    const std::int32_t end = (reach.bottom - 1) / kWordRows + 1;
    for (std::int32_t word_row = reach.top / kWordRows; word_row < end; ++word_row) {
        const std::uint32_t word = bits.row(mask, word_row)[x];
        if (word != 0) {
            top = min(top, word_row * kWordRows + __ffs(word) - 1);
            bottom = word_row * kWordRows + kWordRows - __clz(word);
        }
    }
}

SEGRT_SHARED std::int32_t columns_walked(const MaskBits& bits, PixelRect reach) {
    return reach.empty() ? 0 : min(reach.right + 1, bits.width) - reach.left;
}

// The length of run i, and what is told of it. `places` are the mask's changes.
SEGRT_SHARED std::int64_t told(const std::uint32_t* places, std::int32_t changes, std::int64_t pixels, std::int32_t i) {
    const auto end = [&](std::int32_t run) -> std::int64_t {
        return run < 0 ? 0 : (run < changes ? static_cast<std::int64_t>(places[run]) : pixels);
    };
    const std::int64_t length = end(i) - end(i - 1);
    return i >= kToldWhole ? length - (end(i - 2) - end(i - 3)) : length;
}

}  // namespace
}  // namespace segrt

// Grid (masks), block (1024). Counts the changes of each column, of columns before it, and of the mask; finds its box.
extern "C" __global__ void __launch_bounds__(1024)
    count_changes(segrt::MaskBits bits, segrt::MaskTables tables, const std::int32_t* count) {
    using namespace segrt;
    const auto mask = static_cast<std::int32_t>(blockIdx.x);
    if (mask >= *count) {
        return;
    }
    const auto thread = static_cast<std::int32_t>(threadIdx.x), threads = static_cast<std::int32_t>(blockDim.x);
    const PixelRect reach = bits.reach[mask];
    const std::int32_t columns = columns_walked(bits, reach);
    std::int32_t* places = tables.column_places + static_cast<std::int64_t>(mask) * bits.width;
    __shared__ PixelRect box;
    if (thread == 0) {
        box = {kFar, kFar, 0, 0};
    }
    __syncthreads();
    PixelRect own = {kFar, kFar, 0, 0};
    std::int32_t found = 0;
    for (std::int32_t begin = 0; begin < columns; begin += threads) {
        const std::int32_t x = reach.left + begin + thread;
        std::int32_t changes = 0, top = kFar, bottom = 0;
        if (begin + thread < columns) {
            walk_column(bits, mask, reach, x, [&](std::int32_t) { ++changes; });
            if (x < reach.right) {
                column_extent(bits, mask, reach, x, top, bottom);
            }
        }
        own.left = min(own.left, bottom > 0 ? x : kFar);
        own.right = max(own.right, bottom > 0 ? x + 1 : 0);
        own.top = min(own.top, top);
        own.bottom = max(own.bottom, bottom);
        const Place place = block_place(changes);
        if (begin + thread < columns) {
            places[x] = found + place.before;
        }
        found += place.all;
    }
    own = {warp_least(own.left), warp_least(own.top), warp_most(own.right), warp_most(own.bottom)};
    if (lane_of_thread() == 0) {
        atomicMin(&box.left, own.left);
        atomicMin(&box.top, own.top);
        atomicMax(&box.right, own.right);
        atomicMax(&box.bottom, own.bottom);
    }
    __syncthreads();
    if (thread == 0) {
        tables.changes[mask] = found;
        tables.box[mask] = box.right == 0 ? PixelRect{0, 0, 0, 0} : box;
    }
}
SEGRT_KERNEL(count_changes)

// Grid (ceil((width + 1) / 256), masks), block (256). Writes the changes' places, pixel counts down the columns, mask
// after mask, as far as there is room.
extern "C" __global__ void write_changes(segrt::MaskBits bits, segrt::MaskTables tables, const std::int32_t* count,
                                         std::uint32_t* places, std::int32_t room) {
    using namespace segrt;
    const auto mask = static_cast<std::int32_t>(blockIdx.y);
    if (mask >= *count) {
        return;
    }
    const PixelRect reach = bits.reach[mask];
    const auto nth = static_cast<std::int32_t>(blockIdx.x * blockDim.x + threadIdx.x);
    if (static_cast<std::int32_t>(blockIdx.x * blockDim.x) >= columns_walked(bits, reach)) {
        return;
    }
    std::int32_t at = warp_sum_of(tables.changes, mask);
    if (nth >= columns_walked(bits, reach)) {
        return;
    }
    const std::int32_t x = reach.left + nth;
    at += tables.column_places[static_cast<std::int64_t>(mask) * bits.width + x];
    const std::uint32_t first = static_cast<std::uint32_t>(x) * static_cast<std::uint32_t>(bits.height);
    walk_column(bits, mask, reach, x, [&](std::int32_t row) {
        if (at < room) {
            places[at] = first + static_cast<std::uint32_t>(row);
        }
        ++at;
    });
}
SEGRT_KERNEL(write_changes)

// Grid (masks), block (1024). The bytes of each mask's code; those of a mask without room for its changes are 0.
extern "C" __global__ void __launch_bounds__(1024)
    measure_codes(segrt::MaskBits bits, segrt::MaskTables tables, const std::int32_t* count,
                  const std::uint32_t* places, std::int32_t room) {
    using namespace segrt;
    const auto mask = static_cast<std::int32_t>(blockIdx.x);
    if (mask >= *count) {
        return;
    }
    const std::int32_t first = warp_sum_of(tables.changes, mask), changes = tables.changes[mask];
    const std::int64_t pixels = static_cast<std::int64_t>(bits.height) * bits.width;
    const std::int32_t runs = first + changes <= room ? changes + 1 : 0;
    std::int32_t bytes = 0;
    for (auto i = static_cast<std::int32_t>(threadIdx.x); i < runs; i += static_cast<std::int32_t>(blockDim.x)) {
        spell_number(told(places + first, changes, pixels, i), [&](char) { ++bytes; });
    }
    const Place place = block_place(bytes);
    if (threadIdx.x == 0) {
        tables.bytes[mask] = place.all;
    }
}
SEGRT_KERNEL(measure_codes)

// Grid (masks), block (1024). Writes the codes, mask after mask, as far as there is room.
extern "C" __global__ void __launch_bounds__(1024)
    write_codes(segrt::MaskBits bits, segrt::MaskTables tables, const std::int32_t* count, const std::uint32_t* places,
                char* codes, std::int32_t code_room) {
    using namespace segrt;
    const auto mask = static_cast<std::int32_t>(blockIdx.x);
    if (mask >= *count || tables.bytes[mask] == 0) {
        return;
    }
    const std::int32_t first = warp_sum_of(tables.changes, mask), changes = tables.changes[mask];
    const std::int64_t pixels = static_cast<std::int64_t>(bits.height) * bits.width;
    std::int32_t at = warp_sum_of(tables.bytes, mask);
    for (std::int32_t begin = 0; begin <= changes; begin += static_cast<std::int32_t>(blockDim.x)) {
        const std::int32_t i = begin + static_cast<std::int32_t>(threadIdx.x);
        char spelled[kMostBytes] = {};
        std::int32_t bytes = 0;
        if (i <= changes) {
            spell_number(told(places + first, changes, pixels, i),
                         [&](char character) { spelled[bytes++] = character; });
        }
        const Place place = block_place(bytes);
        for (std::int32_t b = 0; b < bytes; ++b) {
            if (at + place.before + b < code_room) {
                codes[at + place.before + b] = spelled[b];
            }
        }
        at += place.all;
    }
}
SEGRT_KERNEL(write_codes)
