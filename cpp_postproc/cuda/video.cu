// Decoded video on the GPU: NV12, as NVDEC gives it, to the BGR that pictures are made of.
//
// The arithmetic is that of swscale's yuv420p to bgr24 on x86-64 (libswscale/x86/yuv_2_rgb.asm), so that a picture has
// the same bits wherever it is decoded: 16-bit products of which the upper half is kept, one chroma for 2x2 pixels.
#include "device.h"

namespace segrt {
namespace {

// Rows of `luma` and of the interleaved `chroma` lie `luma_pitch` and `chroma_pitch` bytes apart; even sides.
struct Nv12 {
    const std::uint8_t* luma;
    const std::uint8_t* chroma;
    std::int32_t luma_pitch, chroma_pitch, height, width;
};

// In 1/8192: of luma less its offset (times 8), and of chroma less 128 (times 8).
struct YuvMatrix {
    std::int32_t luma_offset, luma, red_v, green_u, green_v, blue_u;
};

SEGRT_SHARED std::int32_t upper_half(std::int32_t value, std::int32_t factor) {
    return (value * factor) >> 16;
}

SEGRT_SHARED std::uint8_t to_byte(std::int32_t value) {
    return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

// Four pixels, 2x2, a thread.
SEGRT_SHARED void bgr_of_nv12(const Nv12& picture, const YuvMatrix& matrix, std::uint8_t* bgr) {
    const auto x = static_cast<std::int32_t>(blockIdx.x * 32 + threadIdx.x) * 2;
    const auto y = static_cast<std::int32_t>(blockIdx.y * 8 + threadIdx.y) * 2;
    if (x >= picture.width || y >= picture.height) {
        return;
    }
    const std::uint8_t* chroma = picture.chroma + static_cast<std::int64_t>(y / 2) * picture.chroma_pitch + x;
    const std::int32_t u = chroma[0] * 8 - 1024, v = chroma[1] * 8 - 1024;
    const std::int32_t blue = upper_half(u, matrix.blue_u), red = upper_half(v, matrix.red_v);
    const std::int32_t green = upper_half(u, matrix.green_u) + upper_half(v, matrix.green_v);
    for (std::int32_t row = y; row < y + 2; ++row) {
        const std::uint8_t* luma = picture.luma + static_cast<std::int64_t>(row) * picture.luma_pitch + x;
        std::uint8_t* out = bgr + (static_cast<std::int64_t>(row) * picture.width + x) * 3;
        for (int i = 0; i < 2; ++i) {
            const std::int32_t base = upper_half(luma[i] * 8 - matrix.luma_offset, matrix.luma);
            out[i * 3] = to_byte(base + blue);
            out[i * 3 + 1] = to_byte(base + green);
            out[i * 3 + 2] = to_byte(base + red);
        }
    }
}

}  // namespace
}  // namespace segrt

// Grid (ceil(width / 64), ceil(height / 16)), block (32, 8). `bgr`: uint8 (height, width, 3), without gaps.
extern "C" __global__ void bgr_of_nv12(segrt::Nv12 picture, segrt::YuvMatrix matrix, std::uint8_t* bgr) {
    segrt::bgr_of_nv12(picture, matrix, bgr);
}
SEGRT_KERNEL(bgr_of_nv12)

// `samples`: uint8 (rows, columns, 3) = bgr[::row_step, ::column_step] of a picture of `width` columns.
// Grid (ceil(columns / 32), ceil(rows / 8)), block (32, 8).
extern "C" __global__ void every_pixel(const std::uint8_t* bgr, std::int32_t width, std::int32_t row_step,
                                       std::int32_t column_step, std::uint8_t* samples, std::int32_t rows,
                                       std::int32_t columns) {
    const auto x = static_cast<std::int32_t>(blockIdx.x * 32 + threadIdx.x);
    const auto y = static_cast<std::int32_t>(blockIdx.y * 8 + threadIdx.y);
    if (x >= columns || y >= rows) {
        return;
    }
    const std::uint8_t* from = bgr + (static_cast<std::int64_t>(y) * row_step * width + x * column_step) * 3;
    std::uint8_t* to = samples + (static_cast<std::int64_t>(y) * columns + x) * 3;
    for (int c = 0; c < 3; ++c) {
        to[c] = from[c];
    }
}
SEGRT_KERNEL(every_pixel)
