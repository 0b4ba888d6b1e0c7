// The inner loops for every processor of the architecture: SSE2 on x86-64, NEON on aarch64.
#define SEGRT_KERNELS kBaselineKernels
#define SEGRT_KERNELS_NAME "baseline"
#include "kernels/fast_table.h"
