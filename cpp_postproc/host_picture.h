// A picture as the caller has it, and a copy of it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "views.h"

namespace segrt {

// uint8, shape (height, width, 3); the three bytes of a pixel and the pixels of a row are contiguous.
struct Picture {
    const std::uint8_t* data = nullptr;
    Index height = 0, width = 0, row_stride = 0;  // in bytes
};

// Copies the picture's rows of these numbers to `target`, one after the other; all of them without a list. One thread
// alone does not keep memory busy. Throws std::invalid_argument for a row that the picture does not have.
void copy_picture(const Picture& picture, std::optional<std::span<const std::int32_t>> rows, int threads,
                  std::uint8_t* target);

}  // namespace segrt
