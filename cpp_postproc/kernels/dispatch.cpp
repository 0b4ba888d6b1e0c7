// Which table of inner loops this processor runs.
#include <atomic>
#include <cstring>
#include <stdexcept>
#include <string>

#include "kernels.h"
#include "kernels/features.h"

namespace segrt {
namespace {

// The best first; the last two run on every processor that runs the rest of the program.
const Kernels* const kTables[] = {
#if defined(__x86_64__)
    &kAvx512Kernels,
    &kAvx2Kernels,
#endif
    &kBaselineKernels,
    &kScalarKernels,
};

bool runs(const Kernels& table, std::uint32_t features) {
    return &table == &kBaselineKernels || &table == &kScalarKernels || (table.needs & ~features) == 0;
}

std::atomic<const Kernels*> g_kernels{nullptr};

}  // namespace

const Kernels* find_kernels(const char* name) {
    for (const Kernels* table : kTables) {
        if (std::strcmp(name, table->name) == 0) {
            return table;
        }
    }
    return nullptr;
}

const Kernels& best_kernels(std::uint32_t features) {
    for (const Kernels* table : kTables) {
        if (runs(*table, features)) {
            return *table;
        }
    }
    return kBaselineKernels;
}

const Kernels& kernels() {
    const Kernels* table = g_kernels.load(std::memory_order_relaxed);
    if (table == nullptr) {
        table = &best_kernels(processor_features());
        g_kernels.store(table, std::memory_order_relaxed);
    }
    return *table;
}

void choose_kernels(const char* name) {
    const std::uint32_t features = processor_features();
    const Kernels* table = std::strcmp(name, "auto") == 0 ? &best_kernels(features) : find_kernels(name);
    if (table == nullptr || !runs(*table, features)) {
        throw std::invalid_argument(std::string("this processor or build has no kernels named ") + name);
    }
    g_kernels = table;
}

}  // namespace segrt
