#include "kernels/features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace segrt {

std::uint32_t processor_features() {
    std::uint32_t features = 0;
#if defined(__x86_64__)
    const auto add = [&features](bool present, Feature feature) { features |= present ? feature : 0U; };
    __builtin_cpu_init();
    // For AVX and what builds on it, the compiler's functions also ask whether the system keeps the wide registers.
    add(__builtin_cpu_supports("popcnt") != 0, Feature::popcnt);
    add(__builtin_cpu_supports("avx") != 0, Feature::avx);
    add(__builtin_cpu_supports("avx2") != 0, Feature::avx2);
    add(__builtin_cpu_supports("fma") != 0, Feature::fma);
    add(__builtin_cpu_supports("bmi2") != 0, Feature::bmi2);
    add(__builtin_cpu_supports("avx512f") != 0, Feature::avx512f);
    add(__builtin_cpu_supports("avx512bw") != 0, Feature::avx512bw);
    add(__builtin_cpu_supports("avx512dq") != 0, Feature::avx512dq);
    add(__builtin_cpu_supports("avx512vl") != 0, Feature::avx512vl);
    // Not every clang has a name for this one.
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    add(__get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0, Feature::f16c);
#endif
    return features;
}

}  // namespace segrt
