// What every kernel includes. The kernels are CUDA C++; where they are compiled as C++ to be run on a CPU, the emulator
// stands in for the language.
#pragma once

#ifdef __CUDACC_RTC__

#include "integers.h"

#define SEGRT_KERNEL(name)

#else

#include "emulator/language.h"

#define SEGRT_KERNEL(name) SEGRT_EMULATED_KERNEL(name)

#endif

#include "float_math.h"
