#include "thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

namespace segrt {
namespace {

// One parallel_for. It lives on the caller's stack; the pool's list of jobs links through `next`.
struct Job {
    ChunkTask task;
    Index count, chunk;
    Index shares;  // of what is left, a piece is one, and `chunk` at least; 0: all are `chunk`
    int helpers_wanted;
    std::atomic<Index> position{0};
    std::atomic<int> slots{1};  // slot 0 is the caller's
    int helpers_inside = 0;     // guarded by the pool's mutex
    std::exception_ptr error;   // guarded by the pool's mutex
    Job* next = nullptr;

    Job(ChunkTask what, Index how_many, Index at_once, Index parts, int helpers)
        : task(what), count(how_many), chunk(at_once), shares(parts), helpers_wanted(helpers) {}

    void work(int slot) {
        Index begin = position.load(std::memory_order_relaxed);
        while (begin < count) {
            const Index end = begin + piece(count - begin);
            if (position.compare_exchange_weak(begin, end, std::memory_order_relaxed)) {
                task(begin, end, slot);
                begin = position.load(std::memory_order_relaxed);
            }
        }
    }

    [[nodiscard]] Index piece(Index left) const {
        return std::min(left, shares == 0 ? chunk : std::max(chunk, left / shares));
    }
};

class Pool {
public:
    void run(Job& job) {
        {
            const std::lock_guard lock(mutex_);
            hire(job.helpers_wanted);
            job.next = jobs_;
            jobs_ = &job;
        }
        wake_.notify_all();
        std::exception_ptr error;
        try {
            job.work(0);
        } catch (...) {
            error = std::current_exception();
            job.position = job.count;
        }
        std::unique_lock lock(mutex_);
        remove(job);
        left_.wait(lock, [&job] { return job.helpers_inside == 0; });
        if (!error) {
            error = job.error;
        }
        lock.unlock();
        if (error) {
            std::rethrow_exception(error);
        }
    }

private:
    // Where the system gives no more threads, there are fewer: the caller does their share.
    void hire(int wanted) {
        bool given = true;
        while (given && static_cast<int>(workers_.size()) < wanted) {
            given = hire_one();
        }
    }

    bool hire_one() {
        try {
            workers_.emplace_back([this] { serve(); });
            workers_.back().detach();
            return true;
        } catch (const std::system_error&) {
            return false;
        }
    }

    void remove(const Job& job) {
        Job** link = &jobs_;
        while (*link != nullptr && *link != &job) {
            link = &(*link)->next;
        }
        if (*link != nullptr) {
            *link = job.next;
        }
    }

    Job* find_open() {
        for (Job* job = jobs_; job != nullptr; job = job->next) {
            if (job->slots <= job->helpers_wanted && job->position < job->count) {
                return job;
            }
        }
        return nullptr;
    }

    void serve() {
        std::unique_lock lock(mutex_);
        for (;;) {
            Job* job = nullptr;
            wake_.wait(lock, [&] { return (job = find_open()) != nullptr; });
            const int slot = job->slots++;
            ++job->helpers_inside;
            lock.unlock();
            std::exception_ptr error;
            try {
                job->work(slot);
            } catch (...) {
                error = std::current_exception();
                job->position = job->count;
            }
            lock.lock();
            if (error && !job->error) {
                job->error = error;
            }
            if (--job->helpers_inside == 0) {
                left_.notify_all();
            }
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_, left_;
    std::vector<std::thread> workers_;
    Job* jobs_ = nullptr;
};

// Never destroyed: workers may still wait on it while the process ends. A forked child has no workers and starts anew.
std::atomic<Pool*> g_pool{nullptr};

Pool& pool() {
    static const bool ready = [] {
        g_pool = new Pool;
        pthread_atfork(nullptr, nullptr, [] { g_pool = new Pool; });
        return true;
    }();
    static_cast<void>(ready);
    return *g_pool;
}

}  // namespace

int default_threads() {
    static const int threads = [] {
        if (const char* wish = std::getenv("SEGRT_THREADS"); wish != nullptr) {
            const std::string_view text(wish);
            int number = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
            if (error != std::errc{} || end != text.data() + text.size() || number < 1 || number > 256) {
                throw std::invalid_argument("the variable SEGRT_THREADS must be 1 to 256, but is '" +
                                            std::string(text) + "'; correct it, or unset it for all processors");
            }
            return number;
        }
        cpu_set_t set;
        if (sched_getaffinity(0, sizeof set, &set) == 0) {
            return std::max(CPU_COUNT(&set), 1);
        }
        return std::max(static_cast<int>(std::thread::hardware_concurrency()), 1);
    }();
    return threads;
}

Index rows_per_chunk(Index rows, int threads) {
    constexpr Index kPiecesPerThread = 4, kFewest = 8;
    return threads <= 1 ? rows : std::max(kFewest, rows / (threads * kPiecesPerThread));
}

std::int64_t sum(std::span<const std::int64_t> numbers) {
    return std::accumulate(numbers.begin(), numbers.end(), std::int64_t{0});
}

void run_chunks(int threads, Index count, Index chunk, ChunkTask task) {
    if (count <= 0) {
        return;
    }
    const Index pieces = (count + chunk - 1) / chunk;
    const int helpers = static_cast<int>(std::min<Index>(threads, pieces)) - 1;
    if (helpers <= 0) {
        for (Index begin = 0; begin < count; begin += chunk) {
            task(begin, std::min(begin + chunk, count), 0);
        }
        return;
    }
    Job job(task, count, chunk, 0, helpers);
    pool().run(job);
}

void run_rows(int threads, Index rows, ChunkTask task) {
    constexpr Index kFewest = 16;
    const int helpers = static_cast<int>(std::min<Index>(threads, (rows + kFewest - 1) / kFewest)) - 1;
    if (helpers <= 0) {
        if (rows > 0) {
            task(0, rows, 0);
        }
        return;
    }
    // The first pieces are two thirds of a thread's share.
    Job job(task, rows, kFewest, (3 * Index{helpers + 1} + 1) / 2, helpers);
    pool().run(job);
}

}  // namespace segrt
