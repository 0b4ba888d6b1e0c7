// Memory of results that were let go.
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "kept_memory.h"

namespace segrt::test {
namespace {

constexpr std::size_t kLarge = std::size_t{5} << 20U;

TEST(KeptMemory, IsUsedAgainAndOnlyFreshMemoryIsCalledZeroed) {
    const KeptMemory first = take_memory(kLarge), second = take_memory(kLarge);
    EXPECT_NE(first.data, second.data);
    std::fill_n(first.data, kLarge, std::byte{7});
    give_memory(first.data, kLarge);
    const KeptMemory again = take_memory(kLarge - 100);
    EXPECT_EQ(again.data, first.data);
    EXPECT_FALSE(again.zeroed);
    const KeptMemory other = take_memory(2 * kLarge);
    EXPECT_TRUE(other.zeroed);
    EXPECT_EQ(std::count(other.data, other.data + 2 * kLarge, std::byte{0}), static_cast<std::ptrdiff_t>(2 * kLarge));
    give_memory(again.data, kLarge - 100);
    give_memory(second.data, kLarge);
    give_memory(other.data, 2 * kLarge);
}

TEST(KeptMemory, IsNeverMoreThanItsBound) {
    std::vector<std::byte*> taken;
    constexpr std::size_t kPart = kMostKept / 4;
    for (int i = 0; i < 6; ++i) {
        taken.push_back(take_memory(kPart).data);
    }
    for (std::byte* data : taken) {
        give_memory(data, kPart);
        EXPECT_LE(kept_memory(), kMostKept);
    }
    EXPECT_EQ(kept_memory(), kMostKept);
    give_memory(take_memory(kMostKept + 1).data, kMostKept + 1);
    EXPECT_EQ(kept_memory(), kMostKept);
}

TEST(KeptMemory, IsLentToOneThreadAtATime) {
    const auto work = [] {
        for (int i = 0; i < 200; ++i) {
            const KeptMemory own = take_memory(kLarge);
            own.data[0] = static_cast<std::byte>(i);
            EXPECT_EQ(own.data[0], static_cast<std::byte>(i));
            give_memory(own.data, kLarge);
        }
    };
    std::thread one(work), two(work);
    one.join();
    two.join();
}

}  // namespace
}  // namespace segrt::test
