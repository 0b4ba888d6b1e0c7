// Bilinear resizing of pictures that cuts off to whole grey levels, bit for bit as scikit-image's
// `resize(image, size, order=1, mode="constant", anti_aliasing=False, preserve_range=True).astype(uint8)`, versions
// 0.19 and later, which is scipy.ndimage's `zoom` with `grid_mode` (NI_ZoomShift of ni_interpolation.c).
#pragma once

#include <cstdint>

#include "host_picture.h"
#include "views.h"

namespace segrt {

// `out`: uint8, shape (height, width, 3), row by row without gaps. Beyond the picture everything is 0; no value leaves
// the range of the picture's own.
void resize_floor(const Picture& picture, Index height, Index width, int threads, std::uint8_t* out);

}  // namespace segrt
