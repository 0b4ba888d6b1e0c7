// Rows turned into columns. See fast_table.h for how this file is compiled.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "views.h"

namespace segrt {
namespace {

constexpr Index kTurned = 4;

// A square of kTurned x kTurned numbers.
inline void turn_square(const float* rows, Index row_stride, float* out, Index out_stride) {
#if defined(__x86_64__)
    __m128 a = _mm_loadu_ps(rows), b = _mm_loadu_ps(rows + row_stride);
    __m128 c = _mm_loadu_ps(rows + 2 * row_stride), d = _mm_loadu_ps(rows + 3 * row_stride);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(out, a);
    _mm_storeu_ps(out + out_stride, b);
    _mm_storeu_ps(out + 2 * out_stride, c);
    _mm_storeu_ps(out + 3 * out_stride, d);
#else
    for (Index x = 0; x < kTurned; ++x) {
        for (Index y = 0; y < kTurned; ++y) {
            out[x * out_stride + y] = rows[y * row_stride + x];
        }
    }
#endif
}

inline void turn(const float* rows, Index row_stride, Index height, Index width, float* out, Index out_stride) {
    const Index squares_down = height / kTurned * kTurned, squares_across = width / kTurned * kTurned;
    for (Index x = 0; x < squares_across; x += kTurned) {
        for (Index y = 0; y < squares_down; y += kTurned) {
            turn_square(rows + y * row_stride + x, row_stride, out + x * out_stride + y, out_stride);
        }
    }
    for (Index y = 0; y < height; ++y) {
        for (Index x = y < squares_down ? squares_across : 0; x < width; ++x) {
            out[x * out_stride + y] = rows[y * row_stride + x];
        }
    }
}

}  // namespace
}  // namespace segrt
