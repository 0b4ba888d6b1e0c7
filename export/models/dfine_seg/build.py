"""D-FINE-seg as its authors use it, from the picture to detections with masks.

Pictures are stretched to the input and divided by 255. The best 300 (query, class) pairs are detections; a mask is
where the interpolated probability is at least a half, inside the detection's box. The decode rule interpolates logits
instead, which moves an outline by less than a pixel.
"""

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from segrt.export.family import Exportable, HeadParityLimit, ParityLimits, Request
from segrt.export.models.dfine_seg.dfine_names import with_our_names
from segrt.export.models.dfine_seg.dfine_network import DFineSeg, DFineSegHeads
from segrt.export.models.dfine_seg.dfine_sizes import configuration
from segrt.export.models.shared.framework_results import instance_result
from segrt.export.weights import checkpoint_labels, network_weights
from segrt.export.weights.random_weights import Spread, calibrate, calibration_pixels, calm, seeded
from segrt.runtime.decode.prototype_masks import PrototypeMasks
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import Channels, Resize
from segrt.runtime.results import InstanceResult, Label

_MEAN: Channels = (0.0, 0.0, 0.0)
_STD: Channels = (1.0, 1.0, 1.0)
_DETECTIONS = 300
_MASK_THRESHOLD = 0.5


def build(request: Request) -> Exportable:
    """Return D-FINE-seg for the request; `overrides` are fields of `transformers.DFineConfig`.

    `top_queries` is the number of detections that leave the graph, 300 by default.
    """
    labels = checkpoint_labels.labels(request)
    config = configuration(request.model.options["size"], len(labels), request.overrides)
    cells = sum((request.size[0] // stride) * (request.size[1] // stride) for stride in config.feat_strides)
    if cells < config.num_queries:
        raise SegrtError(
            f"--size {request.size[0]}x{request.size[1]}: {request.model.name} chooses {config.num_queries} queries, "
            f"but an input of that size has {cells} cells; give a larger size"
        )
    pairs = config.num_queries * len(labels)
    count = request.top_queries or min(_DETECTIONS, pairs)
    if not 1 <= count <= pairs:
        raise SegrtError(f"--top-queries {count}: {request.model.name} has {pairs} detections; give 1 to {pairs}")
    with seeded(request.weights.seed):
        network = DFineSeg(config).eval()
    tensors = network_weights.tensors(request)
    if tensors is None:
        _randomise(network, request)
    else:
        network_weights.load(network, with_our_names(tensors), network_weights.name_of(request))
    core = DFineSegHeads(network, count).eval()
    rule = PrototypeMasks(rows="detections", score_threshold=0.5, max_detections=count)
    return Exportable(
        core=core,
        heads=(("predictions", "predictions"), ("prototypes", "prototypes")),
        labels=labels,
        decode=rule,
        source=network_weights.source(request, "transformers", notes="the mask head of D-FINE-seg, written anew"),
        resize=Resize(rule="stretch", interpolation="linear"),
        framework_result=_FrameworkResult(network, count, labels, rule),
        framework_pixels=lambda picture: _framework_pixels(picture, request.size),
        mean=_MEAN,
        std=_STD,
        limits=ParityLimits(
            # Detections of nearly equal score may change places, so that rows are compared in the final result.
            head=HeadParityLimit(2e-3, 2e-3),
            heads={"predictions": None},
            agreement=0.98,
        ),
    )


class _FrameworkResult:
    """The authors' post-processing (`_preds_postprocess`) of the same network in torch."""

    def __init__(self, network: DFineSeg, count: int, labels: tuple[Label, ...], rule: PrototypeMasks) -> None:
        self._heads, self._labels, self._rule = DFineSegHeads(network, count).eval(), labels, rule

    def __call__(self, pixels: Tensor, valid_mask: Tensor | None, geometry: Geometry) -> InstanceResult:  # noqa: ARG002
        """Return the detections of `pixels` (1, 3, h, w) at or above the threshold whose mask is not empty."""
        with torch.no_grad():
            rows, features = self._heads(pixels)
        kept = rows[0].T[rows[0, 4] >= self._rule.score_threshold]
        height, width = geometry.source_size
        scale = torch.tensor([width / pixels.shape[3], height / pixels.shape[2]] * 2)
        masks, scores, class_ids = [], [], []
        for row in kept:
            probabilities = torch.sigmoid(torch.einsum("e,ehw->hw", row[6:], features[0]))
            large = F.interpolate(probabilities[None, None], geometry.source_size, mode="bilinear")[0, 0]
            x0, y0, x1, y1 = (row[:4] * scale).tolist()
            x, y = torch.arange(width)[None], torch.arange(height)[:, None]
            mask = (large >= _MASK_THRESHOLD) & (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
            if mask.any():
                masks.append(mask.numpy())
                scores.append(float(row[4]))
                class_ids.append(int(row[5]))
        planes = np.stack(masks) if masks else np.zeros((0, height, width), bool)
        return instance_result(planes, scores, class_ids, self._labels)


def _framework_pixels(picture: Picture, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return the network input (3, h, w) that the authors make of `picture`, uint8 BGR (H, W, 3)."""
    resized = cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)[..., ::-1]
    pixels = np.ascontiguousarray(resized.transpose(2, 0, 1), dtype=np.float32)
    pixels /= 255
    return pixels


@torch.no_grad()
def _randomise(network: DFineSeg, request: Request) -> None:
    """Set the statistics of random weights: boxes of many sizes, several classes, masks that fill a part of them."""
    model = network.model
    calm(network)
    pixels = calibration_pixels(request.size, _MEAN, _STD, count=2, seed=request.weights.seed)
    last: Spread = Spread(std=4.0, axis=-1, live=0.3)
    spreads = {
        model.enc_score_head: Spread(axis=-1),
        model.enc_bbox_head.layers[-1]: Spread(std=0.5, axis=-1),
        model.decoder.class_embed[-1]: last,
        network.mask_head.layers[-1]: Spread(std=4.0, mean=0.5, axis=-1),
    }
    calibrate(network, lambda: network(pixels), spreads)
    model.enc_bbox_head.layers[-1].bias[2:] += 1.5
