// The inner loops for AVX-512 (F, BW, DQ, VL), compiled with the corresponding -m flags.
#if defined(__x86_64__)
#define SEGRT_KERNELS kAvx512Kernels
#define SEGRT_KERNELS_NAME "avx512"
#include "kernels/fast_table.h"
#endif
