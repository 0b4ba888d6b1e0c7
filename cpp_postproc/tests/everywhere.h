// The same result with every kernel table and thread count.
#pragma once

#include <gtest/gtest.h>

#include "kernels.h"
#include "scenes.h"

namespace segrt::test {

// Runs `function` once with every kernel table, on one or two threads, and expects the first result each time.
template <class F>
void expect_same_everywhere(F&& function) {
    choose_kernels("scalar");
    const auto expected = function(1);
    for (const char* name : kernel_names()) {
        choose_kernels(name);
        for (const int threads : {1, 2}) {
            EXPECT_EQ(function(threads), expected) << name << ", threads: " << threads;
        }
    }
    choose_kernels("auto");
}

}  // namespace segrt::test
