#include "kept_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <new>
#include <vector>

namespace segrt {
namespace {

using Clock = std::chrono::steady_clock;

// Sizes are rounded up so that results of nearly the same size, such as one mask more, share memory.
constexpr std::size_t kGrain = std::size_t{1} << 20U;

std::size_t rounded(std::size_t bytes) {
    return (std::max(bytes, std::size_t{1}) + kGrain - 1) / kGrain * kGrain;
}

class Store {
public:
    KeptMemory take(std::size_t bytes) {
        const std::size_t size = rounded(bytes);
        {
            const std::lock_guard lock(mutex_);
            forget_idle();
            // The one let go last is the most likely to lie in a cache.
            const auto found = std::find_if(blocks_.rbegin(), blocks_.rend(),
                                            [size](const Block& block) { return block.size == size; });
            if (found != blocks_.rend()) {
                std::byte* data = found->data;
                kept_ -= size;
                blocks_.erase(std::next(found).base());
                return {data, false};
            }
        }
        void* fresh = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (fresh == MAP_FAILED) {
            throw std::bad_alloc();
        }
        return {static_cast<std::byte*>(fresh), true};
    }

    void give(std::byte* data, std::size_t bytes) {
        const Block block{data, rounded(bytes), Clock::now()};
        const std::lock_guard lock(mutex_);
        forget_idle();
        if (block.size > kMostKept) {
            free(block);
            return;
        }
        while (kept_ + block.size > kMostKept) {
            forget_oldest();
        }
        blocks_.push_back(block);
        kept_ += block.size;
    }

    std::size_t kept() {
        const std::lock_guard lock(mutex_);
        return kept_;
    }

private:
    struct Block {
        std::byte* data;
        std::size_t size;
        Clock::time_point since;
    };

    static void free(const Block& block) { munmap(block.data, block.size); }

    // Blocks lie in the order in which they were given.
    void forget_oldest() {
        free(blocks_.front());
        kept_ -= blocks_.front().size;
        blocks_.erase(blocks_.begin());
    }

    void forget_idle() {
        const auto limit = Clock::now() - std::chrono::seconds(kIdleSeconds);
        while (!blocks_.empty() && blocks_.front().since < limit) {
            forget_oldest();
        }
    }

    std::mutex mutex_;
    std::vector<Block> blocks_;
    std::size_t kept_ = 0;
};

// Never destroyed: arrays may be let go while the process ends.
Store& store() {
    static Store* const everyone = new Store;
    return *everyone;
}

}  // namespace

KeptMemory take_memory(std::size_t bytes) {
    return store().take(bytes);
}

void give_memory(std::byte* data, std::size_t bytes) {
    store().give(data, bytes);
}

std::size_t kept_memory() {
    return store().kept();
}

}  // namespace segrt
