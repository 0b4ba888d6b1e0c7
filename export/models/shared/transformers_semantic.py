"""What the semantic networks of Hugging Face transformers share: raw logits, image processor, result, random weights.

transformers' post-processing enlarges the logits bilinearly to the picture's size and takes the highest, as segrt does.
Some networks enlarge their logits to the input's size before; that step is left out of the graph.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from segrt.export.family import Exportable, HeadParityLimit, ParityLimits, Request, Size
from segrt.export.models.shared import framework_results, transformers_queries
from segrt.export.models.shared.semantic_head import classes_of, semantic_head
from segrt.export.quiet import quiet
from segrt.export.weights import checkpoints, network_weights
from segrt.export.weights.checkpoints import PROCESSOR_FILE
from segrt.export.weights.config_file import read_config
from segrt.export.weights.random_weights import Spread, calibrate, calibration_pixels
from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.errors import SegrtError, one_line
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import Channels, Resize
from segrt.runtime.results import Label, SemanticResult

# PIL's numbers of its filters; both are widened when shrinking.
_INTERPOLATIONS = {2: "linear", 3: "cubic"}


class RawLogits(nn.Module):
    """A transformers network whose logits (N, C, h, w) come at its own resolution."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the logits of `pixels` (N, 3, H, W)."""
        logits: torch.Tensor = self.network(pixel_values=pixels).logits
        return logits


class UperNetLogits(RawLogits):
    """UPerNet without its last enlargement and its auxiliary head."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the logits of `pixels` (N, 3, H, W), a quarter of its size."""
        logits: torch.Tensor = self.network.decode_head(self.network.backbone(pixels).feature_maps)
        return logits


def core_of(network: Any) -> tuple[RawLogits, Argmax, bool]:
    """Return what is exported of `network`, how its logits are enlarged, and whether the framework does so twice."""
    kind = type(network).__name__
    if kind == "UperNetForSemanticSegmentation":
        return UperNetLogits(network), Argmax(), True
    if kind == "DPTForSemanticSegmentation":
        network = copy.deepcopy(network)
        network.head.head[-1] = nn.Identity()  # doubles the size, with aligned corners
        return RawLogits(network), Argmax(align_corners=True), True
    if kind == "MobileViTV2ForSemanticSegmentation":
        network = copy.deepcopy(network)
        for module in network.modules():
            if hasattr(module, "folding"):
                _cut_by_reshaping(module)
    return RawLogits(network), Argmax(), False


def _cut_by_reshaping(layer: Any) -> None:
    """Let `layer` cut feature maps into patches and join them by reshaping: TensorRT has no Col2Im."""
    high, wide = layer.patch_height, layer.patch_width

    def unfolding(maps: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
        batch, channels, height, width = maps.shape
        grid = maps.reshape(batch, channels, height // high, high, width // wide, wide).permute(0, 1, 3, 5, 2, 4)
        return grid.reshape(batch, channels, high * wide, -1), (height, width)

    def folding(patches: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        batch, channels = patches.shape[:2]
        grid = patches.reshape(batch, channels, high, wide, size[0] // high, size[1] // wide)
        return grid.permute(0, 1, 4, 2, 5, 3).reshape(batch, channels, *size)

    layer.unfolding, layer.folding = unfolding, folding


def exportable(request: Request, network: Any, processor: Any, labels: tuple[Label, ...]) -> Exportable:
    """Return `network`, in eval mode, as it is exported; `processor` is the image processor of its checkpoint."""
    if request.weights.kind == "random":
        calibrate_classes(network, request)
    transformers_queries.use_plain_attention(network)
    core, decode, in_two_steps = core_of(network)
    head = semantic_head(labels, network.config.num_labels, align_corners=decode.align_corners)
    mean, std = normalisation_of(processor)
    return Exportable(
        core=core.eval(),
        heads=(("logits", head.role),),
        labels=head.labels,
        decode=head.decode,
        source=network_weights.source(request, "transformers"),
        resize=resize_of(processor, request),
        framework_result=_framework_result(network, processor, head.labels),
        framework_pixels=_framework_pixels(processor, request.size),
        mean=mean,
        std=std,
        color="bgr" if getattr(processor, "do_flip_channel_order", False) else "rgb",
        limits=ParityLimits(head=HeadParityLimit(1e-3, 1e-3), at=request.size if in_two_steps else None),
    )


def calibrate_classes(network: Any, request: Request) -> None:
    """Spread the logits of random weights, so that every class has its share of a picture."""
    layers = [
        module
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d)
        and module.out_channels == network.config.num_labels
        and not name.startswith("auxiliary_head")
    ]
    pixels = calibration_pixels(request.size, count=2, seed=request.weights.seed)
    calibrate(network, lambda: network(pixel_values=pixels), {layers[-1]: Spread(std=2.0)})


def processor_of(request: Request, default: Any, folder: Path | None = None) -> Any:
    """Return the image processor of the request's checkpoint, else a new one of the class `default`.

    It is described by preprocessor_config.json: in `folder` if given, beside the file of weights, or on the hub.
    Without a `default` it must be there: SegrtError is raised otherwise.
    """
    path: Path | None = None
    weights = request.weights
    if folder is not None:
        path = folder / PROCESSOR_FILE
    elif weights.kind == "file" and weights.path is not None:
        path = weights.path.with_name(PROCESSOR_FILE)
    if path is None and request.model.checkpoint is not None and (weights.kind == "pretrained" or default is None):
        path = checkpoints.fetch_hub(request.model.checkpoint.address, (PROCESSOR_FILE,))
    if path is None or not path.is_file():
        if default is None:
            raise SegrtError(f"{path}: is missing, and with it mean, filter and size; put it beside the weights")
        return default()
    try:
        with quiet():
            return _processor_class(path, default).from_pretrained(path.parent, local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        raise SegrtError(f"{path}: is no image processor of transformers ({one_line(error, 160)})") from None


def _processor_class(path: Path, default: Any) -> Any:
    """Return the class that reads the file at `path`: `default`, else the one that it names, by an older name too."""
    import transformers

    if default is not None:
        return default
    named = str(read_config(path, "save it with save_pretrained").get("image_processor_type", "AutoImageProcessor"))
    return getattr(transformers, named.replace("FeatureExtractor", "ImageProcessor"), transformers.AutoImageProcessor)


def resize_of(processor: Any, request: Request) -> Resize:
    """Return the resize rule of `processor` for a network of one size: both sides at once, PIL's antialiased filters.

    A processor that keeps the shape and cuts the middle out is told both sides too, for a cut picture has no result
    at its edges. Raises SegrtError for a filter that segrt does not have.
    """
    resample = int(getattr(processor, "resample", None) or 0)
    if not getattr(processor, "do_resize", True):
        resample = 2
    if resample not in _INTERPOLATIONS:
        raise SegrtError(
            f"{request.model.name}: its image processor resizes with PIL's filter number {resample}; "
            f"known are 2 (bilinear) and 3 (bicubic): change `resample` in {PROCESSOR_FILE}"
        )
    return Resize(rule="stretch", interpolation=_INTERPOLATIONS[resample], antialias=True)  # type: ignore[arg-type]


def normalisation_of(processor: Any) -> tuple[Channels, Channels]:
    """Return mean and standard deviation, of pixels in 0 to 1, that do what `processor` does to bytes."""
    scale = float(processor.rescale_factor) if processor.do_rescale else 1.0
    mean, std = (processor.image_mean, processor.image_std) if processor.do_normalize else ((0.0,) * 3, (1.0,) * 3)
    unit = 255 * scale
    red_mean, green_mean, blue_mean = (float(value) / unit for value in mean)
    red_std, green_std, blue_std = (float(value) / unit for value in std)
    return (red_mean, green_mean, blue_mean), (red_std, green_std, blue_std)


def _framework_result(network: Any, processor: Any, labels: tuple[Label, ...]) -> Callable[..., SemanticResult]:
    def framework_result(pixels: torch.Tensor, valid_mask: Any, geometry: Geometry) -> SemanticResult:  # noqa: ARG001
        with torch.no_grad():
            outputs = network(pixel_values=pixels)
        if network.config.num_labels == 1:
            # transformers trains such networks with binary_cross_entropy_with_logits, but its post-processing takes an
            # argmax over the one channel: its own enlargement of the logits, cut at 0.5.
            enlarged = nn.functional.interpolate(outputs.logits, geometry.source_size, mode="bilinear")
            return framework_results.semantic_result(classes_of(enlarged[0]), labels)
        maps = processor.post_process_semantic_segmentation(outputs, target_sizes=[geometry.source_size])
        return framework_results.semantic_result(maps[0], labels)

    return framework_result


def _framework_pixels(processor: Any, size: Size) -> Callable[[Picture], npt.NDArray[np.float32]]:
    whole = {"do_center_crop": False, "keep_aspect_ratio": False, "ensure_multiple_of": 1}
    settings: dict[str, Any] = {
        "size": {"height": size[0], "width": size[1]},
        "do_resize": True,
        **{name: value for name, value in whole.items() if getattr(processor, name, None) is not None},
    }

    def framework_pixels(picture: Picture) -> npt.NDArray[np.float32]:
        from PIL import Image

        image = Image.fromarray(np.ascontiguousarray(picture[..., ::-1]))
        pixels = processor(images=image, return_tensors="np", **settings)["pixel_values"][0]
        return np.asarray(pixels, np.float32)

    return framework_pixels
