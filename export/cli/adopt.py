"""`segrt adopt`: an ONNX file of your own becomes a bundle."""

import math
from pathlib import Path
from typing import Any

import click

from segrt.export.cli.options import PATH, overwrite_option, picture_size
from segrt.runtime.console.quantities import SHARE, FiniteRange


def _numbers(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[float, ...] | None:  # noqa: ARG001
    """Read one number for all channels, or one for each, comma-separated."""
    if value is None:
        return None
    try:
        numbers = tuple(float(part) for part in value.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(math.isfinite(number) for number in numbers):
        raise click.BadParameter(f"must be one number, or one a channel, comma-separated, but got {value!r}")
    return numbers


def _color(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    """Read a grey level, or one for each channel."""
    numbers = _numbers(ctx, param, value) or ()
    if not all(0 <= number <= 65_535 for number in numbers):
        raise click.BadParameter(f"must be 0 to 255, or to 65535 for 16-bit values, but got {value!r}")
    return tuple(round(number) for number in numbers)


def _heads(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:  # noqa: ARG001
    """Read heads' roles and the outputs that play them."""
    heads = {}
    for value in values:
        role, _, name = value.partition("=")
        if not role or not name:
            raise click.BadParameter(f"must be ROLE=NAME, but got {value!r}")
        heads[role] = name
    return heads


def _pad_side(rule: str, given: str | None) -> str:
    """Return where the padding goes; raise SegrtError for a rule that pads nothing."""
    from segrt.runtime.errors import SegrtError

    if rule == "stretch" and given is not None:
        raise SegrtError(f"--pad-side {given}: --resize stretch pads nothing; leave one of them out")
    return (given or ("bottom-right" if rule == "shortest-edge" else "both")).replace("-", "_")


@click.command()
@click.argument("model", type=PATH)
@click.option("--out", required=True, type=PATH, help="Folder of the new bundle.")
@click.option(
    "--technique",
    type=click.Choice(["semantic", "instance", "panoptic"]),
    help="What it was trained for, where the file does not say.",
)
@click.option(
    "--labels",
    metavar="LIST",
    help="voc, coco, coco-panoptic, cityscapes, ade20k, or a file (JSON, text); the file's own names by default.",
)
@click.option(
    "--ids",
    type=click.Choice(["list", "dataset"]),
    default="list",
    show_default=True,
    help="Whether class ids are positions in the list or the data set's own, gapped ids.",
)
@click.option("--name", help="The bundle's name; the folder's by default.")
@click.option("--layout", type=click.Choice(["NHWC", "NCHW"]), help="Of the input, where its shape leaves it open.")
@click.option("--size", metavar="HxW", callback=picture_size, help="Of the input, where the network takes any.")
@click.option(
    "--color",
    type=click.Choice(["rgb", "bgr", "grey", "rgba", "bgra", "bands"]),
    help="Channel order of the input; by default rgb for three channels, grey for one, bands for many.",
)
@click.option(
    "--values",
    type=click.Choice(["uint8", "uint16", "float32"]),
    help="What the values of pictures are: bytes by default, those of 16-bit PNG and TIFF files, or of arrays.",
)
@click.option(
    "--grey",
    type=click.Choice(["opencv", "pillow"]),
    help="Whose arithmetic makes grey of a colour picture; opencv by default.",
)
@click.option("--scale", type=FiniteRange(0, min_open=True), help="Input = (x * scale - mean) / std, x as in --values.")
@click.option("--mean", metavar="R,G,B,…", callback=_numbers, help="One number, or one a channel; see --scale.")
@click.option("--std", metavar="R,G,B,…", callback=_numbers, help="One number, or one a channel; see --scale.")
@click.option(
    "--resize",
    "rule",
    type=click.Choice(["stretch", "letterbox", "shortest-edge"]),
    help="How a picture is brought to the input's size; stretch, or what the file's family does.",
)
@click.option(
    "--shortest-edge", type=click.IntRange(1, 65535), help="Pixels of the shorter side, for --resize shortest-edge."
)
@click.option(
    "--interpolation", type=click.Choice(["nearest", "linear", "cubic", "area"]), default="linear", show_default=True
)
@click.option("--antialias", is_flag=True, help="Shrink as PIL and torchvision do, not as OpenCV.")
@click.option(
    "--pad", metavar="R,G,B", callback=_color, default="0", help="Colour of the padding, 0 to 255.", show_default=True
)
@click.option(
    "--pad-side",
    type=click.Choice(["both", "bottom-right"]),
    help="Whether a picture lies in the middle of the padding or in its top left corner; both for letterbox, "
    "bottom-right for shortest-edge.",
)
@click.option(
    "--rounding",
    type=click.Choice(["nearest", "half-up", "floor", "longer-floor"]),
    help="How the sides of a picture that keeps its aspect ratio become whole pixels: as Ultralytics (the default), "
    "mmcv, torchvision or transformers.",
)
@click.option(
    "--head",
    "heads",
    multiple=True,
    metavar="ROLE=NAME",
    callback=_heads,
    help="Say which output plays a role; may be repeated.",
)
@click.option(
    "--precision", metavar="NAME", help="Of the network (fp32, fp16, int8, int8-cpu); read from the file by default."
)
@click.option(
    "--merge-rule",
    type=click.Choice(["maskformer", "mask2former", "eomt", "yoso", "detr"]),
    help="How panoptic queries are merged; maskformer by default.",
)
@click.option(
    "--scores",
    type=click.Choice(["logits", "probabilities", "bytes", "mask"]),
    help="What the one channel of a network of one object holds, where its values leave it open.",
)
@click.option("--score-threshold", type=SHARE, help="The rule's own by default, 0.5 for most.")
@click.option("--overlap-threshold", type=SHARE, help="Of merged panoptic queries; 0.8 by default.")
@click.option("--iou-threshold", type=SHARE, help="Above which boxes of a YOLO are duplicates.")
@click.option(
    "--rows",
    type=click.Choice(["yolo", "yolov5", "detections"]),
    help="What a YOLO's predictions are, where their length leaves it open: as from YOLOv8 on, with an objectness, or "
    "suppressed in the graph.",
)
@click.option("--activation", type=click.Choice(["softmax", "sigmoid"]), help="Of the class scores of queries.")
@click.option("--void-value", type=click.IntRange(0, 65535), help="The id in a class map that means no class.")
@click.option(
    "--first-class", type=click.IntRange(0, 2**31 - 1), help="The class id of boxes that means the first label; 0."
)
@click.option(
    "--masks",
    type=click.Choice(["box", "picture"]),
    help="Where masks of boxes lie: in their box, or in the whole picture that the network sees.",
)
@click.option("--mask-threshold", type=SHARE, help="Probability from which a pixel belongs to a box's mask; 0.5.")
@click.option(
    "--dequantize",
    is_flag=True,
    help="Add a float variant of a quantised network (Q/DQ), for TensorRT where it can't take the original.",
)
@click.option(
    "--try",
    "photos",
    multiple=True,
    type=PATH,
    metavar="PHOTO",
    help="Draw how each usual reading of the network looks on a photo, as OUT-candidates.png, and adopt nothing; up to "
    "three photos.",
)
@click.option("--golden", multiple=True, type=PATH, help="A picture for a golden frame; may be repeated.")
@click.option("--weights", help="Where the weights come from; the file's name by default.")
@click.option("--licence", default="unknown", show_default=True, help="Licence of the weights.")
@overwrite_option
def adopt(
    model: Path,
    out: Path,
    rule: str | None,
    shortest_edge: int | None,
    interpolation: str,
    antialias: bool,
    pad: tuple[int, ...],
    pad_side: str | None,
    rounding: str | None,
    heads: dict[str, str],
    photos: tuple[Path, ...],
    **known: Any,
) -> None:
    """Turn MODEL, an ONNX file, into a bundle, guessing what is not said; every guess is printed.

    Read from the file: Ultralytics' metadata (YOLOv5, v8 and later, -seg), and the outputs' names of mmdeploy, RF-DETR,
    PaddleSeg and YOLACT. Read beside it: Hugging Face's config.json and preprocessor_config.json, mmdeploy's
    pipeline.json and detail.json, PaddleSeg's deploy.yaml, timm's config.json. What of them cannot be heeded is refused
    by its name.

    Heads have these roles. Semantic: class_map (ids), semantic_logits, or object_scores (one channel). Instance:
    class_logits and mask_logits (queries), boxes, scores, class_ids and masks, or predictions and prototypes (YOLO).
    Panoptic: class_logits and mask_logits, or semantic_logits, center_heatmap and offsets (Panoptic-DeepLab).
    """
    from segrt.export.adopt.adopt_options import AdoptOptions
    from segrt.export.adopt.asking import adopt_or_ask, try_out
    from segrt.export.adopt.foreign_files import refuse_foreign
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.preprocess.input_spec import Resize

    refuse_foreign(model)
    if (rule == "shortest-edge") != (shortest_edge is not None):
        raise SegrtError("--shortest-edge PIXELS must be given with --resize shortest-edge, and only then")
    if antialias and interpolation not in ("linear", "cubic"):
        raise SegrtError(f"--antialias needs --interpolation linear or cubic, but got {interpolation}")
    resize = None
    if rule is not None:
        resize = Resize(
            rule="shortest_edge" if rule == "shortest-edge" else rule,  # type: ignore[arg-type]  # click checked it
            interpolation=interpolation,  # type: ignore[arg-type]  # click checked it
            antialias=antialias,
            shortest_edge=shortest_edge,
            pad=pad * 3 if len(pad) == 1 else pad,
            pad_side=_pad_side(rule, pad_side),  # type: ignore[arg-type]  # click checked it
            rounding=(rounding or "nearest").replace("-", "_"),  # type: ignore[arg-type]  # click checked it
        )
    elif antialias or interpolation != "linear" or any(pad) or pad_side or rounding:
        raise SegrtError(
            "--interpolation, --antialias, --pad, --pad-side and --rounding are parts of --resize; add it, letterbox "
            "for instance"
        )
    options = AdoptOptions(resize=resize, heads=heads, **known)
    if len(photos) > 3:
        raise SegrtError(f"--try {photos[3]}: three photos are shown at most; leave it out")
    for line in try_out(model, out, options, photos) if photos else adopt_or_ask(model, out, options):
        click.echo(line)
    if photos:
        return
    click.echo(f"{out}: written and verified; look at `segrt inspect {out}`, then `segrt run {out} PICTURE --out DIR`")
