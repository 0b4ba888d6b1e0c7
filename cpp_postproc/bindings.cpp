// The Python module: numpy arrays in, views to the core, numpy arrays out, by one file for each technique (bind_*.cpp).
// The GIL is released while the core works. Friendly messages are runtime/postproc/'s part; what it lets through is
// refused here again.
#include <stdexcept>

#include "bind_arrays.h"
#include "kernels.h"
#include "kernels/features.h"
#include "thread_pool.h"

namespace segrt {
namespace {

// The instruction sets that a table is compiled for, as compilers' -m flags name them.
std::vector<std::string> kernels_features(const std::string& name) {
    const Kernels* table = find_kernels(name.c_str());
    if (table == nullptr) {
        throw std::invalid_argument("this build has no kernels named " + name);
    }
    std::vector<std::string> names;
    for (const NamedFeature& named : kFeatures) {
        if ((table->needs & named.feature) != 0) {
            names.emplace_back(named.name);
        }
    }
    return names;
}

}  // namespace
}  // namespace segrt

PYBIND11_MODULE(_postproc, module) {
    using namespace segrt;
    using namespace pybind11::literals;
    module.doc() = "The C++ post-processing of segrt. Use it through segrt.runtime.postproc.";
    module.def("choose_kernels", [](const std::string& name) { choose_kernels(name.c_str()); }, "name"_a);
    module.def("kernels_name", [] { return kernels().name; });
    module.def("kernels_features", &kernels_features, "name"_a);
    module.def("default_threads", &default_threads);
    bind_panoptic(module);
    bind_semantic(module);
    bind_instances(module);
    bind_detections(module);
    bind_rle(module);
    bind_overlaps(module);
    bind_mask_runs(module);
    bind_overlay(module);
    bind_preprocess(module);
    bind_track_fits(module);
    bind_color_counts(module);
    bind_track_motion(module);
}
