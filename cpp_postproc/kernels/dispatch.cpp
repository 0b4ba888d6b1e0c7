// Which table of inner loops this processor runs.
#include <atomic>
#include <cstring>
#include <stdexcept>
#include <string>

#include "kernels.h"

namespace segrt {
namespace {

const Kernels* find(const char* name) {
    if (std::strcmp(name, kScalarKernels.name) == 0) {
        return &kScalarKernels;
    }
    if (std::strcmp(name, kBaselineKernels.name) == 0) {
        return &kBaselineKernels;
    }
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
                        __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
    if (avx512 && std::strcmp(name, kAvx512Kernels.name) == 0) {
        return &kAvx512Kernels;
    }
    if (avx2 && std::strcmp(name, kAvx2Kernels.name) == 0) {
        return &kAvx2Kernels;
    }
#endif
    return nullptr;
}

const Kernels* best() {
    for (const char* name : {"avx512", "avx2"}) {
        if (const Kernels* table = find(name); table != nullptr) {
            return table;
        }
    }
    return &kBaselineKernels;
}

std::atomic<const Kernels*> g_kernels{nullptr};

}  // namespace

const Kernels& kernels() {
    const Kernels* table = g_kernels.load(std::memory_order_relaxed);
    if (table == nullptr) {
        table = best();
        g_kernels.store(table, std::memory_order_relaxed);
    }
    return *table;
}

void choose_kernels(const char* name) {
    const Kernels* table = std::strcmp(name, "auto") == 0 ? best() : find(name);
    if (table == nullptr) {
        throw std::invalid_argument(std::string("this processor or build has no kernels named ") + name);
    }
    g_kernels = table;
}

}  // namespace segrt
