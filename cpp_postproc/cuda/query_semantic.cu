// query_semantic.cpp on the GPU: every class's score in every cell, the sum over queries of class probability times
// mask probability. argmax.cu makes the class map of it. A matrix product, bound by arithmetic; each sum is one chain
// in the order of the queries, as in the core.
#include "class_softmax.h"
#include "grids.h"

namespace segrt {
namespace {

constexpr int kCells = 128, kClasses = 64;       // of a block
constexpr int kQueries = 16;                     // that are held in shared memory at once
constexpr int kAcross = 16, kDown = 16;          // threads of a block: cells, classes
constexpr int kCellsEach = 8, kClassesEach = 4;  // of a thread; cells in groups of 4, kCells / 2 apart

struct alignas(16) Four {
    float values[4];
};

// One warp, one query: the probabilities of all classes but "no object", which is the last column.
// logits: (queries, columns); probabilities: (queries, columns - 1).
template <class T>
SEGRT_SHARED void class_probabilities(const T* logits, std::int32_t queries, std::int32_t columns, float* probabilities,
                                      std::int32_t* nonfinite) {
    const auto lane = static_cast<std::int32_t>(threadIdx.x);
    const auto query = static_cast<std::int32_t>(blockIdx.x * blockDim.y + threadIdx.y);
    if (query >= queries) {
        return;
    }
    const ClassRow<T> row(logits + static_cast<std::int64_t>(query) * columns, columns, lane);
    for (std::int32_t c = lane; c < columns - 1; c += kSumLanes) {
        probabilities[static_cast<std::int64_t>(query) * (columns - 1) + c] = row.probability(c);
    }
    if (row.nonfinite > 0) {
        atomicAdd(nonfinite, row.nonfinite);
    }
}

// Rows [first_row, first_row + row_count) of the cells, all of their columns.
struct CellRows {
    std::int32_t first_row, row_count, width;

    [[nodiscard]] SEGRT_SHARED std::int32_t cells() const { return row_count * width; }
};

// scores: (classes, rows.row_count, rows.width); weights: (queries, classes).
template <class Grid>
SEGRT_SHARED void score_classes(const Grid& masks, const CellRows& rows, const float* weights, std::int32_t queries,
                                std::int32_t classes, float* scores) {
    __shared__ Four cell_values[kQueries][kCells / 4];
    __shared__ Four class_values[kQueries][kClasses / 4];
    const auto tx = static_cast<std::int32_t>(threadIdx.x), ty = static_cast<std::int32_t>(threadIdx.y);
    const std::int32_t thread = ty * kAcross + tx;
    const std::int32_t first_cell = static_cast<std::int32_t>(blockIdx.x) * kCells;
    const std::int32_t first_class = static_cast<std::int32_t>(blockIdx.y) * kClasses;
    // A thread reads always the same cell, and the same class.
    const std::int32_t own_cell = first_cell + thread % kCells, own_class = first_class + thread % kClasses;
    const std::int32_t y = rows.first_row + own_cell / rows.width, x = own_cell % rows.width;
    float sums[kClassesEach][kCellsEach] = {};
    for (std::int32_t begin = 0; begin < queries; begin += kQueries) {
        __syncthreads();
        for (std::int32_t q = thread / kCells; q < kQueries; q += kAcross * kDown / kCells) {
            const bool is_one = begin + q < queries && own_cell < rows.cells();
            cell_values[q][thread % kCells / 4].values[thread % 4] = is_one ? masks.cell(begin + q, y, x) : 0.0F;
        }
        for (std::int32_t q = thread / kClasses; q < kQueries; q += kAcross * kDown / kClasses) {
            const bool is_one = begin + q < queries && own_class < classes;
            class_values[q][thread % kClasses / 4].values[thread % 4] =
                is_one ? __ldg(weights + static_cast<std::int64_t>(begin + q) * classes + own_class) : 0.0F;
        }
        __syncthreads();
        // Queries beyond the last add 0 * 0, which changes nothing.
        for (std::int32_t q = 0; q < kQueries; ++q) {
            const Four weight = class_values[q][ty];
            const Four near = cell_values[q][tx], far = cell_values[q][tx + kAcross];
            SEGRT_UNROLL
            for (int c = 0; c < kClassesEach; ++c) {
                SEGRT_UNROLL
                for (int i = 0; i < 4; ++i) {
                    sums[c][i] = fused(weight.values[c], near.values[i], sums[c][i]);
                    sums[c][4 + i] = fused(weight.values[c], far.values[i], sums[c][4 + i]);
                }
            }
        }
    }
    SEGRT_UNROLL
    for (int c = 0; c < kClassesEach; ++c) {
        SEGRT_UNROLL
        for (int i = 0; i < kCellsEach; ++i) {
            const std::int32_t cell = first_cell + i / 4 * (kCells / 2) + tx * 4 + i % 4;
            const std::int32_t label = first_class + ty * kClassesEach + c;
            if (cell < rows.cells() && label < classes) {
                scores[static_cast<std::int64_t>(label) * rows.cells() + cell] = sums[c][i];
            }
        }
    }
}

}  // namespace
}  // namespace segrt

// Grid (ceil(queries / 8)), block (32, 8).
#define SEGRT_CLASS_PROBABILITIES(name, T)                                                                             \
    extern "C" __global__ void name(const T* logits, std::int32_t queries, std::int32_t columns, float* probabilities, \
                                    std::int32_t* nonfinite) {                                                         \
        segrt::class_probabilities(logits, queries, columns, probabilities, nonfinite);                                \
    }                                                                                                                  \
    SEGRT_KERNEL(name)

// Grid (ceil(cells / kCells), ceil(classes / kClasses)), block (kAcross, kDown).
#define SEGRT_SCORE_CLASSES(name, T)                                                                              \
    extern "C" __global__ void __launch_bounds__(256)                                                             \
        name(const T* masks, std::int32_t height, std::int32_t width, segrt::CellRows rows, const float* weights, \
             std::int32_t queries, std::int32_t classes, float* scores) {                                         \
        const segrt::HeadGrid<T, true> grid{masks, height, width};                                                \
        segrt::score_classes(grid, rows, weights, queries, classes, scores);                                      \
    }                                                                                                             \
    SEGRT_KERNEL(name)

// The same for masks that are enlarged first, to a cell for each of `row_taps` and `column_taps`.
#define SEGRT_SCORE_ENLARGED(name, T)                                                                         \
    extern "C" __global__ void __launch_bounds__(256)                                                         \
        name(const T* masks, std::int32_t height, std::int32_t width, const segrt::Tap* row_taps,             \
             const segrt::Tap* column_taps, segrt::CellRows rows, const float* weights, std::int32_t queries, \
             std::int32_t classes, float* scores) {                                                           \
        const segrt::EnlargedGrid<T, true> grid{{masks, height, width}, row_taps, column_taps};               \
        segrt::score_classes(grid, rows, weights, queries, classes, scores);                                  \
    }                                                                                                         \
    SEGRT_KERNEL(name)

SEGRT_CLASS_PROBABILITIES(class_probabilities_float, float)
SEGRT_CLASS_PROBABILITIES(class_probabilities_half, segrt::Half)
SEGRT_SCORE_CLASSES(score_classes_float, float)
SEGRT_SCORE_CLASSES(score_classes_half, segrt::Half)
SEGRT_SCORE_ENLARGED(score_enlarged_float, float)
SEGRT_SCORE_ENLARGED(score_enlarged_half, segrt::Half)
