// Bindings of the comparison of tracks with things.
#include "bind_mask_runs.h"
#include "track_fits.h"

namespace segrt {
namespace {

static_assert(sizeof(KnownTrack) == 10 * sizeof(double) && sizeof(PredictedTrack) == 8 * sizeof(double) &&
              sizeof(SeenThing) == 6 * sizeof(double));

using DoubleArray = py::array_t<double>;

template <class Row>
std::span<const Row> rows_of(const py::array& array, const char* name) {
    constexpr Index kColumns = sizeof(Row) / sizeof(double);
    if (!py::isinstance<DoubleArray>(array) || array.ndim() != 2 || array.shape(1) != kColumns ||
        (array.flags() & py::array::c_style) == 0) {
        refuse(name, "float64 with shape (N, " + std::to_string(kColumns) + "), contiguous", array);
    }
    return {static_cast<const Row*>(array.data()), static_cast<std::size_t>(array.shape(0))};
}

// Returns overlap, near, hidden and visible, (4, N, M). `worth` is unseen, seen_last, emerging, other_class, reach,
// grown.
DoubleArray fit_tracks_(const std::pair<py::array, py::array>& tracks, const std::pair<py::array, py::array>& things,
                        bool by_columns, SizeTuple size, const py::array& known, const py::array& predicted,
                        const py::array& seen, const std::array<double, 6>& worth) {
    const Size picture = checked_size(size);
    const FitMasks masks{runs_view(tracks.first, tracks.second, "tracks"),
                         runs_view(things.first, things.second, "things"), by_columns,
                         by_columns ? picture.width : picture.height, by_columns ? picture.height : picture.width};
    const auto known_rows = rows_of<KnownTrack>(known, "known");
    const auto predicted_rows = rows_of<PredictedTrack>(predicted, "predicted");
    const auto seen_rows = rows_of<SeenThing>(seen, "seen");
    DoubleArray tables({Index{4}, known.shape(0), seen.shape(0)});
    const auto cells = static_cast<std::size_t>(known.shape(0) * seen.shape(0));
    const std::span<double> all(tables.mutable_data(), 4 * cells);
    const FitTables out{all.subspan(0, cells), all.subspan(cells, cells), all.subspan(2 * cells, cells),
                        all.subspan(3 * cells, cells)};
    const py::gil_scoped_release release;
    fit_tracks(masks, known_rows, predicted_rows, seen_rows,
               {worth[0], worth[1], worth[2], worth[3], worth[4], worth[5]}, out);
    return tables;
}

}  // namespace

void bind_track_fits(py::module_& module) {
    using namespace pybind11::literals;
    module.def("fit_tracks", &fit_tracks_, "tracks"_a, "things"_a, "by_columns"_a, "size"_a, "known"_a, "predicted"_a,
               "seen"_a, "worth"_a);
}

}  // namespace segrt
