"""The entry of a network of segmentation_models_pytorch: smp:ARCHITECTURE/ENCODER, or smp:FOLDER."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from segrt.export.family import Checkpoint, Model, Size
from segrt.export.weights.checkpoints import CONFIG
from segrt.export.weights.config_file import read_config
from segrt.export.weights.user_paths import user_path
from segrt.runtime.errors import SegrtError

PREFIX = "smp:"
PACKAGE = "segmentation-models-pytorch"
ARCHITECTURES = {
    name.lower(): name
    for name in (
        "DPT", "DeepLabV3", "DeepLabV3Plus", "FPN", "Linknet", "MAnet", "PAN", "PSPNet", "Segformer", "UPerNet", "Unet",
        "UnetPlusPlus",
    )
}  # fmt: skip
_ALIASES = {"unet++": "unetplusplus", "deeplabv3+": "deeplabv3plus"}
_ACTIVATIONS = (None, "identity", "logsoftmax", "sigmoid", "softmax", "softmax2d")  # none changes an argmax
_SIZE = (512, 512)
_STRIDE = 32  # of the deepest features of every encoder
_REMEDY = "save the network with its save_pretrained"


def describe(name: str) -> Model:
    """Return the entry of `name`: "smp:" before an architecture and an encoder, or before a folder.

    Its options are the arguments of the architecture's class, with its name under "architecture". Raises SegrtError for
    names that the package does not have, with the nearest, and where it is not installed.
    """
    address = name.removeprefix(PREFIX)
    folder = user_path(address, name, f"a folder, or ARCHITECTURE/ENCODER: {PREFIX}unet/resnet34, for instance")
    if folder.is_dir():
        folder = folder.resolve()
        config = read_config(folder / CONFIG, _REMEDY)
        given = {field: value for field, value in config.items() if not field.startswith("_")}
        architecture = _architecture(str(config.get("_model_class", "")), str(folder / CONFIG))
        encoder = given.get("encoder_name")
        if not isinstance(encoder, str):
            raise SegrtError(f"{folder / CONFIG}: names no encoder (`encoder_name`); {_REMEDY}")
        return _entry(PREFIX + folder.name, architecture, _known_encoder(encoder, str(folder / CONFIG)), given, folder)
    kind, slash, encoder = address.partition("/")
    if not slash or not encoder:
        raise SegrtError(
            f"{name}: is neither a folder nor ARCHITECTURE/ENCODER; give {PREFIX}unet/resnet34, for instance"
        )
    architecture = _architecture(kind, name)
    encoder = _known_encoder(encoder, name)
    return _entry(f"{PREFIX}{architecture.lower()}/{encoder}", architecture, encoder, {}, None)


def _entry(name: str, architecture: str, encoder: str, given: Mapping[str, Any], folder: Path | None) -> Model:
    channels = given.get("in_channels", 3)
    if channels != 3:
        raise SegrtError(
            f"{name}: takes pictures of {channels} channels, but {PREFIX} takes colour pictures alone; export it to "
            "ONNX yourself, and let `segrt adopt` make a bundle of the file"
        )
    activation, classes = given.get("activation"), given.get("classes", 1)
    if activation not in _ACTIVATIONS or (activation == "sigmoid" and classes != 1):
        raise SegrtError(
            f"{name}: its activation is {activation!r} over {classes} classes, but {PREFIX} takes networks of one "
            "class for each pixel (softmax), or of one object and what is around it (sigmoid); `segrt adopt` "
            "takes others"
        )
    if architecture == "DPT" and not encoder.startswith("tu-"):
        raise SegrtError(
            f"{name}: DPT takes timm's vision transformers alone; give tu-vit_base_patch16_224, for instance"
        )
    return Model(
        name=name,
        technique="semantic",
        family="smp",
        size=_transformer_size(encoder) if architecture == "DPT" else _SIZE,
        labels="",
        options={**given, "architecture": architecture, "encoder_name": encoder},
        checkpoint=None if folder is None else Checkpoint(str(folder), "unknown"),
        code_licence="MIT",
        multiple=1 if architecture == "DPT" else _STRIDE,
        needs=(PACKAGE,),
        folder=folder,
    )


def _architecture(given: str, where: str) -> str:
    folded = _ALIASES.get(given.lower(), given.lower())
    if folded in ARCHITECTURES:
        return ARCHITECTURES[folded]
    names = ", ".join(ARCHITECTURES)
    raise SegrtError(
        f"{where}: {PACKAGE} has no architecture {given!r}{_nearest(folded, ARCHITECTURES)}; it has {names}"
    )


def _known_encoder(encoder: str, where: str) -> str:
    """Return the encoder's name where the package, or timm for "tu-" names, has it; raise SegrtError otherwise."""
    try:
        import timm
        from segmentation_models_pytorch.encoders import get_encoder_names
    except ImportError as error:
        raise SegrtError(f"{where} needs {error.name or PACKAGE}; `pip install {PACKAGE}`") from None
    if encoder.startswith("tu-"):
        plain = encoder.removeprefix("tu-").partition(".")[0]
        if timm.is_model(plain):
            return encoder
        near = _nearest(plain, timm.list_models(), "tu-")
        raise SegrtError(
            f"{where}: timm has no network {plain!r}{near}; names after tu- are those of timm.list_models()"
        )
    known = get_encoder_names()
    if encoder in known:
        return encoder
    near = _nearest(encoder, known)
    timms = f", or tu-{encoder} for timm's" if timm.is_model(encoder) else ", or tu- before a name of timm's"
    raise SegrtError(f"{where}: {PACKAGE} has no encoder {encoder!r}{near}{timms}")


def _nearest(given: str, known: Iterable[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(given, list(known), n=3, cutoff=0.5)
    return f"; did you mean {', '.join(prefix + name for name in near)}?" if near else ""


def _transformer_size(encoder: str) -> Size:
    """Return the size (h, w) that a vision transformer of timm has positions for."""
    from timm.models import get_pretrained_cfg

    found = get_pretrained_cfg(encoder.removeprefix("tu-"))
    _, height, width = found.input_size if found is not None else (3, 224, 224)
    return height, width
