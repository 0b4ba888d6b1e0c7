"""The inputs of a foreign network: which one is the picture, its layout and size, and what it is fed."""

from typing import Any, cast

import msgspec

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.conventions.convention import IMAGENET_MEAN, IMAGENET_STD, Convention, Normalisation
from segrt.export.adopt.picture_channels import default_normalisation, guess_layout, per_channel, picture_channels
from segrt.export.graph.editing import Graph
from segrt.runtime.errors import SegrtError
from segrt.runtime.inference.tensors import TensorSpec
from segrt.runtime.preprocess.input_spec import Channels, InputSpec, Resize

_DTYPES = ("uint8", "float16", "float32")


def picture_input(
    graph: Graph, options: AdoptOptions, notes: list[str], size: tuple[int, int] | None = None
) -> tuple[InputSpec, ...]:
    """Return the inputs, the picture first, their lengths fixed in the graph; values are those of bytes as yet.

    `size` is that of the file's metadata, for a network that takes any.
    """
    specs = graph.inputs
    if len(specs) == 1 and len(specs[0].shape) == 3 and 3 in (specs[0].shape[0], specs[0].shape[2]):
        graph.add_input_batch_axis(specs[0].name)
        notes.append(f"input {specs[0].name!r} has no batch axis, as torchvision's detectors: one was added")
        specs = graph.inputs
    images = [spec for spec in specs if len(spec.shape) == 4]
    masks = [spec for spec in specs if len(spec.shape) == 3 and ("mask" in spec.name.lower() or _is_whole(spec))]
    if len(images) != 1 or len(masks) > 1 or len(images) + len(masks) != len(specs):
        listed = ", ".join(str(spec) for spec in specs) or "none"
        raise SegrtError(
            f"{graph.path}: must have one input that is a picture, and a valid mask at most, but has {listed}"
        )
    image = images[0]
    if image.dtype not in _DTYPES:
        raise SegrtError(f"{graph.path}: input {image} must be {', '.join(_DTYPES)}")
    layout = guess_layout(image, options.layout)
    rows, columns = (1, 2) if layout == "NHWC" else (2, 3)
    sides = [image.shape[rows], image.shape[columns]]
    if options.size is not None:
        if any(isinstance(side, int) and side != want for side, want in zip(sides, options.size, strict=True)):
            raise SegrtError(
                f"--size {options.size[0]}x{options.size[1]}: input {image} has a fixed size; leave --size out"
            )
        sides = list(options.size)
    elif size is not None and all(isinstance(side, str) for side in sides):
        sides = list(size)
    elif size is not None and size != tuple(sides):
        height, width = sides
        notes.append(
            f"the file says {size[0]}×{size[1]}, but the network's input has {height}×{width}: pictures are brought to "
            "that"
        )
    if any(isinstance(side, str) for side in sides):
        raise SegrtError(f"{graph.path}: input {image} has no fixed size; add --size HEIGHTxWIDTH")
    size = (int(sides[0]), int(sides[1]))
    if isinstance(image.shape[0], int) and image.shape[0] != 1:
        raise SegrtError(f"{graph.path}: input {image} has a batch of {image.shape[0]}; export it with a batch of 1")
    count, channels = picture_channels(image, layout, options)
    shape = (1, *size, count) if layout == "NHWC" else (1, count, *size)
    graph.fix_input(image.name, shape)
    given = [name for name in ("scale", "mean", "std") if getattr(options, name) is not None]
    if image.dtype == "uint8" and given:
        raise SegrtError(f"--{given[0]}: input {image} takes bytes, so it is not normalised outside; leave it out")
    notes.insert(0, f"input {image.name!r}: {image.dtype} {layout} {size[0]}×{size[1]}, {channels.described(count)}")
    for mask in masks:
        graph.fix_input(mask.name, (1, *size))
        notes.append(f"input {mask.name!r} is the valid mask")
    picture = InputSpec(
        name=image.name,
        dtype=cast("Any", image.dtype),
        shape=shape,
        layout=cast("Any", layout),
        color=cast("Any", channels.color),
        values=channels.values,
        grey=channels.grey,
    )
    if options.resize is not None:
        picture = _with_resize(picture, options.resize)
    return (picture, *(InputSpec(mask.name, cast("Any", mask.dtype), (1, *size), role="valid_mask") for mask in masks))


def normalised(
    inputs: tuple[InputSpec, ...], options: AdoptOptions, convention: Convention, notes: list[str]
) -> tuple[InputSpec, ...]:
    """Return the inputs with normalisation and resizing: the user's, the file's, or those of the likeliest family."""
    image = inputs[0]
    if options.resize is None and convention.resize is not None:
        image = _with_resize(image, convention.resize)
        notes.append(
            f"resizing {_how(convention)}: {convention.exporter}'s, {_described(convention.resize)}; change it with "
            "--resize"
        )
    if image.dtype == "uint8":
        return (image, *inputs[1:])
    channels = image.channels
    if options.std is not None and 0 in options.std:
        raise SegrtError(f"--std {','.join(f'{number:g}' for number in options.std)}: nothing can be divided by 0")
    chosen = Normalisation(
        1.0 if options.scale is None else options.scale,
        per_channel(options.mean, "--mean", image) or (0.0,) * channels,
        per_channel(options.std, "--std", image) or (1.0,) * channels,
    )
    if (options.scale, options.mean, options.std) == (None, None, None):
        chosen, whose = default_normalisation(image, convention)
        formula = _formula(chosen)
        known = convention.normalisation is not None and whose.startswith(str(convention.exporter))
        how = _how(convention) if known else "guessed"
        notes.append(f"normalisation {how}: {whose}, {formula}; change it with --scale, --mean, --std")
    image = msgspec.structs.replace(image, scale=chosen.scale, mean=chosen.mean, std=chosen.std)
    return (image, *inputs[1:])


def _with_resize(image: InputSpec, resize: Resize) -> InputSpec:
    """Return the input with a resize rule whose padding has a number for each channel."""
    largest = {"uint8": 255, "uint16": 65_535}.get(image.value_dtype)
    if largest is not None and max(resize.pad) > largest:
        raise SegrtError(
            f"--pad {','.join(map(str, resize.pad))}: must be 0 to {largest} for {image.value_dtype} values"
        )
    pad = per_channel(resize.pad, "--pad", image) if any(resize.pad) else resize.pad
    return msgspec.structs.replace(image, resize=msgspec.structs.replace(resize, pad=cast("tuple[int, ...]", pad)))


def _is_whole(spec: TensorSpec) -> bool:
    """Whether an input holds bool or integers, as valid masks do."""
    return spec.dtype == "bool" or "int" in spec.dtype


def _how(convention: Convention) -> str:
    return "read" if convention.is_read else "guessed"


def _formula(values: Normalisation) -> str:
    scaled = "x/255" if abs(values.scale * 255 - 1) < 1e-3 else ("x" if values.scale == 1 else f"x * {values.scale:g}")
    if set(values.mean) == {0.0} and set(values.std) == {1.0}:
        return scaled
    if (values.mean, values.std) == (IMAGENET_MEAN, IMAGENET_STD):
        return f"({scaled} - mean) / std"
    return f"({scaled} - {_channels(values.mean)}) / {_channels(values.std)}"


def _channels(values: Channels) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else "[" + ", ".join(f"{value:g}" for value in values) + "]"


def _described(resize: Resize) -> str:
    edge = f" {resize.shortest_edge}" if resize.shortest_edge else ""
    edge += f" of at most {resize.longest_edge}" if resize.longest_edge else ""
    pad = f" in {resize.pad[0]}" if resize.rule != "stretch" and len(set(resize.pad)) == 1 else ""
    return f"{resize.rule}{edge}{pad}"
