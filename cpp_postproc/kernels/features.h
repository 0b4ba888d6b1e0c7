// Instruction sets beyond those that every processor of the architecture has: what a file is compiled for, and what
// this processor runs. A table of kernels is chosen only where the second holds all of the first.
#pragma once

#include <cstdint>

namespace segrt {

enum Feature : std::uint32_t {
    popcnt = 1U << 0U,
    avx = 1U << 1U,
    avx2 = 1U << 2U,
    fma = 1U << 3U,
    f16c = 1U << 4U,
    bmi2 = 1U << 5U,
    avx512f = 1U << 6U,
    avx512bw = 1U << 7U,
    avx512dq = 1U << 8U,
    avx512vl = 1U << 9U,
};

struct NamedFeature {
    Feature feature;
    const char* name;  // as compilers' -m flags have it
};

constexpr NamedFeature kFeatures[] = {
    {Feature::popcnt, "popcnt"},     {Feature::avx, "avx"},           {Feature::avx2, "avx2"},
    {Feature::fma, "fma"},           {Feature::f16c, "f16c"},         {Feature::bmi2, "bmi2"},
    {Feature::avx512f, "avx512f"},   {Feature::avx512bw, "avx512bw"}, {Feature::avx512dq, "avx512dq"},
    {Feature::avx512vl, "avx512vl"},
};

// What the compiler was told for the file that includes this, by its own account: no list that could fall behind.
constexpr std::uint32_t kCompiledFor = 0U
#if defined(__POPCNT__)
                                       | Feature::popcnt
#endif
#if defined(__AVX__)
                                       | Feature::avx
#endif
#if defined(__AVX2__)
                                       | Feature::avx2
#endif
#if defined(__FMA__)
                                       | Feature::fma
#endif
#if defined(__F16C__)
                                       | Feature::f16c
#endif
#if defined(__BMI2__)
                                       | Feature::bmi2
#endif
#if defined(__AVX512F__)
                                       | Feature::avx512f
#endif
#if defined(__AVX512BW__)
                                       | Feature::avx512bw
#endif
#if defined(__AVX512DQ__)
                                       | Feature::avx512dq
#endif
#if defined(__AVX512VL__)
                                       | Feature::avx512vl
#endif
    ;

std::uint32_t processor_features();

}  // namespace segrt
