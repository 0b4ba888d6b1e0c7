// Masks as runs, moved by anything: what they share is what their pixels share, and starts are refused or describe
// runs.
#include <stdexcept>

#include <algorithm>

#include "bytes.h"
#include "mask_runs.h"
#include "rle.h"

namespace {

using namespace segrt;

std::int64_t shared_pixels(const std::vector<std::uint8_t>& first, std::uint8_t id, LineShift shift,
                           const std::vector<std::uint8_t>& second, std::uint8_t other, Size size) {
    std::int64_t count = 0;
    for (Index y = 0; y < size.height; ++y) {
        for (Index x = 0; x < size.width; ++x) {
            const Index to_y = y + shift.lines, to_x = x + shift.along;
            if (first[static_cast<std::size_t>(y * size.width + x)] == id && to_y >= 0 && to_y < size.height &&
                to_x >= 0 && to_x < size.width) {
                count += second[static_cast<std::size_t>(to_y * size.width + to_x)] == other ? 1 : 0;
            }
        }
    }
    return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Bytes bytes(data, size);
    const Size picture{bytes.between(1, 8), bytes.between(1, 80)};
    const std::array<LineShift, 2> shifts{LineShift{bytes.between(0, 20) - 10, bytes.between(0, 200) - 100},
                                          LineShift{bytes.between(0, 2) - 1, bytes.between(0, 2) - 1}};
    std::vector<std::int64_t> starts;
    for (Index i = bytes.between(0, 4); i > 0; --i) {
        starts.push_back(bytes.between(0, 6) - 1);
    }
    const auto pixels = static_cast<std::size_t>(picture.height * picture.width);
    std::vector<std::uint8_t> first(pixels), second(pixels);
    for (std::size_t i = 0; i < pixels; ++i) {
        const std::uint8_t byte = bytes.byte();
        first[i] = byte & 3U;
        second[i] = static_cast<std::uint8_t>(byte >> 2U) & 3U;
    }
    const std::vector<LineRun> runs(3);
    try {
        check_runs({runs, starts}, "masks");
    } catch (const std::invalid_argument&) {
        starts.clear();
    }
    const auto map = [&](const std::vector<std::uint8_t>& ids) {
        return ClassMap{
            reinterpret_cast<const std::byte*>(ids.data()), 1, picture.height, picture.width, {picture.width, 1}};
    };
    const std::vector<std::int32_t> ids{2, 1};
    MaskRuns one, other;
    runs_of_map(map(first), ids, one);
    runs_of_map(map(second), ids, other);
    std::array<std::int64_t, 4> counts{};
    count_shared({one.runs, one.starts}, shifts, {other.runs, other.starts}, counts);
    for (std::size_t i = 0; i < 4; ++i) {
        const auto id = static_cast<std::uint8_t>(ids[i / 2]), met = static_cast<std::uint8_t>(ids[i % 2]);
        if (counts[i] != shared_pixels(first, id, shifts[i / 2], second, met, picture)) {
            __builtin_trap();
        }
    }
    MaskRuns taken;
    take_runs({one.runs, one.starts}, {other.runs, other.starts}, std::array<std::int64_t, 3>{3, 0, 3}, taken);
    const MaskRunsView all{taken.runs, taken.starts}, from{other.runs, other.starts};
    if (extent_of(all.mask(0)).area != extent_of(from.mask(1)).area || all.mask(2).size() != from.mask(1).size()) {
        __builtin_trap();
    }
    // Rows read as columns: of any runs in any order, twice, the code is that of their union.
    std::vector<LineRun> twice(one.runs.rbegin(), one.runs.rend());
    twice.insert(twice.end(), one.runs.begin(), one.runs.end());
    const std::vector<std::int64_t> whole{0, static_cast<std::int64_t>(twice.size())};
    std::vector<std::string> codes;
    codes_of_runs({twice, whole}, {picture.width, picture.height}, codes);
    std::vector<std::uint32_t> counts_of_code;
    unpack_counts(codes.front(), picture.width, picture.height, counts_of_code);
    if (area_of_counts(counts_of_code) !=
        std::ranges::count_if(first, [](std::uint8_t id) { return id == 1 || id == 2; })) {
        __builtin_trap();
    }
    for (std::size_t i = 0; i < 2; ++i) {
        const RunExtent extent = extent_of(MaskRunsView{one.runs, one.starts}.mask(i));
        if (extent.area < 0 || extent.area > (extent.last_line - extent.first_line) * (extent.end - extent.begin)) {
            __builtin_trap();
        }
    }
    return 0;
}
