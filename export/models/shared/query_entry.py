"""The entry of a query network of transformers that is not in the catalogue, as its own files describe it.

The families that segrt has take any configuration of their network. What a configuration does not say is what the
network was trained for: its name often does ("…-coco-panoptic"), else its classes, else the user (hf:instance:NAME).
"""

from collections.abc import Mapping
from typing import Any

from segrt.export.family import IMAGENET_MEAN, IMAGENET_STD, Model, Size
from segrt.export.models.shared.hub_network import PREFIX, HubNetwork
from segrt.export.weights.checkpoint_labels import folded
from segrt.export.weights.checkpoints import CONFIG, PROCESSOR_FILE
from segrt.export.weights.config_file import class_names
from segrt.runtime.errors import SegrtError
from segrt.runtime.results.labels.class_lists import NAMES, read_labels
from segrt.runtime.results.technique import Technique

# transformers' classes and the families that export them.
ARCHITECTURES = {
    "DetrForSegmentation": "detr",
    "EomtDinov3ForUniversalSegmentation": "eomt",
    "EomtForUniversalSegmentation": "eomt",
    "Mask2FormerForUniversalSegmentation": "mask2former",
    "MaskFormerForInstanceSegmentation": "maskformer",
    "OneFormerForUniversalSegmentation": "oneformer",
    "RfDetrForInstanceSegmentation": "rfdetr",
    "VideomtForUniversalSegmentation": "videomt",
}
_ONE_TECHNIQUE: dict[str, Technique] = {"detr": "panoptic", "rfdetr": "instance"}
_BY_LIST: dict[str, Technique] = {"coco": "instance", "coco-panoptic": "panoptic"}
_DEFAULT_LIST: dict[Technique, str] = {"instance": "coco", "semantic": "ade20k"}
_TECHNIQUES: tuple[Technique, ...] = ("panoptic", "instance", "semantic")
_MULTIPLES = {"detr": 1, "mask2former": 32, "maskformer": 32, "oneformer": 32}
_DATA: dict[str, Technique] = {"ytvis": "instance", "ovis": "instance"}  # whose names tell the technique
_STRETCHED = ("mask2former", "rfdetr", "videomt")  # the others keep a picture's shape
_SQUARE = ("eomt", "videomt")  # whose configuration says the picture's side
_IMAGENET = (list(IMAGENET_MEAN), list(IMAGENET_STD))
_SHAPE = 4 / 3
_MOST_PIXELS = 1 << 16
_ABOUT_FILES = (
    "_name_or_path", "architectures", "dtype", "id2label", "label2id", "model_type", "num_labels", "torch_dtype",
    "transformers_version",
)  # fmt: skip


def has_queries(network: HubNetwork) -> bool:
    """Tell whether `network` is one of the query families."""
    return any(name in ARCHITECTURES for name in network.config.get("architectures") or ())


def entry(network: HubNetwork) -> Model:
    """Return the entry of `network`, whose options are the fields of its configuration.

    Raises SegrtError where its technique cannot be told, and for an image processor that prepares pictures in another
    way than the family.
    """
    architecture = next(name for name in network.config["architectures"] if name in ARCHITECTURES)
    family = ARCHITECTURES[architecture]
    _check_normalisation(network)
    options = {name: value for name, value in network.config.items() if name not in _ABOUT_FILES}
    if family == "eomt":
        options["backbone"] = "dinov3" if "Dinov3" in architecture else "dinov2"
    class_list = _class_list(network)
    technique = _technique(network, family, class_list)
    multiple = _multiple(network, family)
    return Model(
        name=network.name,
        technique=technique,
        family=family,
        size=_size(network, family, multiple),
        labels=class_list or _DEFAULT_LIST.get(technique, ""),
        options=options,
        checkpoint=network.checkpoint,
        multiple=multiple,
        needs=("timm",) if family == "detr" else (),
        folder=network.folder,
    )


def _technique(network: HubNetwork, family: str, class_list: str | None) -> Technique:
    """Return the technique that was asked for, that the network has alone, or that its name or its classes tell."""
    known = _ONE_TECHNIQUE.get(family)
    if known is not None:
        if network.technique not in (None, known):
            raise SegrtError(
                f"{network.name}: is a network for {known} segmentation alone; leave {network.technique}: out"
            )
        return known
    name = network.name.lower()
    named = [technique for technique in _TECHNIQUES if technique in name]
    named = named or [technique for data, technique in _DATA.items() if data in name][:1]
    if network.technique is not None:
        return network.technique
    if len(named) == 1:
        return named[0]
    if family == "oneformer":
        return "panoptic"
    if class_list in _BY_LIST:
        return _BY_LIST[class_list]
    address = network.name.removeprefix(PREFIX)
    raise SegrtError(
        f"{network.name}: says nowhere whether it was trained for panoptic, instance or semantic segmentation; "
        f"give {PREFIX}instance:{address}, for instance"
    )


def _class_list(network: HubNetwork) -> str | None:
    """Return the built-in list that has all of the network's classes, the shortest; None where none has."""
    names = {folded(name) for name in class_names(network.config).values()}
    names = {name for name in names if name not in ("", "n/a") and not name.startswith("label_")}
    fitting = []
    for known in NAMES:
        labels = read_labels(known)
        if names and names <= {folded(label.name) for label in labels}:
            fitting.append((len(labels), known))
    return min(fitting)[1] if fitting else None


def _check_normalisation(network: HubNetwork) -> None:
    """Raise SegrtError where the image processor does anything but scale to 0 to 1 and normalise as for ImageNet."""
    processor = network.processor
    given = (processor.get("image_mean", _IMAGENET[0]), processor.get("image_std", _IMAGENET[1]))
    scale = processor.get("rescale_factor", 1 / 255)
    usual = processor.get("do_normalize", True) is not False and processor.get("do_rescale", True) is not False
    if (
        not usual
        or not _close(given[0], _IMAGENET[0])
        or not _close(given[1], _IMAGENET[1])
        or not _close([scale], [1 / 255])
    ):
        raise SegrtError(
            f"{network.name}: its {PROCESSOR_FILE} does not normalise as for ImageNet (mean {given[0]}, "
            f"std {given[1]}); export it to ONNX yourself, and let `segrt adopt` make a bundle of the file"
        )


def _close(given: Any, wanted: list[float]) -> bool:
    return (
        isinstance(given, list)
        and len(given) == len(wanted)
        and all(
            isinstance(value, int | float) and abs(value - other) < 1e-3 * other
            for value, other in zip(given, wanted, strict=True)
        )
    )


def _multiple(network: HubNetwork, family: str) -> int:
    """Return what both sides of the input must be multiples of."""
    if family in _SQUARE:
        return _positive(network, network.config.get("patch_size", 16), "patch_size")
    if family == "rfdetr":
        backbone = _backbone(network)
        patch = _positive(network, backbone.get("patch_size", 12), "backbone_config.patch_size")
        return patch * _positive(network, backbone.get("num_windows", 2), "backbone_config.num_windows")
    return _MULTIPLES[family]


def _size(network: HubNetwork, family: str, multiple: int) -> Size:
    """Return the size (h, w) that the network was made for, else the one that its processor makes of a picture of 4:3.

    Raises SegrtError for a processor that stretches pictures where the family keeps their shape, or the reverse.
    """
    if family in _SQUARE:
        side = _positive(network, network.config.get("image_size", 640), "image_size")
        return side, side
    if family == "rfdetr":
        side = _positive(network, _backbone(network).get("image_size"), "backbone_config.image_size")
        return side, side
    size = network.processor.get("size")
    if isinstance(size, int):
        size = {"shortest_edge": size, "longest_edge": network.processor.get("max_size")}
    if not isinstance(size, Mapping):
        raise SegrtError(f"{network.name}: {PROCESSOR_FILE} names no size; save its image processor anew")
    stretched = "height" in size and "width" in size
    if stretched != (family in _STRETCHED):
        does, wanted = (
            ("stretches pictures to", "keeps") if stretched else ("keeps the shape of pictures,", "stretches")
        )
        raise SegrtError(
            f"{network.name}: its {PROCESSOR_FILE} {does} {dict(size)}, but {family} is exported as one that {wanted} "
            "it; export it to ONNX yourself, and let `segrt adopt` make a bundle of the file"
        )
    height = _positive(network, size.get("height", size.get("shortest_edge")), "size")
    longest = _positive(network, size.get("longest_edge") or 2 * height, "size")
    width = size["width"] if stretched else min(round(height * _SHAPE), longest)
    sides = (height, _positive(network, width, "size"))
    return (max(sides[0] // multiple, 1) * multiple, max(sides[1] // multiple, 1) * multiple)


def _backbone(network: HubNetwork) -> Mapping[str, Any]:
    backbone = network.config.get("backbone_config")
    if not isinstance(backbone, Mapping):
        raise SegrtError(f"{network.name}: {CONFIG} has no `backbone_config`; save the network anew")
    return backbone


def _positive(network: HubNetwork, value: Any, field: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST_PIXELS:
        raise SegrtError(f"{network.name}: has {field} {value!r}; it must be one whole number of 1 to {_MOST_PIXELS}")
    return value
