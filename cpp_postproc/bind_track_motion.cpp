// Bindings of the motion of tracks; arrays of their state are changed in place.
#include "bind_arrays.h"
#include "track_motion.h"

namespace segrt {
namespace {

static_assert(sizeof(MotionNumbers) == 4 * sizeof(double) && sizeof(MotionVariance) == 12 * sizeof(double) &&
              sizeof(Box) == 4 * sizeof(double) && sizeof(PredictedTrack) == 8 * sizeof(double));

template <class Value, class Row>
std::span<Row> entries_of(const py::array& array, const char* name, const char* expected, bool writable) {
    const bool rows = array.ndim() > 0 && array.nbytes() == array.shape(0) * static_cast<Index>(sizeof(Row));
    if (!py::isinstance<py::array_t<Value>>(array) || !rows || (array.flags() & py::array::c_style) == 0 ||
        (writable && !array.writeable())) {
        refuse(name, expected, array);
    }
    return {static_cast<Row*>(const_cast<void*>(array.data())), static_cast<std::size_t>(array.shape(0))};
}

using StateArrays = std::array<py::array, 3>;

MotionState state_of(const StateArrays& arrays) {
    const char* numbers = "float64 with shape (N, 4), contiguous, writable";
    return {entries_of<double, MotionNumbers>(arrays[0], "place", numbers, true),
            entries_of<double, MotionNumbers>(arrays[1], "speed", numbers, true),
            entries_of<double, MotionVariance>(arrays[2], "variance",
                                               "float64 with shape (N, 4, 3), contiguous, writable", true)};
}

std::span<const bool> flags_of(const py::array& array, const char* name) {
    return entries_of<bool, const bool>(array, name, "bool with shape (N,), contiguous", false);
}

MotionModel model_of(const std::array<double, 4>& model) {
    return {model[0], model[1], model[2], model[3]};
}

void predict_motion_(const StateArrays& state, const std::array<double, 3>& time, const py::array& lost,
                     const std::array<double, 4>& model) {
    predict_motion(state_of(state), {time[0], time[1], time[2]}, flags_of(lost, "lost"), model_of(model));
}

void correct_motion_(const StateArrays& state, const py::array& rows, const py::array& boxes, const py::array& part,
                     const std::array<double, 4>& model) {
    correct_motion(
        state_of(state),
        entries_of<std::int64_t, const std::int64_t>(rows, "rows", "int64 with shape (K,), contiguous", false),
        entries_of<double, const Box>(boxes, "boxes", "float64 with shape (K, 4), contiguous", false),
        flags_of(part, "part"), model_of(model));
}

// Returns (N, 8): centre, box, deviations.
py::array_t<double> predicted_tracks_(const StateArrays& state, double turning) {
    const MotionState motion = state_of(state);
    py::array_t<double> tracks({static_cast<Index>(motion.place.size()), Index{8}});
    predicted_tracks(motion, turning, {reinterpret_cast<PredictedTrack*>(tracks.mutable_data()), motion.place.size()});
    return tracks;
}

}  // namespace

void bind_track_motion(py::module_& module) {
    using namespace pybind11::literals;
    module.def("predict_motion", &predict_motion_, "state"_a, "time"_a, "lost"_a, "model"_a);
    module.def("correct_motion", &correct_motion_, "state"_a, "rows"_a, "boxes"_a, "part"_a, "model"_a);
    module.def("predicted_tracks", &predicted_tracks_, "state"_a, "turning"_a);
}

}  // namespace segrt
