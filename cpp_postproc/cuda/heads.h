// Values of a head as the core's kernels read them: float32 or float16 in, float32 out, limited to +-kLargest.
#pragma once

#include "device.h"

namespace segrt {
namespace {

// A half as the network wrote it; its own type, so that kernels can be written for both.
struct Half {
    std::uint16_t bits;
};

SEGRT_SHARED float widened(float value) {
    return value;
}

SEGRT_SHARED float widened(Half half) {
#ifdef __CUDACC_RTC__
    float exact;
    asm("cvt.f32.f16 %0, %1;" : "=f"(exact) : "h"(half.bits));
    return exact;
#else
    const std::uint32_t sign = (half.bits & 0x8000U) << 16U;
    const std::uint32_t exponent = (half.bits >> 10U) & 0x1FU;
    const std::uint32_t fraction = half.bits & 0x3FFU;
    if (exponent == 0) {
        const float value = static_cast<float>(fraction) * 0x1p-24F;
        return sign != 0 ? -value : value;
    }
    return __uint_as_float(exponent == 31 ? sign | 0x7F800000U | fraction << 13U
                                          : sign | (exponent + 112) << 23U | fraction << 13U);
#endif
}

SEGRT_SHARED bool is_finite(float value) {
    return (__float_as_uint(value) & 0x7F800000U) != 0x7F800000U;
}

SEGRT_SHARED float limited(float value) {
    if (value != value) {
        return -kLargest;
    }
    return value < -kLargest ? -kLargest : (value > kLargest ? kLargest : value);
}

// A value that nobody writes while the kernel runs.
SEGRT_SHARED float load(const float* value) {
    return __ldg(value);
}

SEGRT_SHARED Half load(const Half* value) {
    return {__ldg(&value->bits)};
}

template <class T>
SEGRT_SHARED float read(const T& value) {
    return limited(widened(value));
}

}  // namespace
}  // namespace segrt
