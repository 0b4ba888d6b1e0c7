// The inner loops for AVX2, compiled with the flags in avx2.flags.
#if defined(__x86_64__)
#define SEGRT_KERNELS kAvx2Kernels
#define SEGRT_KERNELS_NAME "avx2"
#include "kernels/fast_table.h"
#endif
