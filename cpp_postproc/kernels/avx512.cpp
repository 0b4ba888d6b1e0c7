// The inner loops for AVX-512, compiled with the flags in avx512.flags: not with -Wmaybe-uninitialized, for GCC 12
// warns of its own header (an intentionally undefined register).
#if defined(__x86_64__)
#define SEGRT_KERNELS kAvx512Kernels
#define SEGRT_KERNELS_NAME "avx512"
#include "kernels/fast_table.h"
#endif
