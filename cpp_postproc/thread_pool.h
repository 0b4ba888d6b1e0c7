// A small fixed pool. The caller always works too and never waits for a thread that has not begun: with a pool that
// is busy with another caller, or lost in a fork, the work is done by the caller alone.
#pragma once

#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

#include "views.h"

namespace segrt {

// The number of threads meant by 0: the processors this process may use, or SEGRT_THREADS; throws std::invalid_argument
// where that is no number from 1 to 256.
int default_threads();

// How many rows a thread takes at a time where pieces must be alike: all when alone, else enough pieces to even out
// their different costs.
Index rows_per_chunk(Index rows, int threads);

// Sums what threads counted apart.
std::int64_t sum(std::span<const std::int64_t> numbers);

// A reference to a callable, without the allocation of std::function. The callable must outlive the reference.
class ChunkTask {
public:
    template <class F>
        requires(!std::is_same_v<std::remove_cvref_t<F>, ChunkTask>)
    explicit ChunkTask(F& function)
        : object_(&function),
          call_([](void* object, Index begin, Index end, int slot) { (*static_cast<F*>(object))(begin, end, slot); }) {}

    void operator()(Index begin, Index end, int slot) const { call_(object_, begin, end, slot); }

private:
    void* object_;
    void (*call_)(void*, Index, Index, int);
};

void run_chunks(int threads, Index count, Index chunk, ChunkTask task);
void run_rows(int threads, Index rows, ChunkTask task);

// Calls function(begin, end, slot) for pieces of [0, count) of at most `chunk` elements, on at most `threads` threads,
// the caller's included. A slot in [0, threads) belongs to one thread for the length of the call. The first exception
// is thrown again in the caller.
template <class F>
void parallel_for(int threads, Index count, Index chunk, F&& function) {
    run_chunks(threads, count, chunk, ChunkTask(function));
}

// parallel_for over rows, whose cost differs: pieces shrink as fewer are left, so that threads end together, and few
// are cut, for what lies on both sides of a cut is often worked on twice.
template <class F>
void parallel_rows(int threads, Index rows, F&& function) {
    run_rows(threads, rows, ChunkTask(function));
}

}  // namespace segrt
