// The pool of threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <thread>

#include "thread_pool.h"

namespace segrt::test {
namespace {

TEST(ThreadPool, VisitsEveryElementOnceAndPassesExceptionsOn) {
    for (const int threads : {1, 2, 5}) {
        std::vector<int> visits(1000, 0);
        parallel_for(threads, 1000, 7, [&](Index begin, Index end, int slot) {
            EXPECT_LT(slot, threads);
            for (Index i = begin; i < end; ++i) {
                ++visits[static_cast<std::size_t>(i)];
            }
        });
        EXPECT_EQ(visits, std::vector<int>(1000, 1));
        EXPECT_THROW(parallel_for(threads, 100, 1,
                                  [](Index begin, Index, int) {
                                      if (begin == 50) {
                                          throw std::runtime_error("stop");
                                      }
                                  }),
                     std::runtime_error);
    }
}

TEST(ThreadPool, RowsAreVisitedOnceInPiecesThatShrink) {
    for (const int threads : {1, 2, 5}) {
        for (const Index rows : {0, 1, 15, 16, 17, 100, 1080}) {
            std::vector<int> visits(static_cast<std::size_t>(rows), 0);
            std::vector<Index> lengths(static_cast<std::size_t>(rows), 0);
            parallel_rows(threads, rows, [&](Index begin, Index end, int slot) {
                EXPECT_LT(slot, threads);
                lengths[static_cast<std::size_t>(begin)] = end - begin;
                for (Index i = begin; i < end; ++i) {
                    ++visits[static_cast<std::size_t>(i)];
                }
            });
            EXPECT_EQ(visits, std::vector<int>(visits.size(), 1));
            std::erase(lengths, 0);
            EXPECT_TRUE(std::is_sorted(lengths.rbegin(), lengths.rend()));
            EXPECT_LE(lengths.size(), threads == 1 ? 1U : 30U);
        }
    }
}

TEST(ThreadPool, ServesSeveralCallersAtOnce) {
    std::vector<std::thread> callers;
    for (int i = 0; i < 4; ++i) {
        callers.emplace_back([] {
            for (int round = 0; round < 50; ++round) {
                std::vector<std::int64_t> sums(3, 0);
                parallel_for(3, 300, 10, [&](Index begin, Index end, int slot) {
                    for (Index at = begin; at < end; ++at) {
                        sums[static_cast<std::size_t>(slot)] += at;
                    }
                });
                EXPECT_EQ(sums[0] + sums[1] + sums[2], 299 * 300 / 2);
            }
        });
    }
    for (std::thread& caller : callers) {
        caller.join();
    }
}

}  // namespace
}  // namespace segrt::test
