// Weighted sums of rows for several classes at once: the sums of a tile stay in registers while the rows pass.
// Compilers do not keep an array there by themselves. See fast_table.h for how this file is compiled.
#pragma once

#include <cstring>

#include "float_math.h"
#include "kernels/wide.h"
#include "views.h"

namespace segrt {
namespace {

constexpr Index kTileClasses = 4;
#if defined(__AVX512F__)
constexpr Index kTile = 64;
#elif defined(__aarch64__)
constexpr Index kTile = 32;
#elif defined(__AVX2__)
constexpr Index kTile = 24;
#else
constexpr Index kTile = 16;
#endif

// out[c * out_stride + x] = sum over i of weights[i * weight_stride + c] * rows[i * row_stride + x] for c <
// kTileClasses, x < kTile, in this order, each step fused.
inline void combine_tile(const float* weights, Index weight_stride, const float* rows, Index row_stride, Index count,
                         float* out, Index out_stride) {
#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))
    constexpr Index kRegisters = kTile / kWide;
    WideFloat sums[kTileClasses][kRegisters] = {};
    for (Index i = 0; i < count; ++i) {
        const float* weight = weights + i * weight_stride;
        WideFloat row[kRegisters];
        for (Index j = 0; j < kRegisters; ++j) {
            row[j] = wide_load(rows + i * row_stride + j * kWide);
        }
        for (Index c = 0; c < kTileClasses; ++c) {
            for (Index j = 0; j < kRegisters; ++j) {
                sums[c][j] = wide_fused(wide_all(weight[c]), row[j], sums[c][j]);
            }
        }
    }
    for (Index c = 0; c < kTileClasses; ++c) {
        for (Index j = 0; j < kRegisters; ++j) {
            wide_store(out + c * out_stride + j * kWide, sums[c][j]);
        }
    }
#else
    float sums[kTileClasses][kTile] = {};
    for (Index i = 0; i < count; ++i) {
        const float* weight = weights + i * weight_stride;
        const float* row = rows + i * row_stride;
        for (Index c = 0; c < kTileClasses; ++c) {
            for (Index j = 0; j < kTile; ++j) {
                sums[c][j] = fused(weight[c], row[j], sums[c][j]);
            }
        }
    }
    for (Index c = 0; c < kTileClasses; ++c) {
        std::memcpy(out + c * out_stride, sums[c], sizeof sums[c]);
    }
#endif
}

}  // namespace
}  // namespace segrt
