#include "centers.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "thread_pool.h"

namespace segrt {
namespace {

bool is_peak(const float* heat, Index height, Index width, Index y, Index x, Index radius) {
    const float value = heat[y * width + x];
    const Index top = std::max(y - radius, Index{0}), bottom = std::min(y + radius, height - 1);
    const Index left = std::max(x - radius, Index{0}), right = std::min(x + radius, width - 1);
    for (Index v = top; v <= bottom; ++v) {
        for (Index u = left; u <= right; ++u) {
            if (heat[v * width + u] > value) {
                return false;
            }
        }
    }
    return true;
}

// Few cells are above the threshold, and most of those have a larger neighbour close by: looking around each is cheaper
// than a maximum filter over the whole heatmap.
void find_in_row(const float* heat, Size size, Index y, float threshold, Index radius, std::vector<Center>& centers) {
    constexpr Index kStep = 32;
    const auto [height, width] = size;
    const float* row = heat + y * width;
    for (Index begin = 0; begin < width; begin += kStep) {
        const Index end = std::min(begin + kStep, width);
        bool above = false;
        for (Index x = begin; x < end; ++x) {
            above |= row[x] > threshold;
        }
        for (Index x = begin; above && x < end; ++x) {
            if (row[x] > threshold && is_peak(heat, height, width, y, x, radius)) {
                centers.push_back({static_cast<float>(y), static_cast<float>(x), row[x]});
            }
        }
    }
}

void keep_hottest(Index top_k, std::vector<Center>& centers) {
    const auto most = static_cast<std::size_t>(top_k);
    if (centers.size() < most || most == 0) {
        return;
    }
    std::vector<float> heats(centers.size());
    std::transform(centers.begin(), centers.end(), heats.begin(), [](const Center& c) { return c.heat; });
    std::nth_element(heats.begin(), heats.begin() + top_k - 1, heats.end(), std::greater<>());
    const float limit = heats[most - 1];
    std::erase_if(centers, [limit](const Center& c) { return !(c.heat > limit); });
}

}  // namespace

void find_centers(const float* heat, Size size, const CenterSearch& search, std::vector<Center>& centers) {
    const Index radius = (search.nms_kernel - 1) / 2;
    // What is suppressed counts as -1; a centre must be above 0 whatever the threshold.
    const float threshold = std::max(search.threshold, 0.0F);
    thread_local std::vector<std::vector<Center>> of_threads;
    std::vector<std::vector<Center>>& found = of_threads;  // this thread's, whoever writes to it
    found.resize(static_cast<std::size_t>(search.threads));
    for (std::vector<Center>& part : found) {
        part.clear();
    }
    parallel_rows(search.threads, size.height, [&](Index begin, Index end, int slot) {
        for (Index y = begin; y < end; ++y) {
            find_in_row(heat, size, y, threshold, radius, found[static_cast<std::size_t>(slot)]);
        }
    });
    centers.clear();
    for (const std::vector<Center>& part : found) {
        centers.insert(centers.end(), part.begin(), part.end());
    }
    std::sort(centers.begin(), centers.end(),
              [](const Center& a, const Center& b) { return a.y != b.y ? a.y < b.y : a.x < b.x; });
    keep_hottest(search.top_k, centers);
}

namespace {

// The least and the largest difference, in size, between a number and those from `low` to `high`.
struct Difference {
    float least, most;

    Difference(float number, float low, float high)
        : least(number < low    ? low - number
                : number > high ? number - high
                                : 0.0F),
          most(std::max(std::abs(number - low), std::abs(number - high))) {}
};

// Where the pixels of a step point to.
struct Targets {
    float y[kCenterStep], x[kCenterStep];
    Index count;

    // The distances, squared, of any of them to a centre lie between these. They hold exactly: rounded differences,
    // squares and sums grow with what is rounded.
    struct Bounds {
        float least, most;
    };
    struct Box {
        float top, bottom, left, right;

        [[nodiscard]] Bounds bounds(const Center& center) const {
            const Difference dy(center.y, top, bottom), dx(center.x, left, right);
            return {dy.least * dy.least + dx.least * dx.least, dy.most * dy.most + dx.most * dx.most};
        }
    };

    [[nodiscard]] Box box() const {
        constexpr float kInfinite = std::numeric_limits<float>::infinity();
        Box box{kInfinite, -kInfinite, kInfinite, -kInfinite};
        for (Index i = 0; i < count; ++i) {
            box.top = std::min(box.top, y[i]);
            box.bottom = std::max(box.bottom, y[i]);
            box.left = std::min(box.left, x[i]);
            box.right = std::max(box.right, x[i]);
        }
        return box;
    }
};

}  // namespace

// A centre whose least distance is above another's largest is nearest to none of the pixels, nor does it tie.
void nearest_centers(std::span<const Center> centers, Index y, Index x, const float* offset_y, const float* offset_x,
                     Index count, std::int32_t* nearest) {
    Targets targets;
    targets.count = count;
    float best[kCenterStep];
    for (Index i = 0; i < count; ++i) {
        targets.y[i] = static_cast<float>(y) + offset_y[i];
        targets.x[i] = static_cast<float>(x + i) + offset_x[i];
        best[i] = std::numeric_limits<float>::infinity();
        nearest[i] = 1;
    }
    const Targets::Box box = targets.box();
    float limit = std::numeric_limits<float>::infinity();
    for (const Center& center : centers) {
        limit = std::min(limit, box.bounds(center).most);
    }
    std::int32_t number = 0;
    for (const Center& center : centers) {
        ++number;
        if (box.bounds(center).least > limit) {
            continue;
        }
        for (Index i = 0; i < count; ++i) {
            const float dy = center.y - targets.y[i], dx = center.x - targets.x[i];
            const float distance = dy * dy + dx * dx;
            const bool nearer = distance < best[i];
            best[i] = nearer ? distance : best[i];
            nearest[i] = nearer ? number : nearest[i];
        }
    }
}

}  // namespace segrt
