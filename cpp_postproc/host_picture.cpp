#include "host_picture.h"

#include <algorithm>
#include <cstddef>
#include <stdexcept>

#include "thread_pool.h"

namespace segrt {
namespace {

constexpr Index kBytesAtOnce = Index{1} << 18;  // that a thread copies before it looks for more

}  // namespace

void copy_picture(const Picture& picture, std::optional<std::span<const std::int32_t>> rows, int threads,
                  std::uint8_t* target) {
    const Index row_bytes = 3 * picture.width;
    if (rows && std::any_of(rows->begin(), rows->end(), [&](Index y) { return y < 0 || y >= picture.height; })) {
        throw std::invalid_argument("rows must be rows of the image");
    }
    const Index count = rows ? static_cast<Index>(rows->size()) : picture.height;
    const Index at_once = threads == 1 ? count : std::max<Index>(kBytesAtOnce / std::max<Index>(row_bytes, 1), 1);
    parallel_for(threads, count, at_once, [&](Index begin, Index end, int) {
        if (!rows && picture.row_stride == row_bytes) {
            std::copy_n(picture.data + begin * row_bytes, (end - begin) * row_bytes, target + begin * row_bytes);
            return;
        }
        for (Index i = begin; i < end; ++i) {
            const Index y = rows ? (*rows)[static_cast<std::size_t>(i)] : i;
            std::copy_n(picture.data + y * picture.row_stride, row_bytes, target + i * row_bytes);
        }
    });
}

}  // namespace segrt
