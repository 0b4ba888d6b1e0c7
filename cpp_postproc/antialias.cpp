#include "antialias.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "kernels.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {
namespace {

// Rows that are filtered across together: sixteen values of one column lie side by side, as many as a register holds.
constexpr Index kGroup = 16;
constexpr Index kColumn = 3 * kGroup;

double weight_of(Filter filter, double distance) {
    const double x = std::abs(distance);
    if (filter == Filter::bilinear) {
        return x < 1.0 ? 1.0 - x : 0.0;
    }
    constexpr double kA = -0.5;
    if (x < 1.0) {
        return ((kA + 2.0) * x - (kA + 3.0)) * x * x + 1;
    }
    return x < 2.0 ? (((x - 5) * x + 8) * x - 4) * kA : 0.0;
}

struct Taps : FilterTaps {
    Taps(ScratchFrame& frame, Filter filter, Index source, Index target)
        : FilterTaps{frame.take<std::int32_t>(target), frame.take<std::int32_t>(target),
                     frame.take<std::int32_t>(target * most_taps(filter, source, target)),
                     most_taps(filter, source, target)} {
        make_taps(filter, source, *this);
    }
};

constexpr Index kTile = 8;

// out[i * out_stride + r] = in[r * in_stride + i] for i, r < 8: squares of 4, then 2, then 1 byte change places.
void transpose_tile(const std::uint8_t* in, Index in_stride, std::uint8_t* out, Index out_stride) {
    std::uint64_t rows[kTile];
    for (Index r = 0; r < kTile; ++r) {
        std::memcpy(&rows[r], in + r * in_stride, sizeof rows[r]);
    }
    const auto exchange = [&rows](Index distance, std::uint64_t keep, unsigned bits) {
        for (Index r = 0; r < kTile; ++r) {
            if ((r & distance) == 0) {
                const std::uint64_t upper = rows[r], lower = rows[r + distance];
                rows[r] = (upper & keep) | (lower & keep) << bits;
                rows[r + distance] = (upper >> bits & keep) | (lower & ~keep);
            }
        }
    };
    static_assert(std::endian::native == std::endian::little);
    exchange(4, 0x00000000FFFFFFFFU, 32);
    exchange(2, 0x0000FFFF0000FFFFU, 16);
    exchange(1, 0x00FF00FF00FF00FFU, 8);
    for (Index i = 0; i < kTile; ++i) {
        std::memcpy(out + i * out_stride, &rows[i], sizeof rows[i]);
    }
}

// out[i * out_stride + r] = in[r * in_stride + i] for r < rows, i < columns.
void transpose(const std::uint8_t* in, Index in_stride, Index rows, Index columns, std::uint8_t* out,
               Index out_stride) {
    const Index whole_rows = rows / kTile * kTile, whole_columns = columns / kTile * kTile;
    for (Index i = 0; i < whole_columns; i += kTile) {
        for (Index r = 0; r < whole_rows; r += kTile) {
            transpose_tile(in + r * in_stride + i, in_stride, out + i * out_stride + r, out_stride);
        }
    }
    for (Index r = 0; r < rows; ++r) {
        for (Index i = r < whole_rows ? whole_columns : 0; i < columns; ++i) {
            out[i * out_stride + r] = in[r * in_stride + i];
        }
    }
}

// Filters `rows` (at most kGroup) picture rows across: the rows are turned so that each column is contiguous, filtered
// as if downwards, and turned back. `turned` holds kColumn bytes for each picture column, `filtered` for each of `out`.
void filter_across(const Picture& picture, Index top, Index rows, const Taps& taps, Index width, std::uint8_t* turned,
                   std::uint8_t* filtered, std::uint8_t* out) {
    transpose(picture.data + top * picture.row_stride, picture.row_stride, rows, 3 * picture.width, turned, kGroup);
    for (Index x = 0; x < width; ++x) {
        const auto at = static_cast<std::size_t>(x);
        kernels().filter_bytes(turned + taps.first[at] * kColumn, kColumn, taps.weights_of(x), taps.count[at],
                               filtered + x * kColumn, kColumn);
    }
    transpose(filtered, kGroup, 3 * width, rows, out, 3 * width);
}

// By how much the filter widens, and how far it reaches then.
struct Reach {
    double scale, stretch, support;

    Reach(Filter filter, Index source, Index target)
        : scale(static_cast<double>(source) / static_cast<double>(target)),
          stretch(std::max(scale, 1.0)),
          support((filter == Filter::bicubic ? 2.0 : 1.0) * stretch) {}
};

}  // namespace

Index most_taps(Filter filter, Index source, Index target) {
    return static_cast<Index>(std::ceil(Reach(filter, source, target).support)) * 2 + 1;
}

void make_taps(Filter filter, Index source, const FilterTaps& taps) {
    const auto target = static_cast<Index>(taps.first.size());
    const Reach reach(filter, source, target);
    const double per_stretch = 1.0 / reach.stretch;
    ScratchFrame frame;
    const auto exact = frame.take<double>(taps.most);
    for (Index i = 0; i < target; ++i) {
        const double center = (static_cast<double>(i) + 0.5) * reach.scale;
        const Index begin = std::max<Index>(static_cast<Index>(std::trunc(center - reach.support + 0.5)), 0);
        const Index end = std::min(static_cast<Index>(std::trunc(center + reach.support + 0.5)), source);
        double total = 0;
        for (Index x = begin; x < end; ++x) {
            const double weight = weight_of(filter, (static_cast<double>(x) - center + 0.5) * per_stretch);
            exact[static_cast<std::size_t>(x - begin)] = weight;
            total += weight;
        }
        std::int32_t* fixed = taps.weights.data() + i * taps.most;
        for (Index k = 0; k < end - begin; ++k) {
            double weight = exact[static_cast<std::size_t>(k)];
            weight = total != 0.0 ? weight / total : weight;
            fixed[k] = static_cast<std::int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << kWeightBits));
        }
        taps.first[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(begin);
        taps.count[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(end - begin);
    }
}

void resize_antialias(const Picture& picture, Filter filter, Index height, Index width, int threads,
                      std::uint8_t* out) {
    if (picture.height < 1 || picture.width < 1 || height < 1 || width < 1) {
        throw std::invalid_argument("image and size must not be empty");
    }
    ScratchFrame frame;
    Picture across = picture;  // at target width
    if (width != picture.width) {
        const Taps taps(frame, filter, picture.width, width);
        const bool is_last = height == picture.height;
        std::uint8_t* target = is_last ? out : frame.take<std::uint8_t>(picture.height * width * 3).data();
        const Index groups = (picture.height + kGroup - 1) / kGroup;
        parallel_for(threads, groups, 1, [&](Index begin, Index end, int) {
            ScratchFrame local;
            std::uint8_t* turned = local.filled<std::uint8_t>(picture.width * kColumn, 0).data();
            std::uint8_t* filtered = local.take<std::uint8_t>(width * kColumn).data();
            for (Index group = begin; group < end; ++group) {
                const Index top = group * kGroup;
                filter_across(picture, top, std::min(kGroup, picture.height - top), taps, width, turned, filtered,
                              target + top * width * 3);
            }
        });
        if (is_last) {
            return;
        }
        across = {target, picture.height, width, width * 3};
    }
    if (height == picture.height) {
        for (Index y = 0; y < height; ++y) {
            std::memcpy(out + y * width * 3, across.data + y * across.row_stride, static_cast<std::size_t>(width * 3));
        }
        return;
    }
    const Taps taps(frame, filter, picture.height, height);
    parallel_rows(threads, height, [&](Index begin, Index end, int) {
        for (Index y = begin; y < end; ++y) {
            const auto at = static_cast<std::size_t>(y);
            kernels().filter_bytes(across.data + taps.first[at] * across.row_stride, across.row_stride,
                                   taps.weights_of(y), taps.count[at], out + y * width * 3, width * 3);
        }
    });
}

}  // namespace segrt
