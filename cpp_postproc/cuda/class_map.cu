// Rule class_map on the GPU: ids that the network has chosen itself, by nearest neighbour. Memory bounds it: an id is
// read about once, a class is written.
#include "device.h"

namespace segrt {
namespace {

constexpr std::uint32_t kBehindAll = 0xFFFFFFFFU;

// Cells [top, bottom) x [left, right) of a grid.
struct CellRange {
    std::int32_t top, left, bottom, right;
};

// What ids mean: 0 to labels - 1 are classes, `void_id` is none where `has_void`; void_class is written for it.
struct ClassIds {
    std::int64_t void_id;
    std::int32_t labels, has_void, void_class;

    [[nodiscard]] SEGRT_SHARED bool is_void(std::int64_t id) const { return has_void != 0 && id == void_id; }
    [[nodiscard]] SEGRT_SHARED bool is_wrong(std::int64_t id) const { return (id < 0 || id >= labels) && !is_void(id); }
};

// first_wrong: becomes kBehindAll less the lowest position, in row-major order, of an id that is neither a class nor
// void; it stays 0 where there is none.
template <class T>
SEGRT_SHARED void check_ids(const T* grid, std::int32_t width, const CellRange& range, const ClassIds& ids,
                            std::uint32_t* first_wrong) {
    const auto x = static_cast<std::int32_t>(blockIdx.x * blockDim.x + threadIdx.x) + range.left;
    const auto y = static_cast<std::int32_t>(blockIdx.y * blockDim.y + threadIdx.y) + range.top;
    if (x >= range.right || y >= range.bottom) {
        return;
    }
    const std::int64_t at = static_cast<std::int64_t>(y) * width + x;
    if (ids.is_wrong(static_cast<std::int64_t>(grid[at]))) {
        atomicMax(first_wrong, kBehindAll - static_cast<std::uint32_t>(at));
    }
}

// classes[y][x] = the id at rows[y], columns[x]; grid: (.., width).
template <class T, class Class>
SEGRT_SHARED void take_classes(const T* grid, std::int32_t width, const std::int32_t* rows, const std::int32_t* columns,
                               std::int32_t target_height, std::int32_t target_width, const ClassIds& ids,
                               Class* classes) {
    const auto x = static_cast<std::int32_t>(blockIdx.x * blockDim.x + threadIdx.x);
    const auto y = static_cast<std::int32_t>(blockIdx.y * blockDim.y + threadIdx.y);
    if (x >= target_width || y >= target_height) {
        return;
    }
    const auto id = static_cast<std::int64_t>(__ldg(grid + static_cast<std::int64_t>(rows[y]) * width + columns[x]));
    classes[static_cast<std::int64_t>(y) * target_width + x] =
        static_cast<Class>(ids.is_void(id) ? ids.void_class : id);
}

}  // namespace
}  // namespace segrt

// Grids that cover the range or the target, block (32, 8).
#define SEGRT_CHECK_IDS(T)                                                                                       \
    extern "C" __global__ void check_ids_##T(const std::T##_t* grid, std::int32_t width, segrt::CellRange range, \
                                             segrt::ClassIds ids, std::uint32_t* first_wrong) {                  \
        segrt::check_ids(grid, width, range, ids, first_wrong);                                                  \
    }                                                                                                            \
    SEGRT_KERNEL(check_ids_##T)

#define SEGRT_TAKE_CLASSES(name, T, Class)                                                                     \
    extern "C" __global__ void name(const std::T##_t* grid, std::int32_t width, const std::int32_t* rows,      \
                                    const std::int32_t* columns, std::int32_t target_height,                   \
                                    std::int32_t target_width, segrt::ClassIds ids, std::Class##_t* classes) { \
        segrt::take_classes(grid, width, rows, columns, target_height, target_width, ids, classes);            \
    }                                                                                                          \
    SEGRT_KERNEL(name)

SEGRT_CHECK_IDS(uint8)
SEGRT_CHECK_IDS(int8)
SEGRT_CHECK_IDS(int32)
SEGRT_CHECK_IDS(int64)
SEGRT_TAKE_CLASSES(take_classes_uint8_8, uint8, uint8)
SEGRT_TAKE_CLASSES(take_classes_uint8_16, uint8, uint16)
SEGRT_TAKE_CLASSES(take_classes_int8_8, int8, uint8)
SEGRT_TAKE_CLASSES(take_classes_int8_16, int8, uint16)
SEGRT_TAKE_CLASSES(take_classes_int32_8, int32, uint8)
SEGRT_TAKE_CLASSES(take_classes_int32_16, int32, uint16)
SEGRT_TAKE_CLASSES(take_classes_int64_8, int64, uint8)
SEGRT_TAKE_CLASSES(take_classes_int64_16, int64, uint16)
