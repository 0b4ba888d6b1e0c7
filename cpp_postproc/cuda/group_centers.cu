// group_centers.cpp on the GPU, after classes and centres are found: the nearest centre of every pixel, counted
// as it goes; then which of them are segments; then their ids.
#include "by_way.h"

namespace segrt {
namespace {

constexpr int kColumns = 32, kRows = 8;  // of threads in a block that looks at pixels
constexpr int kRowsEach = 4;             // of a thread's column
constexpr int kThreads = 256;            // of a block in which pixels are not told by row and column
constexpr std::uint32_t kAllLanes = ~0U;

// Where pixels of one label lie, so that 0 is less than all: columns and rows from the far edges, right and bottom
// exclusive.
struct Edges {
    std::int32_t from_right, from_bottom, right, bottom;
};

// A pixel's label: its group, 1 + the centre, from 1 to most_centers; most_centers + 1 + class for those of no centre.
struct Grouping {
    const std::uint16_t* classes;  // (height, width)
    const void* offsets;           // (2, h, w), y then x
    ByWay offsets_way;
    float offset_scales[2];  // of y and x, in source pixels a cell's unit
    std::int32_t channels, height, width, most_centers;
    const std::uint8_t* is_thing;      // of each class
    const std::int32_t* center_count;  // one number
    const float* centers;              // y, x, heat, most_centers of each
    std::uint16_t* labels;             // (height, width)
    std::int32_t* pixels;              // [group][class], from group 0: no centre
    Edges* edges;                      // of each label

    // From a pixel to its centre on one axis, in source pixels.
    template <class T>
    [[nodiscard]] SEGRT_SHARED float offset(const PixelTaps& taps, int axis) const {
        const T* plane = static_cast<const T*>(offsets) + axis * offsets_way.cells();
        return limited(limited(taps.value(plane)) * offset_scales[axis]);
    }

    [[nodiscard]] SEGRT_SHARED std::int32_t class_at(std::int32_t y, std::int32_t x) const {
        return __ldg(classes + static_cast<std::int64_t>(y) * width + x);
    }

    [[nodiscard]] SEGRT_SHARED std::int32_t label(std::int32_t group, std::int32_t c) const {
        return group != 0 ? group : most_centers + 1 + c;
    }
};

struct Segment {
    std::int32_t class_id, area, left, top, right, bottom;
    std::int32_t query;
    float score;
};

// Raises *at to `value`. Most values are below already, which a glance tells that may be out of date.
SEGRT_SHARED void raise(std::int32_t* at, std::int32_t value) {
    if (*static_cast<volatile std::int32_t*>(at) < value) {
        atomicMax(at, value);
    }
}

// Adds `count` pixels of one group and class, which lie in [left, right) x [top, bottom).
SEGRT_SHARED void count_pixels(const Grouping& job, std::int32_t key, std::int32_t count, std::int32_t left,
                               std::int32_t right, std::int32_t top, std::int32_t bottom) {
    atomicAdd(job.pixels + key, count);
    Edges& edges = job.edges[job.label(key / job.channels, key % job.channels)];
    raise(&edges.from_right, job.width - left);
    raise(&edges.from_bottom, job.height - top);
    raise(&edges.right, right);
    raise(&edges.bottom, bottom);
}

// Counts a warp's pixels: columns from x0 on, rows from y0 on. A key is group * channels + class, -1 outside.
SEGRT_SHARED void count_warp(const Grouping& job, const std::int32_t* keys, std::int32_t y0, std::int32_t x0) {
    const auto lane = static_cast<int>(threadIdx.x);
    const std::int32_t first = __shfl_sync(kAllLanes, keys[0], 0);
    bool same = first >= 0;
    SEGRT_UNROLL
    for (int r = 0; r < kRowsEach; ++r) {
        same = same && keys[r] == first;
    }
    if (__all_sync(kAllLanes, same)) {
        if (lane == 0) {
            count_pixels(job, first, kColumns * kRowsEach, x0, x0 + kColumns, y0, y0 + kRowsEach);
        }
        return;
    }
    SEGRT_UNROLL
    for (int r = 0; r < kRowsEach; ++r) {
        std::uint32_t left = __ballot_sync(kAllLanes, keys[r] >= 0);
        while (left != 0) {
            const int leader = __ffs(left) - 1;
            const std::int32_t key = __shfl_sync(kAllLanes, keys[r], leader);
            const std::uint32_t equal = __ballot_sync(kAllLanes, keys[r] == key);
            if (lane == leader) {
                count_pixels(job, key, __popc(equal), x0 + leader, x0 + 32 - __clz(equal), y0 + r, y0 + r + 1);
            }
            left &= ~equal;
        }
    }
}

// What a thread's pixels point to, and the nearest centre until now.
struct Nearest {
    float at_y[kRowsEach], at_x[kRowsEach], best[kRowsEach];
    std::int32_t group[kRowsEach];

    SEGRT_SHARED void meet(float y, float x, std::int32_t number) {
        SEGRT_UNROLL
        for (int r = 0; r < kRowsEach; ++r) {
            const float dy = y - at_y[r], dx = x - at_x[r];
            const float distance = dy * dy + dx * dx;
            const bool nearer = distance < best[r];
            best[r] = nearer ? distance : best[r];
            group[r] = nearer ? number : group[r];
        }
    }
};

// The rectangle in which the points of a warp's pixels lie; empty where none is a thing.
struct PointBox {
    float top, left, bottom, right;

    SEGRT_SHARED PointBox(const Nearest& nearest, std::uint32_t things) {
        const float infinity = __uint_as_float(0x7F800000U);
        top = left = infinity;
        bottom = right = -infinity;
        SEGRT_UNROLL
        for (int r = 0; r < kRowsEach; ++r) {
            if ((things >> r & 1U) != 0) {
                top = lesser(top, nearest.at_y[r]);
                left = lesser(left, nearest.at_x[r]);
                bottom = greater(bottom, nearest.at_y[r]);
                right = greater(right, nearest.at_x[r]);
            }
        }
        for (int step = kColumns / 2; step > 0; step /= 2) {
            top = lesser(top, __shfl_xor_sync(kAllLanes, top, step));
            left = lesser(left, __shfl_xor_sync(kAllLanes, left, step));
            bottom = greater(bottom, __shfl_xor_sync(kAllLanes, bottom, step));
            right = greater(right, __shfl_xor_sync(kAllLanes, right, step));
        }
    }

    // What `Nearest` computes as the distance of any point in here from a centre is not less, or not more: rounding
    // keeps the order of differences, of squares and of sums.
    [[nodiscard]] SEGRT_SHARED float least_distance(float y, float x) const {
        const float dy = greater(greater(y - bottom, top - y), 0.0F), dx = greater(greater(x - right, left - x), 0.0F);
        return dy * dy + dx * dx;
    }
    [[nodiscard]] SEGRT_SHARED float most_distance(float y, float x) const {
        const float dy = greater(y - top, bottom - y), dx = greater(x - left, right - x);
        return dy * dy + dx * dx;
    }

    SEGRT_SHARED static float lesser(float a, float b) { return b < a ? b : a; }
    SEGRT_SHARED static float greater(float a, float b) { return b > a ? b : a; }
};

// Finds the nearest centre of each of a warp's points. A centre that is farther from all of them than another is from
// any is left out: of hundreds of centres in a picture, points in one place are near to a few.
SEGRT_SHARED void find_nearest(const Grouping& job, std::int32_t centers, std::uint32_t things, Nearest& nearest) {
    const auto lane = static_cast<std::int32_t>(threadIdx.x);
    const PointBox box(nearest, things);
    float limit = __uint_as_float(0x7F800000U);
    for (std::int32_t i = lane; i < centers; i += kColumns) {
        limit = PointBox::lesser(limit,
                                 box.most_distance(__ldg(job.centers + i), __ldg(job.centers + job.most_centers + i)));
    }
    for (int step = kColumns / 2; step > 0; step /= 2) {
        limit = PointBox::lesser(limit, __shfl_xor_sync(kAllLanes, limit, step));
    }
    for (std::int32_t base = 0; base < centers; base += kColumns) {
        float y = 0, x = 0;
        bool is_near = false;
        if (base + lane < centers) {
            y = __ldg(job.centers + base + lane);
            x = __ldg(job.centers + job.most_centers + base + lane);
            is_near = box.least_distance(y, x) <= limit;
        }
        for (std::uint32_t left = __ballot_sync(kAllLanes, is_near); left != 0; left &= left - 1) {
            const int k = __ffs(left) - 1;
            nearest.meet(__shfl_sync(kAllLanes, y, k), __shfl_sync(kAllLanes, x, k), base + k + 1);
        }
    }
}

// Each thread takes pixels of one column that follow each other: a centre is read once for all of them.
template <class T>
SEGRT_SHARED void group_pixels(const Grouping& job) {
    __shared__ float points[kRowsEach][2][kRows][kColumns];  // each thread's own, which spares code, not registers
    const auto x = static_cast<std::int32_t>(blockIdx.x * kColumns + threadIdx.x);
    const auto y0 = static_cast<std::int32_t>((blockIdx.y * kRows + threadIdx.y) * kRowsEach);
    const std::int32_t centers = *job.center_count;
    std::uint32_t inside = 0, things = 0;
    SEGRT_NO_UNROLL
    for (int r = 0; r < kRowsEach; ++r) {
        const std::int32_t y = y0 + r;
        if (x >= job.width || y >= job.height) {
            continue;
        }
        inside |= 1U << r;
        if (job.is_thing[job.class_at(y, x)] != 0 && centers != 0) {
            things |= 1U << r;
            const PixelTaps taps(job.offsets_way, y, x);
            SEGRT_NO_UNROLL
            for (int axis = 0; axis < 2; ++axis) {
                points[r][axis][threadIdx.y][threadIdx.x] =
                    static_cast<float>(axis == 0 ? y : x) + job.offset<T>(taps, axis);
            }
        }
    }
    Nearest nearest;
    SEGRT_UNROLL
    for (int r = 0; r < kRowsEach; ++r) {
        const bool thing = (things >> r & 1U) != 0;
        nearest.at_y[r] = thing ? points[r][0][threadIdx.y][threadIdx.x] : 0.0F;
        nearest.at_x[r] = thing ? points[r][1][threadIdx.y][threadIdx.x] : 0.0F;
        nearest.best[r] = __uint_as_float(0x7F800000U);
        nearest.group[r] = 1;
    }
    if (__any_sync(kAllLanes, things != 0)) {
        find_nearest(job, centers, things, nearest);
    }
    std::int32_t keys[kRowsEach];
    SEGRT_UNROLL
    for (int r = 0; r < kRowsEach; ++r) {
        keys[r] = -1;
        if ((inside >> r & 1U) != 0) {
            const std::int32_t c = job.class_at(y0 + r, x), group = (things >> r & 1U) != 0 ? nearest.group[r] : 0;
            keys[r] = group * job.channels + c;
            job.labels[static_cast<std::int64_t>(y0 + r) * job.width + x] =
                static_cast<std::uint16_t>(job.label(group, c));
        }
    }
    count_warp(job, keys, y0, x - static_cast<std::int32_t>(threadIdx.x));
}

// Group `group`, as a segment of the class that most of its pixels have, the smallest of equal ones.
SEGRT_SHARED Segment segment_of_group(const Grouping& job, std::int32_t group) {
    Segment segment{};
    std::int32_t most = 0;
    for (std::int32_t c = 0; c < job.channels; ++c) {
        const std::int32_t count = job.pixels[group * job.channels + c];
        segment.area += count;
        if (count > most) {
            most = count;
            segment.class_id = c;
        }
    }
    segment.query = group - 1;
    segment.score = job.centers[2 * job.most_centers + group - 1];
    return segment;
}

SEGRT_SHARED Segment segment_of_class(const Grouping& job, std::int32_t c, std::int32_t area_limit) {
    Segment segment{};
    segment.class_id = c;
    segment.area = job.pixels[c];
    segment.query = -1;
    segment.score = 1.0F;
    if (job.is_thing[c] != 0 || segment.area < area_limit) {
        segment.area = 0;
    }
    return segment;
}

// One block: groups in order, then classes in order, become segments where they have pixels.
SEGRT_SHARED void choose_segments(const Grouping& job, std::int32_t area_limit, std::int32_t* id_of_label,
                                  Segment* segments, std::int32_t* segment_count) {
    __shared__ std::int32_t chosen[kThreads / 32];  // in each warp
    const auto thread = static_cast<std::int32_t>(threadIdx.x);
    const std::int32_t warp = thread / 32, lane = thread % 32;
    const std::int32_t centers = *job.center_count, count = centers + job.channels;
    std::int32_t before = 0;
    for (std::int32_t begin = 0; begin < count; begin += kThreads) {
        const std::int32_t i = begin + thread;
        Segment segment{};
        std::int32_t label = 0;
        if (i < count) {
            segment = i < centers ? segment_of_group(job, i + 1) : segment_of_class(job, i - centers, area_limit);
            label = i < centers ? i + 1 : job.label(0, i - centers);
        }
        const std::uint32_t of_warp = __ballot_sync(kAllLanes, segment.area > 0);
        if (lane == 0) {
            chosen[warp] = __popc(of_warp);
        }
        __syncthreads();
        std::int32_t at = before + __popc(of_warp & ((1U << lane) - 1U));
        for (std::int32_t w = 0; w < kThreads / 32; ++w) {
            at += w < warp ? chosen[w] : 0;
            before += chosen[w];
        }
        __syncthreads();
        if (i < count) {
            id_of_label[label] = segment.area > 0 ? at + 1 : 0;
        }
        if (segment.area > 0) {
            const Edges& edges = job.edges[label];
            segment.left = job.width - edges.from_right;
            segment.top = job.height - edges.from_bottom;
            segment.right = edges.right;
            segment.bottom = edges.bottom;
            segments[at] = segment;
        }
    }
    if (thread == 0) {
        *segment_count = before;
    }
}

constexpr int kPixelsEach = 8;

template <class Id>
SEGRT_SHARED void paint_ids(const std::uint16_t* labels, const std::int32_t* id_of_label, std::int32_t count, Id* ids) {
    const auto first = static_cast<std::int32_t>(blockIdx.x * (kThreads * kPixelsEach) + threadIdx.x);
    for (int k = 0; k < kPixelsEach; ++k) {
        const std::int32_t i = first + k * kThreads;
        if (i < count) {
            ids[i] = static_cast<Id>(__ldg(id_of_label + labels[i]));
        }
    }
}

}  // namespace
}  // namespace segrt

// Of the offsets' type. Grid (ceil(width / 32), ceil(height / 32)), block (32, 8).
extern "C" __global__ void group_pixels_float(segrt::Grouping job) {
    segrt::group_pixels<float>(job);
}
SEGRT_KERNEL(group_pixels_float)

extern "C" __global__ void group_pixels_half(segrt::Grouping job) {
    segrt::group_pixels<segrt::Half>(job);
}
SEGRT_KERNEL(group_pixels_half)

// One block of 256 threads. id_of_label: for each label; segments: as many as there can be.
extern "C" __global__ void choose_grouped_segments(segrt::Grouping job, std::int32_t area_limit,
                                                   std::int32_t* id_of_label, segrt::Segment* segments,
                                                   std::int32_t* segment_count) {
    segrt::choose_segments(job, area_limit, id_of_label, segments, segment_count);
}
SEGRT_KERNEL(choose_grouped_segments)

// Of the ids' bits. Grid (ceil(count / 2048)), block (256).
extern "C" __global__ void paint_groups_8(const std::uint16_t* labels, const std::int32_t* id_of_label,
                                          std::int32_t count, std::uint8_t* ids) {
    segrt::paint_ids(labels, id_of_label, count, ids);
}
SEGRT_KERNEL(paint_groups_8)

extern "C" __global__ void paint_groups_16(const std::uint16_t* labels, const std::int32_t* id_of_label,
                                           std::int32_t count, std::uint16_t* ids) {
    segrt::paint_ids(labels, id_of_label, count, ids);
}
SEGRT_KERNEL(paint_groups_16)
