// EoMT's merge: enlarged logits are interpolated; a pixel that its winner does not claim stays void.
#include "merge_queries.h"

SEGRT_MERGE(eomt_float, weighted_logit, enlarged_logits, float)
SEGRT_MERGE(eomt_half, weighted_logit, enlarged_logits, segrt::Half)
