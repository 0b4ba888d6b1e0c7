// DETR's own merge: the highest logit at the nearest pixel of the enlarged masks. The target's tables are those of the
// first resize, taken at these pixels.
#include "merge_queries.h"

SEGRT_MERGE(detr_float, plain, logits, float)
SEGRT_MERGE(detr_half, plain, logits, segrt::Half)
