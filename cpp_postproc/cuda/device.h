// What every kernel includes. The kernels are CUDA C++; where they are compiled as C++ to be run on a CPU, the emulator
// stands in for the language.
#pragma once

#ifdef __CUDACC_RTC__

#include "integers.h"

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
