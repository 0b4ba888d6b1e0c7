// MaskFormer's merge: probabilities are interpolated and weighted by the query's score.
#include "merge_queries.h"

SEGRT_MERGE(maskformer_float, weighted, probabilities, float)
SEGRT_MERGE(maskformer_half, weighted, probabilities, segrt::Half)
