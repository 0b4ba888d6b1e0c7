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
// Nothing is filled in: masks have no box, and beyond the grid its edge cells count on.
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
// value is above the threshold (detectron2: not below). Boxes that are not finite give empty masks. What lies outside a
// mask is 0, a probability of nothing: the cell around it that interpolation blends in, and all other pixels. Logits,
// in which 0 is a probability of 0.5, must be brought to probabilities first. Returns the number of mask values and box
// coordinates that are not finite. `zeroed` says that the pictures, one after the other, already hold zeros, so that
// only boxes are written.
std::int64_t paste_masks(const FloatStack& masks, const FloatTable& boxes, PasteRule rule, float threshold, Size size,
                         int threads, std::uint8_t* pictures, bool zeroed);
std::int64_t paste_masks_rle(const FloatStack& masks, const FloatTable& boxes, PasteRule rule, float threshold,
                             Size size, int threads, std::vector<std::string>& codes);

// masks: shape (N, h, w), each a grid over the whole input, of which the target shows the window: enlarged, a pixel is
// set when its value is above the threshold. Nothing is filled in: beyond the grid its edge cells count on. Returns how
// many values are not finite.
std::int64_t whole_masks_rle(const FloatStack& masks, float threshold, Size size, int threads,
                             std::vector<std::string>& codes, const std::optional<Window>& window = {});

struct StepwiseMasks {
    float threshold = 0;
    Size processed;  // what each grid is enlarged to first, as a whole
    Window window;   // the part of that, in its pixels, that the target shows
};

// As whole_masks_rle, in two steps (SOLO). What lies outside the pixels that the window touches is not blended in.
std::int64_t stepwise_masks_rle(const FloatStack& masks, const StepwiseMasks& steps, Size size, int threads,
                                std::vector<std::string>& codes);

struct PrototypeMaskOptions {
    std::optional<Window> window;   // the part of the grid that shows the target
    std::optional<Size> processed;  // what masks are enlarged to first, as a whole; the window's part is then cut out
    bool compat = false;            // cut boxes out of the grid, before it is enlarged
    int threads = 1;
};

// YOLO and YOLACT: each mask is the sum of prototypes weighted by its coefficients, enlarged; the pixels above 0 whose
// index is not below the box's edge, and below the other. Nothing is filled in: what lies outside a box takes no part,
// and beyond the grid, or beyond what was cut out of it, its edge cells count on (ultralytics 8.4, process_mask and
// process_mask_native). With `compat` cells outside the box are 0 before the grid is enlarged, which is a probability
// of 0.5, so that a mask reaches up to half a cell out of its box (ultralytics up to 8.3, YOLOv5).
// prototypes: shape (P, h, w); coefficients: shape (N, P); boxes: shape (N, 4) in target pixels. Returns how many
// values are not finite; a box that is not gives an empty mask.
std::int64_t prototype_masks_rle(const FloatStack& prototypes, const FloatTable& coefficients, const FloatTable& boxes,
                                 Size size, const PrototypeMaskOptions& options, std::vector<std::string>& codes);

}  // namespace segrt
