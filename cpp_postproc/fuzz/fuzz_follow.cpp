// What following things computes beside their overlaps: colours under any runs add up to their pixels or the runs are
// refused; motion of any numbers moves the tracks that were seen and no other.
#include <array>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "bytes.h"
#include "color_counts.h"
#include "track_motion.h"

namespace {

using namespace segrt;

void count_colors(fuzz::Bytes& bytes) {
    const Index height = bytes.between(1, 5), width = bytes.between(1, 40);
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(height * width * 3));
    for (std::uint8_t& value : pixels) {
        value = bytes.byte();
    }
    const bool by_columns = bytes.between(0, 1) == 1;
    std::vector<LineRun> runs(static_cast<std::size_t>(bytes.between(0, 3)));
    std::vector<double> areas{0, 0};
    for (LineRun& run : runs) {
        const Index begin = bytes.between(0, 42) - 1;
        run = {static_cast<std::int32_t>(bytes.between(0, 41) - 1), static_cast<std::int32_t>(begin),
               static_cast<std::int32_t>(begin + bytes.between(0, 12))};
        areas[0] += run.end - run.begin;
    }
    const auto count = static_cast<std::int64_t>(runs.size());
    const std::vector<std::int64_t> starts{0, count, count};
    std::vector<double> counts(2 * static_cast<std::size_t>(kColors), -1.0);
    try {
        color_counts({pixels.data(), height, width, width * 3}, {runs, starts}, by_columns, bytes.between(0, 20),
                     counts);
    } catch (const std::invalid_argument&) {
        return;
    }
    for (std::size_t mask = 0; mask < 2; ++mask) {
        double sum = 0;
        for (std::size_t i = 0; i < static_cast<std::size_t>(kColors); ++i) {
            sum += counts[mask * static_cast<std::size_t>(kColors) + i];
        }
        if (std::abs(sum - areas[mask]) > 1e-6) {
            __builtin_trap();
        }
    }
}

void move_tracks(fuzz::Bytes& bytes) {
    std::array<MotionNumbers, 2> place{}, speed{};
    std::array<MotionVariance, 2> variance{};
    for (std::size_t track = 0; track < 2; ++track) {
        for (std::size_t i = 0; i < 4; ++i) {
            place[track].of[i] = bytes.number();
            speed[track].of[i] = bytes.number();
            for (double& number : variance[track].of[i]) {
                number = bytes.number();
            }
        }
    }
    const MotionState state{place, speed, variance};
    const double seconds = bytes.number();
    const MotionModel model{bytes.number(), bytes.number(), bytes.number(), bytes.number()};
    const std::array<bool, 2> lost{bytes.between(0, 1) == 1, bytes.between(0, 1) == 1};
    predict_motion(state, {seconds, seconds * seconds, seconds * seconds * seconds}, lost, model);
    const auto before = place;
    const std::array<std::int64_t, 1> rows{bytes.between(0, 3) - 1};
    const std::array<Box, 1> boxes{Box{bytes.number(), bytes.number(), bytes.number(), bytes.number()}};
    const std::array<bool, 1> part{bytes.between(0, 1) == 1};
    try {
        correct_motion(state, rows, boxes, part, model);
        if (rows[0] < 0 || rows[0] > 1) {
            __builtin_trap();
        }
    } catch (const std::invalid_argument&) {
        if (rows[0] >= 0 && rows[0] <= 1) {
            __builtin_trap();
        }
        return;
    }
    const auto other = static_cast<std::size_t>(1 - rows[0]);
    if (std::memcmp(&before[other], &place[other], sizeof(MotionNumbers)) != 0) {
        __builtin_trap();
    }
    std::array<PredictedTrack, 2> predicted{};
    predicted_tracks(state, bytes.number(), predicted);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Bytes bytes(data, size);
    count_colors(bytes);
    move_tracks(bytes);
    return 0;
}
