// The readable versions of the inner loops. Only tests use them, as the reference that every fast version equals.
#include "kernels.h"
#include "kernels/bits_scalar.h"
#include "kernels/bytes_scalar.h"
#include "kernels/changes_scalar.h"
#include "kernels/label_scalar.h"
#include "kernels/mask_scalar.h"
#include "kernels/overlay_scalar.h"
#include "kernels/rows_scalar.h"
#include "kernels/two_views.h"

namespace segrt {

const Kernels kScalarKernels{
    .name = "scalar",
    .needs = 0,
    .read = read,
    .sigmoid = sigmoid,
    .label8 = label<std::uint8_t>,
    .label16 = label<std::uint16_t>,
    .resize = resize,
    .combine = combine,
    .combine_classes = combine_classes,
    .sum_probabilities = sum_probabilities,
    .add_probabilities = add_probabilities,
    .softmax = softmax,
    .least_decay = least_decay,
    .turn = turn,
    .blend_row = blend_row,
    .paint8 = paint<std::uint8_t>,
    .paint16 = paint<std::uint16_t>,
    .grid_sides = grid_sides,
    .column_changes = column_changes,
    .enlarge_row = enlarge_row,
    .blend_pixels = blend_pixels,
    .normalize_row = normalize_row,
    .cut_row = cut_row,
    .highest_row = highest_row,
    .judge_views = judge_views,
    .pack_row = pack_row,
    .count_common = count_common,
    .paint_bits = paint_bits,
    .filter_bytes = filter_bytes,
    .clear_pictures = clear_pictures,
    .changes8 = row_changes<std::uint8_t>,
    .changes16 = row_changes<std::uint16_t>,
    .changes32 = row_changes<std::int32_t>,
    .tint_row = tint_row,
    .blur_columns = blur_columns,
    .lay_row = lay_row,
    .lay_even = lay_even,
    .differ_row = differ_row,
    .any_row = any_row,
    .line_row = line_row,
};

}  // namespace segrt
