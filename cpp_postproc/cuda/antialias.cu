// antialias.cpp on the GPU: Pillow's filters over bytes, across, rounded to bytes, then down, and the values normalised
// into the input. A block makes a tile of the input: it filters the source rows that the tile needs across into shared
// memory, some at a time, and adds them up downwards in registers. Reading the picture's bytes bounds it; what
// neighbouring tiles read twice is the filter's reach, a few rows of each tile.
#include "picture.h"

namespace segrt {
namespace {

constexpr int kColumns = 32, kRows = 8;  // of threads in a block
constexpr int kRowsEach = 2;             // of the tile, for each thread, kRows apart
constexpr int kTileRows = kRows * kRowsEach;
constexpr int kSourceRows = 48;  // in shared memory at a time
constexpr int kWeightBits = 22;  // of fraction

// Source positions [first, first + count) of each target position, and their weights, [tap][target].
struct Filter {
    const std::int32_t* first;
    const std::int32_t* count;
    const std::int32_t* weights;
    std::int32_t targets, unused;
};

SEGRT_SHARED std::uint8_t rounded(std::int32_t sum) {
    const std::int32_t value = sum >> kWeightBits;
    return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

// Filters `rows` source rows from `begin` on across, for the thread's column of the window.
SEGRT_SHARED void filter_across(const Pixels& pixels, const Filter& columns, std::int32_t column, std::int32_t begin,
                                std::int32_t rows, std::uint8_t (*wide)[3][kColumns]) {
    const std::int32_t first = __ldg(columns.first + column), count = __ldg(columns.count + column);
    for (auto r = static_cast<std::int32_t>(threadIdx.y); r < rows; r += kRows) {
        const std::uint8_t* pixel = pixels.at(begin + r, first);
        std::int32_t sums[3] = {1 << (kWeightBits - 1), 1 << (kWeightBits - 1), 1 << (kWeightBits - 1)};
        for (std::int32_t k = 0; k < count; ++k, pixel += 3) {
            const std::int32_t weight =
                __ldg(columns.weights + static_cast<std::int64_t>(k) * columns.targets + column);
            for (int c = 0; c < 3; ++c) {
                sums[c] += weight * __ldg(pixel + c);
            }
        }
        for (int c = 0; c < 3; ++c) {
            wide[r][c][threadIdx.x] = rounded(sums[c]);
        }
    }
}

// Adds what rows [begin, end) of the source, which are in `wide`, give to row `y` of the window.
SEGRT_SHARED void add_down(const Filter& rows, std::int32_t y, std::int32_t begin, std::int32_t end,
                           const std::uint8_t (*wide)[3][kColumns], std::int32_t* sums) {
    const std::int32_t first = __ldg(rows.first + y), last = first + __ldg(rows.count + y);
    for (std::int32_t row = max(first, begin); row < min(last, end); ++row) {
        const std::int32_t weight = __ldg(rows.weights + static_cast<std::int64_t>(row - first) * rows.targets + y);
        for (int c = 0; c < 3; ++c) {
            sums[c] += weight * wide[row - begin][c][threadIdx.x];
        }
    }
}

template <class T>
SEGRT_SHARED void picture_filter(const PictureInput& input, const Pixels& pixels, const Filter& rows,
                                 const Filter& columns) {
    __shared__ std::uint8_t wide[kSourceRows][3][kColumns];
    const Placement& placement = input.placement;
    const auto x = static_cast<std::int32_t>(blockIdx.x * kColumns + threadIdx.x);
    const auto y0 = static_cast<std::int32_t>(blockIdx.y * kTileRows);
    const std::int32_t column = x - placement.left;
    const bool has_column = column >= 0 && column < placement.inner_width;
    // The tile's rows of the window, and the source rows under them.
    const std::int32_t top = max(y0 - placement.top, 0);
    const std::int32_t bottom = min(y0 + kTileRows - placement.top, placement.inner_height);
    const std::int32_t begin = top < bottom ? rows.first[top] : 0;
    const std::int32_t end = top < bottom ? rows.first[bottom - 1] + rows.count[bottom - 1] : 0;
    std::int32_t sums[kRowsEach][3];
    for (auto& of_row : sums) {
        for (std::int32_t& sum : of_row) {
            sum = 1 << (kWeightBits - 1);
        }
    }
    for (std::int32_t from = begin; from < end; from += kSourceRows) {
        const std::int32_t to = min(from + kSourceRows, end);
        if (has_column) {
            filter_across(pixels, columns, column, from, to - from, wide);
        }
        __syncthreads();
        for (int part = 0; part < kRowsEach; ++part) {
            const std::int32_t y = y0 + static_cast<std::int32_t>(part * kRows + threadIdx.y) - placement.top;
            if (has_column && y >= 0 && y < placement.inner_height) {
                add_down(rows, y, from, to, wide, sums[part]);
            }
        }
        __syncthreads();
    }
    for (int part = 0; part < kRowsEach; ++part) {
        const auto y = y0 + static_cast<std::int32_t>(part * kRows + threadIdx.y);
        if (x >= placement.width || y >= placement.height) {
            continue;
        }
        if (placement.shows(y, x)) {
            const std::uint8_t values[3] = {rounded(sums[part][0]), rounded(sums[part][1]), rounded(sums[part][2])};
            put_pixel<T>(input, y, x, values);
        } else {
            put_padding<T>(input, y, x);
        }
    }
}

}  // namespace
}  // namespace segrt

// Grid (ceil(width / 32), ceil(height / 16)) of the input, block (32, 8).
extern "C" __global__ void picture_filter_float(segrt::PictureInput input, segrt::Pixels pixels, segrt::Filter rows,
                                                segrt::Filter columns) {
    segrt::picture_filter<float>(input, pixels, rows, columns);
}
SEGRT_KERNEL(picture_filter_float)

extern "C" __global__ void picture_filter_half(segrt::PictureInput input, segrt::Pixels pixels, segrt::Filter rows,
                                               segrt::Filter columns) {
    segrt::picture_filter<segrt::Half>(input, pixels, rows, columns);
}
SEGRT_KERNEL(picture_filter_half)

extern "C" __global__ void picture_filter_byte(segrt::PictureInput input, segrt::Pixels pixels, segrt::Filter rows,
                                               segrt::Filter columns) {
    segrt::picture_filter<std::uint8_t>(input, pixels, rows, columns);
}
SEGRT_KERNEL(picture_filter_byte)
