// Bindings of masks as runs. A set of masks is a pair of arrays: runs int32 (R, 3), starts int64 (N + 1,).
#include "bind_mask_runs.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <span>

namespace segrt {
namespace {

static_assert(sizeof(LineRun) == 3 * sizeof(std::int32_t));

using RunArray = py::array_t<std::int32_t, py::array::c_style>;

template <class T>
bool is_plain(const py::array& array, py::ssize_t dimensions) {
    return py::isinstance<py::array_t<T>>(array) && array.ndim() == dimensions &&
           (array.flags() & py::array::c_style) != 0;
}

py::tuple arrays_of(const MaskRuns& masks) {
    RunArray runs({static_cast<Index>(masks.runs.size()), Index{3}});
    if (!masks.runs.empty()) {
        std::memcpy(runs.mutable_data(), masks.runs.data(), masks.runs.size() * sizeof(LineRun));
    }
    IntArray starts(static_cast<Index>(masks.starts.size()));
    std::ranges::copy(masks.starts, starts.mutable_data());
    return py::make_tuple(runs, starts);
}

py::tuple runs_of_map_(const py::array& map, const SegmentIds& ids) {
    const ClassMap view = class_map(map, "map");
    if (std::max(view.height, view.width) > std::numeric_limits<std::int32_t>::max()) {
        refuse("map", "of fewer than 2**31 rows and columns", map);
    }
    MaskRuns masks;
    {
        const py::gil_scoped_release release;
        runs_of_map(view, ids, masks);
    }
    return arrays_of(masks);
}

py::tuple runs_of_codes_(const Codes& codes, SizeTuple size) {
    const Size target = checked_size(size);
    MaskRuns masks;
    {
        const py::gil_scoped_release release;
        runs_of_codes(codes, target, masks);
    }
    return arrays_of(masks);
}

py::tuple take_runs_(const py::array& runs, const py::array& starts, const py::array& other_runs,
                     const py::array& other_starts, const ClassIds& places) {
    const MaskRunsView first = runs_view(runs, starts, "first");
    const MaskRunsView second = runs_view(other_runs, other_starts, "second");
    MaskRuns masks;
    take_runs(first, second, places, masks);
    return arrays_of(masks);
}

py::list codes_of_runs_(const py::array& runs, const py::array& starts, SizeTuple size) {
    const MaskRunsView view = runs_view(runs, starts, "masks");
    const Size target = checked_size(size);
    Codes codes;
    {
        const py::gil_scoped_release release;
        codes_of_runs(view, target, codes);
    }
    return bytes_list(codes);
}

// Areas (N,), and first_line, begin, last_line, end (N, 4).
py::tuple measure_runs_(const py::array& runs, const py::array& starts) {
    const MaskRunsView view = runs_view(runs, starts, "masks");
    const auto count = static_cast<Index>(view.count());
    IntArray areas(count);
    IntArray extents({count, Index{4}});
    for (Index i = 0; i < count; ++i) {
        const RunExtent extent = extent_of(view.mask(static_cast<std::size_t>(i)));
        areas.mutable_at(i) = extent.area;
        extents.mutable_at(i, 0) = extent.first_line;
        extents.mutable_at(i, 1) = extent.begin;
        extents.mutable_at(i, 2) = extent.last_line;
        extents.mutable_at(i, 3) = extent.end;
    }
    return py::make_tuple(areas, extents);
}

// `shifts` is int64 (N, 2): how far each of first's masks is moved, to higher lines and along them.
IntArray count_shared_(const py::array& runs, const py::array& starts, const py::array& shifts,
                       const py::array& other_runs, const py::array& other_starts) {
    const MaskRunsView first = runs_view(runs, starts, "first");
    const MaskRunsView second = runs_view(other_runs, other_starts, "second");
    constexpr std::int64_t kFarthest = std::int64_t{1} << 40;
    if (!is_plain<std::int64_t>(shifts, 2) || shifts.shape(1) != 2) {
        refuse("shifts", "int64 with shape (N, 2), contiguous", shifts);
    }
    const auto* values = static_cast<const std::int64_t*>(shifts.data());
    std::vector<LineShift> moves;
    moves.reserve(static_cast<std::size_t>(shifts.shape(0)));
    for (Index i = 0; i < shifts.shape(0); ++i) {
        moves.push_back(
            {std::clamp(values[2 * i], -kFarthest, kFarthest), std::clamp(values[2 * i + 1], -kFarthest, kFarthest)});
    }
    IntArray counts({static_cast<Index>(first.count()), static_cast<Index>(second.count())});
    const std::span<std::int64_t> cells(counts.mutable_data(), static_cast<std::size_t>(counts.size()));
    {
        const py::gil_scoped_release release;
        count_shared(first, moves, second, cells);
    }
    return counts;
}

}  // namespace

MaskRunsView runs_view(const py::array& runs, const py::array& starts, const char* name) {
    if (!is_plain<std::int32_t>(runs, 2) || runs.shape(1) != 3) {
        refuse(name, "of runs int32 with shape (R, 3), contiguous", runs);
    }
    if (!is_plain<std::int64_t>(starts, 1)) {
        refuse(name, "of starts int64 with shape (N + 1,), contiguous", starts);
    }
    const MaskRunsView view{
        {static_cast<const LineRun*>(runs.data()), static_cast<std::size_t>(runs.shape(0))},
        {static_cast<const std::int64_t*>(starts.data()), static_cast<std::size_t>(starts.shape(0))}};
    check_runs(view, name);
    return view;
}

void bind_mask_runs(py::module_& module) {
    using namespace pybind11::literals;
    module.def("runs_of_map", &runs_of_map_, "map"_a, "ids"_a);
    module.def("runs_of_codes", &runs_of_codes_, "codes"_a, "size"_a);
    module.def("take_runs", &take_runs_, "runs"_a, "starts"_a, "other_runs"_a, "other_starts"_a, "places"_a);
    module.def("codes_of_runs", &codes_of_runs_, "runs"_a, "starts"_a, "size"_a);
    module.def("measure_runs", &measure_runs_, "runs"_a, "starts"_a);
    module.def("count_shared", &count_shared_, "runs"_a, "starts"_a, "shifts"_a, "other_runs"_a, "other_starts"_a);
}

}  // namespace segrt
