// What bindings of masks as runs share.
#pragma once

#include "bind_arrays.h"
#include "mask_runs.h"

namespace segrt {

// Masks as a pair of arrays, runs int32 (R, 3) and starts int64 (N + 1,); refused as `name` where they are none.
MaskRunsView runs_view(const py::array& runs, const py::array& starts, const char* name);

}  // namespace segrt
