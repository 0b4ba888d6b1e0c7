// What the bindings share: the types of arguments, and their conversion from numpy arrays to the core's views, which
// refuses what does not fit. Only the files named bind*.cpp know Python.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "views.h"

namespace segrt {

namespace py = pybind11;

using SizeTuple = std::pair<Index, Index>;                                      // height, width
using WindowTuple = std::optional<std::tuple<double, double, double, double>>;  // top, left, bottom, right
using ClassIds = std::vector<std::int64_t>;
using SegmentIds = std::vector<std::int32_t>;  // of panoptic maps and label maps
using Codes = std::vector<std::string>;        // run lengths as bytes, one for each mask
using IntArray = py::array_t<std::int64_t>;
using FloatArray = py::array_t<float>;
using ByteArray = py::array_t<std::uint8_t>;

[[noreturn]] void refuse(const std::string& name, const std::string& wanted, const py::array& array);

FloatStack float_stack(const py::array& array, const char* name, const char* shape);
FloatTable float_table(const py::array& array, const char* name, const char* shape);
MaskStack mask_stack(const py::array& array, const char* name);
ClassMap class_map(const py::array& array, const char* name);

template <class T>
Map<T> writable_map(py::array& array, const char* name) {
    if (!py::isinstance<py::array_t<T>>(array) || array.ndim() != 2 || !array.writeable() ||
        (array.shape(1) > 1 && array.strides(1) != array.itemsize()) || array.strides(0) % array.itemsize() != 0) {
        refuse(name, "writable, of the result's type, with shape (H, W) and contiguous rows", array);
    }
    return {static_cast<T*>(array.mutable_data()), array.shape(0), array.shape(1), array.strides(0) / array.itemsize()};
}

// The bytes of `count` pictures, one after the other.
std::uint8_t* writable_pictures(py::array& array, const char* name, Index count);

Size checked_size(SizeTuple size);
int checked_threads(int threads);  // 0 stands for the default
std::optional<Window> checked_window(const WindowTuple& window);

py::list bytes_list(const Codes& codes);

// One for each technique: adds its functions to the module.
void bind_panoptic(py::module_& module);
void bind_semantic(py::module_& module);
void bind_instances(py::module_& module);
void bind_detections(py::module_& module);
void bind_rle(py::module_& module);
void bind_overlaps(py::module_& module);
void bind_mask_runs(py::module_& module);
void bind_overlay(py::module_& module);
void bind_preprocess(py::module_& module);
void bind_track_fits(py::module_& module);
void bind_color_counts(py::module_& module);
void bind_track_motion(py::module_& module);

}  // namespace segrt
