#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <vector>

#include "language.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace segrt::emulator {
namespace {

constexpr std::size_t kStackBytes = 128 << 10;
constexpr unsigned kWarp = 32;

enum class State { ready, at_block_barrier, at_warp_barrier, done };

struct Fiber {
    ucontext_t context{};
    std::vector<std::byte> stack;
    Dim index;
    State state = State::done;
};

// What the lanes of a warp give each other. Two sets: the next exchange begins before the last lane has read.
struct Warp {
    std::array<std::array<std::uint64_t, kWarp>, 2> values{};
    std::array<std::uint32_t, 2> lanes{};
    std::array<unsigned, kWarp> exchanges{};  // of each lane
};

std::vector<Fiber> fibers;
std::vector<Warp> warps;
std::vector<unsigned> order;
ucontext_t scheduler;
unsigned current;
void (*body)(void*);
void* body_context;
unsigned order_seed = 0;  // 0: forward, 1: backward, others: shuffled

#if defined(__SANITIZE_ADDRESS__)
const void* scheduler_stack;
std::size_t scheduler_stack_bytes;
#endif

void switch_to_fiber(Fiber& fiber) {
#if defined(__SANITIZE_ADDRESS__)
    void* own = nullptr;
    __sanitizer_start_switch_fiber(&own, fiber.stack.data(), fiber.stack.size());
    swapcontext(&scheduler, &fiber.context);
    __sanitizer_finish_switch_fiber(own, nullptr, nullptr);
#else
    swapcontext(&scheduler, &fiber.context);
#endif
}

void wait_as(State state) {
    Fiber& fiber = fibers[current];
    fiber.state = state;
#if defined(__SANITIZE_ADDRESS__)
    void* own = nullptr;
    __sanitizer_start_switch_fiber(&own, scheduler_stack, scheduler_stack_bytes);
    swapcontext(&fiber.context, &scheduler);
    __sanitizer_finish_switch_fiber(own, &scheduler_stack, &scheduler_stack_bytes);
#else
    swapcontext(&fiber.context, &scheduler);
#endif
}

void begin_fiber() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_bytes);
#endif
    body(body_context);
    fibers[current].state = State::done;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(nullptr, scheduler_stack, scheduler_stack_bytes);
#endif
    setcontext(&scheduler);
}

void start_fiber(Fiber& fiber) {
    fiber.stack.resize(kStackBytes);
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(fiber.stack.data(), fiber.stack.size());
#endif
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, begin_fiber, 0);
    fiber.state = State::ready;
}

// Lets those of the threads [begin, end) go on that all wait at `barrier`; returns whether they did.
bool release(State barrier, unsigned begin, unsigned end) {
    bool any = false;
    for (unsigned i = begin; i < end; ++i) {
        if (fibers[i].state != State::done && fibers[i].state != barrier) {
            return false;
        }
        any = any || fibers[i].state == barrier;
    }
    for (unsigned i = begin; any && i < end; ++i) {
        fibers[i].state = fibers[i].state == barrier ? State::ready : fibers[i].state;
    }
    return any;
}

bool release_barriers(unsigned threads) {
    bool any = release(State::at_block_barrier, 0, threads);
    for (unsigned begin = 0; begin < threads; begin += kWarp) {
        any = release(State::at_warp_barrier, begin, std::min(begin + kWarp, threads)) || any;
    }
    return any;
}

void run_block(unsigned threads) {
    warps.assign((threads + kWarp - 1) / kWarp, {});
    for (unsigned i = 0; i < threads; ++i) {
        fibers[i].index = {i % block_size.x, i / block_size.x % block_size.y, i / block_size.x / block_size.y};
        start_fiber(fibers[i]);
    }
    bool runs = true;
    while (runs) {
        for (const unsigned i : order) {
            if (fibers[i].state == State::ready) {
                current = i;
                thread_index = fibers[i].index;
                switch_to_fiber(fibers[i]);
            }
        }
        runs = release_barriers(threads);
    }
    for (unsigned i = 0; i < threads; ++i) {
        if (fibers[i].state != State::done) {
            std::fprintf(stderr, "a kernel's threads wait at different barriers\n");
            std::abort();
        }
    }
}

std::vector<unsigned> ordered(unsigned count, std::mt19937& random) {
    std::vector<unsigned> numbers(count);
    std::iota(numbers.begin(), numbers.end(), 0U);
    if (order_seed == 1) {
        std::reverse(numbers.begin(), numbers.end());
    } else if (order_seed > 1) {
        std::shuffle(numbers.begin(), numbers.end(), random);
    }
    return numbers;
}

}  // namespace

void block_barrier() {
    wait_as(State::at_block_barrier);
}

unsigned lane() {
    return current % kWarp;
}

const std::uint64_t* exchange(std::uint64_t value, std::uint32_t& lanes) {
    Warp& warp = warps[current / kWarp];
    const unsigned set = warp.exchanges[lane()]++ % 2;
    // The first lane that comes begins the set anew: nobody reads what is two exchanges old.
    bool first = true;
    for (unsigned other = 0; other < kWarp; ++other) {
        first = first && (other == lane() || warp.exchanges[other] < warp.exchanges[lane()]);
    }
    warp.lanes[set] = (first ? 0U : warp.lanes[set]) | 1U << lane();
    warp.values[set][lane()] = value;
    wait_as(State::at_warp_barrier);
    lanes = warps[current / kWarp].lanes[set];
    return warps[current / kWarp].values[set].data();
}

void run(Dim grid, Dim block, void (*thread)(void*), void* context) {
    const unsigned threads = block.x * block.y * block.z;
    grid_size = grid;
    block_size = block;
    body = thread;
    body_context = context;
    fibers.resize(std::max<std::size_t>(fibers.size(), threads));
    std::mt19937 random(order_seed);
    for (const unsigned i : ordered(grid.x * grid.y * grid.z, random)) {
        block_index = {i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y};
        order = ordered(threads, random);
        run_block(threads);
    }
}

}  // namespace segrt::emulator

// 0: threads and blocks run in their order, 1: backwards, others: shuffled by this seed.
extern "C" void choose_order(unsigned seed) {
    segrt::emulator::order_seed = seed;
}
