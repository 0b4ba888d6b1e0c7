// Strided views of the caller's arrays (the core never owns an input or an output), sizes and windows.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace segrt {

using Index = std::ptrdiff_t;

struct Size {
    Index height = 0, width = 0;
};

// The part of a source axis, in source pixels, that is shown by the whole output axis. The whole axis is [0, length).
struct Extent {
    double begin = 0, end = 0;
};

// The part of a grid that the target shows, in grid pixels.
struct Window {
    Extent rows, columns;
};

[[nodiscard]] inline Window whole_window(Size grid) {
    return {{0, static_cast<double>(grid.height)}, {0, static_cast<double>(grid.width)}};
}

enum class FloatType { float32, float16 };

// shape (count, height, width), strides in bytes and of any sign: a stack of float images, such as mask logits.
struct FloatStack {
    const std::byte* data = nullptr;
    FloatType type = FloatType::float32;
    Index count = 0, height = 0, width = 0;
    std::array<Index, 3> strides{};

    [[nodiscard]] const std::byte* row(Index image, Index y) const {
        return data + image * strides[0] + y * strides[1];
    }
};

// shape (rows, columns), strides in bytes: class logits, boxes, coefficients.
struct FloatTable {
    const std::byte* data = nullptr;
    FloatType type = FloatType::float32;
    Index rows = 0, columns = 0;
    std::array<Index, 2> strides{};

    [[nodiscard]] const std::byte* row(Index y) const { return data + y * strides[0]; }
};

// shape (count, height, width) of bytes that are 0 or not 0, strides in bytes.
struct MaskStack {
    const std::uint8_t* data = nullptr;
    Index count = 0, height = 0, width = 0;
    std::array<Index, 3> strides{};

    [[nodiscard]] const std::uint8_t* row(Index image, Index y) const {
        return data + image * strides[0] + y * strides[1];
    }

    // The row itself where its pixels are neighbours, otherwise a copy in `memory` (width bytes).
    [[nodiscard]] const std::uint8_t* contiguous_row(Index image, Index y, std::uint8_t* memory) const {
        const std::uint8_t* pixels = row(image, y);
        if (strides[2] == 1 || width == 1) {
            return pixels;
        }
        for (Index x = 0; x < width; ++x) {
            memory[x] = pixels[x * strides[2]];
        }
        return memory;
    }
};

// shape (height, width) of class ids, any integer type of 1, 2, 4 or 8 bytes, strides in bytes.
struct ClassMap {
    const std::byte* data = nullptr;
    Index item_size = 1;
    Index height = 0, width = 0;
    std::array<Index, 2> strides{};
};

// shape (height, width) to be written; the pixels of a row are contiguous, rows lie `stride` elements apart.
template <class T>
struct Map {
    T* data = nullptr;
    Index height = 0, width = 0, stride = 0;

    [[nodiscard]] T* row(Index y) const { return data + y * stride; }
};

template <class T>
void fill_map(const Map<T>& map, T value) {
    for (Index y = 0; y < map.height; ++y) {
        std::fill_n(map.row(y), map.width, value);
    }
}

}  // namespace segrt
