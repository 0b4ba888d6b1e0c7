// A picture on its way into a network: where it lies, and how its values are written.
#pragma once

#include "axis.h"
#include "heads.h"

namespace segrt {
namespace {

// Where the picture lies in the input, in network pixels.
struct Placement {
    std::int32_t height, width, top, left, inner_height, inner_width;

    [[nodiscard]] SEGRT_SHARED bool shows(std::int32_t y, std::int32_t x) const {
        return y >= top && y < top + inner_height && x >= left && x < left + inner_width;
    }
};

// One place of the batch of an input. Channel c of pixel (y, x) is element c * channel_stride + y * row_stride +
// x * pixel_stride of `target`.
struct PictureInput {
    void* target;
    Placement placement;
    std::int32_t channel_stride, row_stride, pixel_stride;
    std::int32_t swap_rb;        // whether channel c comes from the picture's channel 2 - c
    float factor[3], offset[3];  // of the target's channels: value * factor + offset
    std::uint32_t padding[3];    // bits of what stands around the picture
};

// uint8 (height, width, 3), without gaps.
struct Pixels {
    const std::uint8_t* data;
    std::int32_t height, width;

    [[nodiscard]] SEGRT_SHARED const std::uint8_t* at(std::int32_t y, std::int32_t x) const {
        return data + (static_cast<std::int64_t>(y) * width + x) * 3;
    }
};

// The nearest half, of two equally near the even one, as IEEE says.
SEGRT_SHARED Half to_half(float value) {
    const std::uint32_t bits = __float_as_uint(value);
    const std::uint32_t sign = bits >> 16U & 0x8000U, magnitude = bits & 0x7FFFFFFFU;
    if (magnitude >= 0x47800000U) {  // 65536 and beyond
        return {static_cast<std::uint16_t>(sign | (magnitude > 0x7F800000U ? 0x7E00U : 0x7C00U))};
    }
    if (magnitude < 0x38800000U) {  // a multiple of 2^-24: what is added to 0.5 is rounded to such
        return {static_cast<std::uint16_t>(sign | (__float_as_uint(__uint_as_float(magnitude) + 0.5F) - 0x3F000000U))};
    }
    const std::uint32_t rounded = magnitude + 0xFFFU + (magnitude >> 13U & 1U);
    return {static_cast<std::uint16_t>(sign | (rounded - 0x38000000U) >> 13U)};
}

SEGRT_SHARED void put(float value, float factor, float offset, float* out) {
    *out = fused(value, factor, offset);
}

SEGRT_SHARED void put(float value, float factor, float offset, Half* out) {
    *out = to_half(fused(value, factor, offset));
}

SEGRT_SHARED void put(std::uint8_t value, float factor, float offset, float* out) {
    put(static_cast<float>(value), factor, offset, out);
}

SEGRT_SHARED void put(std::uint8_t value, float factor, float offset, Half* out) {
    put(static_cast<float>(value), factor, offset, out);
}

SEGRT_SHARED void put(std::uint8_t value, float, float, std::uint8_t* out) {
    *out = value;
}

SEGRT_SHARED void put_bits(std::uint32_t bits, float* out) {
    *out = __uint_as_float(bits);
}

SEGRT_SHARED void put_bits(std::uint32_t bits, Half* out) {
    *out = {static_cast<std::uint16_t>(bits)};
}

SEGRT_SHARED void put_bits(std::uint32_t bits, std::uint8_t* out) {
    *out = static_cast<std::uint8_t>(bits);
}

// Writes pixel (y, x) of the input; `values` are in the picture's order of channels.
template <class T, class Value>
SEGRT_SHARED void put_pixel(const PictureInput& input, std::int32_t y, std::int32_t x, const Value* values) {
    T* out = static_cast<T*>(input.target) + static_cast<std::int64_t>(y) * input.row_stride + x * input.pixel_stride;
    for (int c = 0; c < 3; ++c) {
        const Value value = input.swap_rb != 0 ? values[2 - c] : values[c];  // which stay in registers
        put(value, input.factor[c], input.offset[c], out + static_cast<std::int64_t>(c) * input.channel_stride);
    }
}

template <class T>
SEGRT_SHARED void put_padding(const PictureInput& input, std::int32_t y, std::int32_t x) {
    T* out = static_cast<T*>(input.target) + static_cast<std::int64_t>(y) * input.row_stride + x * input.pixel_stride;
    for (int c = 0; c < 3; ++c) {
        put_bits(input.padding[c], out + static_cast<std::int64_t>(c) * input.channel_stride);
    }
}

}  // namespace
}  // namespace segrt
