// Instance segmentation: masks from queries and from boxes, as COCO run lengths or painted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "views.h"

namespace segrt {

enum class Activation { softmax, sigmoid };

// Where a mask's mean probability is taken: over the cells of the network's grid, of the processed size, or over the
// picture's pixels.
enum class ScoreAt { grid, processed, picture };

struct QueryInstanceOptions {
    Index top_k = 100;
    float score_threshold = 0;
    Activation activation = Activation::softmax;
    bool weigh_by_mask = true;
    ScoreAt score_at = ScoreAt::grid;
    std::optional<Size> processed_size;  // masks are enlarged to this first
    std::optional<Window> window;
    int threads = 1;
};

struct Instance {
    std::int32_t class_id = 0;
    float score = 0;
    float left = 0, top = 0, right = 0, bottom = 0;  // pixel edges, so that a single pixel has width 1
    std::int32_t mask = 0;                           // index into the list of run-length codes
};

struct QueryInstances {
    std::vector<Instance> instances;  // by descending score
    std::vector<std::string> codes;   // one for each query that is used, shared by its classes
    std::int64_t nonfinite = 0;
};

// The top_k most probable (query, class) pairs, with the pixels where the query's interpolated mask logit is above 0.
// Softmax takes the last column as "no object"; sigmoid has no such column. With weigh_by_mask a score is multiplied
// by the mean mask probability over the cells above 0 (Mask2Former, SOLO). Pairs whose score is not above the
// threshold, and empty masks, are left out.
QueryInstances query_instances(const FloatTable& class_logits, const FloatStack& mask_logits, Size size,
                               const QueryInstanceOptions& options);

enum class PasteRule {
    torchvision,  // paste_masks_in_image: one pixel of padding, box edges cut to whole pixels
    detectron2,   // paste_masks_in_image: sampled at pixel centres within the exact box
};

// masks: shape (N, m, m), probabilities; boxes: shape (N, 4), x0, y0, x1, y1 in target pixels. A pixel is set when its
// value is above the threshold (detectron2: not below). Boxes that are not finite give empty masks.
// Returns the number of mask values and box coordinates that are not finite. `zeroed` says that the pictures, one after
// the other, already hold zeros, so that only boxes are written.
std::int64_t paste_masks(const FloatStack& masks, const FloatTable& boxes, PasteRule rule, float threshold, Size size,
                         int threads, std::uint8_t* pictures, bool zeroed);
std::int64_t paste_masks_rle(const FloatStack& masks, const FloatTable& boxes, PasteRule rule, float threshold,
                             Size size, int threads, std::vector<std::string>& codes);

// YOLO and YOLACT, as ultralytics' process_mask: each mask is the sum of prototypes weighted by its coefficients, 0 in
// the cells outside its box (cell index below the box's edge in cells, or not below the other), enlarged; above 0.
// prototypes: shape (P, h, w); coefficients: shape (N, P); boxes: shape (N, 4) in target pixels; the window is the part
// of the grid that shows the target. Returns how many values are not finite; a box that is not gives an empty mask.
std::int64_t prototype_masks_rle(const FloatStack& prototypes, const FloatTable& coefficients, const FloatTable& boxes,
                                 Size size, int threads, std::vector<std::string>& codes,
                                 const std::optional<Window>& window = {});

}  // namespace segrt
