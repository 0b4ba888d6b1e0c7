// The inner loops, written so that compilers vectorise them; compiled once per instruction set, with SEGRT_KERNELS
// naming the table. Internal linkage and no standard library templates: a function compiled here for a newer processor
// must never be the copy that the linker keeps for all.

#include "kernels.h"
#include "kernels/bits_fast.h"
#include "kernels/bytes_fast.h"
#include "kernels/changes_fast.h"
#include "kernels/features.h"
#include "kernels/label_fast.h"
#include "kernels/mask_fast.h"
#include "kernels/overlay_fast.h"
#include "kernels/rows_fast.h"
#include "kernels/turn_fast.h"
#include "kernels/two_views.h"

namespace segrt {

extern const Kernels SEGRT_KERNELS;
const Kernels SEGRT_KERNELS{
    .name = SEGRT_KERNELS_NAME,
    .needs = kCompiledFor,
    .read = read_row,
    .sigmoid = sigmoid_row,
    .label8 = label<std::uint8_t>,
    .label16 = label<std::uint16_t>,
    .resize = resize_rows,
    .combine = combine_rows,
    .combine_classes = combine_classes,
    .sum_probabilities = sum_probabilities,
    .add_probabilities = add_probabilities,
    .softmax = softmax_row,
    .least_decay = least_decay,
    .turn = turn,
    .blend_row = blend_row,
    .paint8 = paint_row<std::uint8_t>,
    .paint16 = paint_row<std::uint16_t>,
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
