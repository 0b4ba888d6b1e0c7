// From a picture to a network's input, one pixel of the input a thread: preprocess.cpp (bilinear, not rounded in
// between), and OpenCV's exact resizes (nearest, and bilinear of bytes in fixed point). The picture is read from the L2
// cache, into which it was just copied; what is written bounds these kernels.
#include "picture.h"

namespace segrt {
namespace {

constexpr int kColumns = 32, kRows = 8;  // of threads in a block

// Calls shown(y, x) with the pixel's place in the window, or pads.
template <class T, class F>
SEGRT_SHARED void for_pixel(const PictureInput& input, F&& shown) {
    const auto x = static_cast<std::int32_t>(blockIdx.x * kColumns + threadIdx.x);
    const auto y = static_cast<std::int32_t>(blockIdx.y * kRows + threadIdx.y);
    const Placement& placement = input.placement;
    if (x >= placement.width || y >= placement.height) {
        return;
    }
    if (placement.shows(y, x)) {
        shown(y, x);
    } else {
        put_padding<T>(input, y, x);
    }
}

// Down first, then across, as resize_normalize.
template <class T>
SEGRT_SHARED void picture_linear(const PictureInput& input, const Pixels& pixels, const AxisMap& rows,
                                 const AxisMap& columns) {
    for_pixel<T>(input, [&](std::int32_t y, std::int32_t x) {
        const Tap row = rows.at(y - input.placement.top), column = columns.at(x - input.placement.left);
        const std::uint8_t* above_left = pixels.at(row.low, column.low);
        const std::uint8_t* above_right = pixels.at(row.low, column.high);
        const std::uint8_t* below_left = pixels.at(row.high, column.low);
        const std::uint8_t* below_right = pixels.at(row.high, column.high);
        float values[3];
        for (int c = 0; c < 3; ++c) {
            const float left = lerp(above_left[c], row.low_weight, below_left[c], row.high_weight);
            const float right = lerp(above_right[c], row.low_weight, below_right[c], row.high_weight);
            values[c] = lerp(left, column.low_weight, right, column.high_weight);
        }
        put_pixel<T>(input, y, x, values);
    });
}

// Which source row or column each of the window shows is in tables.
template <class T>
SEGRT_SHARED void picture_nearest(const PictureInput& input, const Pixels& pixels, const std::int32_t* rows,
                                  const std::int32_t* columns) {
    for_pixel<T>(input, [&](std::int32_t y, std::int32_t x) {
        put_pixel<T>(input, y, x,
                     pixels.at(__ldg(rows + y - input.placement.top), __ldg(columns + x - input.placement.left)));
    });
}

// Two neighbours and their weights, 8 bits of fraction, which add up to 256.
struct FixedTap {
    std::int32_t low, high, low_weight, high_weight;
};

// Across first, which is exact, then down, rounded in the end.
SEGRT_SHARED void picture_fixed(const PictureInput& input, const Pixels& pixels, const FixedTap* rows,
                                const FixedTap* columns) {
    for_pixel<std::uint8_t>(input, [&](std::int32_t y, std::int32_t x) {
        const FixedTap row = rows[y - input.placement.top], column = columns[x - input.placement.left];
        const std::uint8_t* above_left = pixels.at(row.low, column.low);
        const std::uint8_t* above_right = pixels.at(row.low, column.high);
        const std::uint8_t* below_left = pixels.at(row.high, column.low);
        const std::uint8_t* below_right = pixels.at(row.high, column.high);
        std::uint8_t values[3];
        for (int c = 0; c < 3; ++c) {
            const std::int32_t above = above_left[c] * column.low_weight + above_right[c] * column.high_weight;
            const std::int32_t below = below_left[c] * column.low_weight + below_right[c] * column.high_weight;
            values[c] = static_cast<std::uint8_t>((above * row.low_weight + below * row.high_weight + (1 << 15)) >> 16);
        }
        put_pixel<std::uint8_t>(input, y, x, values);
    });
}

template <class T>
SEGRT_SHARED void valid_mask(T* target, const Placement& placement, T one) {
    const auto x = static_cast<std::int32_t>(blockIdx.x * kColumns + threadIdx.x);
    const auto y = static_cast<std::int32_t>(blockIdx.y * kRows + threadIdx.y);
    if (x < placement.width && y < placement.height) {
        target[static_cast<std::int64_t>(y) * placement.width + x] = placement.shows(y, x) ? one : T{0};
    }
}

}  // namespace
}  // namespace segrt

// Of all kernels here: grid (ceil(width / 32), ceil(height / 8)) of the input, block (32, 8).
extern "C" __global__ void picture_linear_float(segrt::PictureInput input, segrt::Pixels pixels, segrt::AxisMap rows,
                                                segrt::AxisMap columns) {
    segrt::picture_linear<float>(input, pixels, rows, columns);
}
SEGRT_KERNEL(picture_linear_float)

extern "C" __global__ void picture_linear_half(segrt::PictureInput input, segrt::Pixels pixels, segrt::AxisMap rows,
                                               segrt::AxisMap columns) {
    segrt::picture_linear<segrt::Half>(input, pixels, rows, columns);
}
SEGRT_KERNEL(picture_linear_half)

extern "C" __global__ void picture_nearest_float(segrt::PictureInput input, segrt::Pixels pixels,
                                                 const std::int32_t* rows, const std::int32_t* columns) {
    segrt::picture_nearest<float>(input, pixels, rows, columns);
}
SEGRT_KERNEL(picture_nearest_float)

extern "C" __global__ void picture_nearest_half(segrt::PictureInput input, segrt::Pixels pixels,
                                                const std::int32_t* rows, const std::int32_t* columns) {
    segrt::picture_nearest<segrt::Half>(input, pixels, rows, columns);
}
SEGRT_KERNEL(picture_nearest_half)

extern "C" __global__ void picture_nearest_byte(segrt::PictureInput input, segrt::Pixels pixels,
                                                const std::int32_t* rows, const std::int32_t* columns) {
    segrt::picture_nearest<std::uint8_t>(input, pixels, rows, columns);
}
SEGRT_KERNEL(picture_nearest_byte)

extern "C" __global__ void picture_fixed_byte(segrt::PictureInput input, segrt::Pixels pixels,
                                              const segrt::FixedTap* rows, const segrt::FixedTap* columns) {
    segrt::picture_fixed(input, pixels, rows, columns);
}
SEGRT_KERNEL(picture_fixed_byte)

// `one` is the number 1 in the mask's type, of so many bytes.
extern "C" __global__ void valid_mask_1(std::uint8_t* target, segrt::Placement placement, std::uint8_t one) {
    segrt::valid_mask(target, placement, one);
}
SEGRT_KERNEL(valid_mask_1)

extern "C" __global__ void valid_mask_2(std::uint16_t* target, segrt::Placement placement, std::uint16_t one) {
    segrt::valid_mask(target, placement, one);
}
SEGRT_KERNEL(valid_mask_2)

extern "C" __global__ void valid_mask_4(std::uint32_t* target, segrt::Placement placement, std::uint32_t one) {
    segrt::valid_mask(target, placement, one);
}
SEGRT_KERNEL(valid_mask_4)

extern "C" __global__ void valid_mask_8(std::uint64_t* target, segrt::Placement placement, std::uint64_t one) {
    segrt::valid_mask(target, placement, one);
}
SEGRT_KERNEL(valid_mask_8)
