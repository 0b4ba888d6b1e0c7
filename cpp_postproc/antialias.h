// Antialiased resizing of pictures, bit for bit as Pillow's `Image.resize` (src/libImaging/Resample.c), x first.
#pragma once

#include <cstdint>

#include "preprocess.h"
#include "views.h"

namespace segrt {

enum class Filter { bilinear, bicubic };

// `out`: uint8, shape (height, width, 3), row by row without gaps.
void resize_antialias(const Picture& picture, Filter filter, Index height, Index width, int threads, std::uint8_t* out);

}  // namespace segrt
