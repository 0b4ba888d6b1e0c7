// Mask2Former's merge: MaskFormer's, of masks that were enlarged to a processed size before.
#include "merge_queries.h"

SEGRT_MERGE(mask2former_float, weighted, enlarged_probabilities, float)
SEGRT_MERGE(mask2former_half, weighted, enlarged_probabilities, segrt::Half)
