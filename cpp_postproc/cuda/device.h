// What every kernel includes. The kernels are CUDA C++; where they are compiled as C++ to be run on a CPU, the emulator
// stands in for the language.
#pragma once

#ifdef __CUDACC_RTC__

// NVRTC brings no standard headers.
namespace std {
using int8_t = signed char;
using uint8_t = unsigned char;
using int16_t = short;
using uint16_t = unsigned short;
using int32_t = int;
using uint32_t = unsigned int;
using int64_t = long long;
using uint64_t = unsigned long long;
using size_t = decltype(sizeof(0));
using ptrdiff_t = long long;
}  // namespace std

#define SEGRT_KERNEL(name)
#define SEGRT_PRAGMA(text) _Pragma(#text)
#define SEGRT_UNROLL _Pragma("unroll")
#define SEGRT_NO_UNROLL _Pragma("unroll 1")
#define SEGRT_UNROLL_BY(count) SEGRT_PRAGMA(unroll(count))

#else

#include "emulator/language.h"

#define SEGRT_KERNEL(name) SEGRT_EMULATED_KERNEL(name)
#define SEGRT_UNROLL
#define SEGRT_NO_UNROLL
#define SEGRT_UNROLL_BY(count)

#endif

#include "float_math.h"
