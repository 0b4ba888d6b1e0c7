// A stream of frames takes no memory from the heap once its first frames have been seen.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "antialias.h"
#include "argmax.h"
#include "binary.h"
#include "group_centers.h"
#include "merge_instances.h"
#include "merge_queries.h"
#include "preprocess.h"
#include "query_semantic.h"
#include "resize_floor.h"
#include "scenes.h"

namespace {

std::atomic<std::int64_t> g_allocations{0};

}  // namespace

// All forms that the core uses: the sanitizers bring their own, which do not call one another.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    ++g_allocations;
    return std::malloc(size == 0 ? 1 : size);
}

void* operator new(std::size_t size) {
    if (void* memory = operator new(size, std::nothrow); memory != nullptr) {
        return memory;
    }
    throw std::bad_alloc();
}

void* operator new[](std::size_t size) {
    return operator new(size);
}

void operator delete(void* memory) noexcept {
    std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

void operator delete[](void* memory) noexcept {
    std::free(memory);
}

void operator delete[](void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace segrt::test {
namespace {

// The caller's thread warms up in the first two frames. Another one does when it first gets work, whenever that is:
// then the blocks it asks for are few, however many the frames.
template <class F>
void expect_no_allocation_when_warm(F&& frame) {
    frame(1);
    frame(1);
    const std::int64_t before = g_allocations;
    EXPECT_GT(before, 0);  // they are counted
    for (int i = 0; i < 5; ++i) {
        frame(1);
    }
    EXPECT_EQ(g_allocations - before, 0);
    for (int i = 0; i < 200; ++i) {
        frame(2);
    }
    EXPECT_LE(g_allocations - before, 40);
}

TEST(Allocation, MergingQueriesTakesNoneWhenWarm) {
    std::mt19937 random(5);
    const Floats classes = random_classes(random, 12, 4), masks = random_grids(random, 12, 30, 40, Kind::smooth);
    const std::int64_t stuff[] = {0};
    std::vector<std::int32_t> ids(90 * 170);
    std::vector<Segment> segments;
    for (const MergeRule rule : {MergeRule::maskformer, MergeRule::eomt, MergeRule::detr}) {
        expect_no_allocation_when_warm([&](int threads) {
            MergeOptions options;
            options.rule = rule;
            options.stuff_classes = stuff;
            options.threads = threads;
            merge_queries(classes.table(), masks.stack(), options, {ids.data(), 90, 170, 170}, segments);
        });
    }
    EXPECT_FALSE(segments.empty());
}

TEST(Allocation, ClassMapsTakeNoneWhenWarm) {
    std::mt19937 random(6);
    const Floats logits = random_grids(random, 21, 30, 40, Kind::smooth);
    std::vector<std::uint8_t> map(90 * 170);
    expect_no_allocation_when_warm([&](int threads) {
        argmax_map<std::uint8_t>(logits.stack(), std::nullopt, std::nullopt, threads, {map.data(), 90, 170, 170});
    });
    expect_no_allocation_when_warm([&](int threads) {
        argmax_map<std::uint8_t>(logits.stack(), std::nullopt, Size{60, 80}, threads, {map.data(), 90, 170, 170});
    });
    const Floats classes = random_classes(random, 21, 5);
    expect_no_allocation_when_warm([&](int threads) {
        query_semantic<std::uint8_t>(classes.table(), logits.stack(), std::nullopt, Size{60, 80}, threads,
                                     {map.data(), 90, 170, 170});
    });
    const Floats scores = random_grids(random, 1, 30, 40, Kind::smooth);
    expect_no_allocation_when_warm(
        [&](int threads) { binary_map(scores.stack(), {}, std::nullopt, threads, {map.data(), 90, 170, 170}); });
}

TEST(Allocation, PreprocessingTakesNoneWhenWarm) {
    const std::vector<std::uint8_t> picture(120 * 200 * 3, 9);
    std::vector<float> out(3 * 80 * 90);
    const Normalization normalization{{0.5F, 2.0F, 1.0F}, {1.0F, 0.0F, -3.0F}, true};
    expect_no_allocation_when_warm([&](int threads) {
        resize_normalize({picture.data(), 120, 200, 600}, normalization, threads, {out.data(), 80, 90, 80 * 90, 90, 1});
    });
    std::vector<std::uint8_t> smooth(3 * 80 * 90);
    expect_no_allocation_when_warm([&](int threads) {
        resize_antialias({picture.data(), 120, 200, 600}, Filter::bicubic, 80, 90, threads, smooth.data());
        resize_floor({picture.data(), 120, 200, 600}, 80, 90, threads, smooth.data());
    });
}

TEST(Allocation, FusingInstancesAndCentresTakesNoneWhenWarm) {
    std::mt19937 random(7);
    const Index height = 60, width = 150, pixels = height * width;
    std::vector<std::uint8_t> semantic(static_cast<std::size_t>(pixels)), bits(static_cast<std::size_t>(pixels * 3));
    for (std::size_t i = 0; i < semantic.size(); ++i) {
        semantic[i] = static_cast<std::uint8_t>(i * 5 / semantic.size());
    }
    for (std::size_t i = 0; i < bits.size(); ++i) {
        bits[i] = i / 40 % 5 == 0 ? 1 : 0;
    }
    const ClassMap map{reinterpret_cast<const std::byte*>(semantic.data()), 1, height, width, {width, 1}};
    const MaskStack masks{bits.data(), 3, height, width, {pixels, width, 1}};
    const std::vector<float> scores{0.9F, 0.8F, 0.7F};
    const std::vector<std::int64_t> class_ids{1, 2, 3};
    std::vector<std::int32_t> ids(semantic.size());
    std::vector<Segment> segments;
    expect_no_allocation_when_warm([&](int threads) {
        merge_semantic_instances(map, masks, scores, class_ids, {0.5F, 0.5, 20, threads},
                                 {ids.data(), height, width, width}, segments);
    });
    const Floats heat = random_grids(random, 1, height, width, Kind::noisy);
    const Floats offsets = random_grids(random, 2, height, width, Kind::smooth);
    const std::int64_t things[] = {1, 2};
    expect_no_allocation_when_warm([&](int threads) {
        GroupOptions options;
        options.thing_classes = things;
        options.threads = threads;
        group_centers(map, heat.stack(), offsets.stack(), options, {ids.data(), height, width, width}, segments);
    });
}

}  // namespace
}  // namespace segrt::test
