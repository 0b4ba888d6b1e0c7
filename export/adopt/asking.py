"""A network whose readings are drawn: beside the question where signs do not agree, or as the user asks to see them."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.adopting import adopt_network
from segrt.export.adopt.candidates import Candidate, UndecidedError
from segrt.export.adopt.conventions.convention import IMAGENET_MEAN, IMAGENET_STD
from segrt.export.golden_pictures import trial_pictures
from segrt.runtime.bundle.bundle_writer import BundleWriter
from segrt.runtime.draw import fit, overlay, side_by_side
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import Picture, read_image, write_image
from segrt.runtime.preprocess.channels import shown
from segrt.runtime.preprocess.input_spec import Resize
from segrt.runtime.results import InstanceResult, PanopticResult, Result
from segrt.runtime.segmenter import open_bundle

_GUESS = Candidate("", {})
_LONGEST_SIDE = 480
_LONGEST_TITLE = 28
# The usual ways to feed a float network, as they are typed.
_VALUES = (
    Candidate("--scale 0.00392157", {"scale": 0.00392157}),
    Candidate("--scale 0.00392157 --mean 0.5 --std 0.5", {"scale": 0.00392157, "mean": (0.5,) * 3, "std": (0.5,) * 3}),
    Candidate(
        "--scale 0.00392157 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225",
        {"scale": 0.00392157, "mean": IMAGENET_MEAN, "std": IMAGENET_STD},
    ),
    Candidate("--scale 1", {"scale": 1.0}),
)
_RESIZES = (
    Candidate("--resize stretch", {"resize": Resize()}),
    Candidate("--resize letterbox", {"resize": Resize("letterbox")}),
)


def adopt_or_ask(path: Path, out: Path, options: AdoptOptions) -> list[str]:
    """Adopt as `adopt_network`; where signs do not agree, draw the candidates on three pictures, and ask.

    Raises SegrtError with the question in one line, which names the picture `OUT-candidates.png`.
    """
    BundleWriter(out, overwrite=options.overwrite)  # complains now, not after the work
    try:
        return adopt_network(path, out, options)
    except UndecidedError as question:
        sheet = sheet_of(out)
        if sheet.exists() and not options.overwrite:
            raise SegrtError(f"{question}; {sheet}, which would show them, exists: --overwrite replaces it") from None
        draw_candidates(path, question.candidates, options, trial_pictures(options.golden), sheet)
        raise SegrtError(f"{question}; {sheet} shows each on three pictures") from None


def try_out(path: Path, out: Path, options: AdoptOptions, photos: Sequence[Path]) -> list[str]:
    """Draw how each reading of the network that the user leaves open looks on `photos`; adopt nothing.

    Returns what was drawn, a line for each.
    """
    sheet = sheet_of(out)
    if sheet.exists() and not options.overwrite:
        raise SegrtError(f"{sheet}: exists already; add --overwrite to replace it")
    pictures = [fit(read_image(photo), _LONGEST_SIDE) for photo in photos]
    with tempfile.TemporaryDirectory(prefix="segrt-try-") as folder:
        try:
            adopt_network(path, Path(folder) / "guess", options)
            candidates = [_GUESS, *_alternatives(options)]
        except UndecidedError as question:
            candidates = list(question.candidates)
    told = draw_candidates(path, candidates, options, pictures, sheet)
    return [*told, f"{sheet}: shows each; adopt with the options under the right one, without --try"]


def sheet_of(out: Path) -> Path:
    """Return where the candidates of the bundle `out` are drawn."""
    return out.with_name(f"{out.name}-candidates.png")


def draw_candidates(
    path: Path, candidates: Sequence[Candidate], options: AdoptOptions, pictures: Sequence[Picture], sheet: Path
) -> list[str]:
    """Write `sheet`: a row for each candidate, a column for each picture; return what each found, a line for each.

    Candidates that give the very result of one before are not drawn again, nor are those that cannot be adopted.
    """
    panels, told = [], []
    known: list[list[np.ndarray]] = []
    for candidate in candidates:
        title = candidate.typed or "as guessed"
        try:
            rows, found = _tried(path, candidate, options, pictures)
        except SegrtError as error:
            told.append(f"{title}: not possible: {error}")
            continue
        if any(all(np.array_equal(a, b) for a, b in zip(rows, other, strict=True)) for other in known):
            told.append(f"{title}: as one before")
            continue
        known.append(rows)
        told.append(f"{title}: {'; '.join(found)}")
        panels += [(_short(title), row, [title, what]) for row, what in zip(rows, found, strict=True)]
    if not panels:
        raise SegrtError(f"{path}: no reading of it can be adopted; {told[0]}")
    sheet.absolute().parent.mkdir(parents=True, exist_ok=True)
    write_image(sheet, side_by_side(panels, columns=len(pictures)))
    return told


def _tried(
    path: Path, candidate: Candidate, options: AdoptOptions, pictures: Sequence[Picture]
) -> tuple[list[Picture], list[str]]:
    """Return the pictures with the candidate's results over them, and what was found in each; raise SegrtError."""
    with tempfile.TemporaryDirectory(prefix="segrt-try-") as folder:
        out = Path(folder) / "candidate"
        adopt_network(path, out, replace(options, **candidate.options))
        with open_bundle(out, backend="onnxruntime", device="cpu") as segmenter:
            if not segmenter.manifest.image_input.takes_pictures:
                pictures = trial_pictures(options.golden, segmenter.manifest.inputs)[: len(pictures)]
            results = [segmenter(picture) for picture in pictures]
    drawn = [overlay(shown(picture), result) for picture, result in zip(pictures, results, strict=True)]
    return drawn, [_contents(result) for result in results]


def _short(title: str) -> str:
    """Return the title as far as it fits above a picture; the whole stands below."""
    return title if len(title) <= _LONGEST_TITLE else f"{title[: _LONGEST_TITLE - 1]}…"


def _contents(result: Result) -> str:
    if isinstance(result, InstanceResult):
        return f"{len(result)} objects"
    if isinstance(result, PanopticResult):
        return f"{len(result.segments)} segments"
    return f"{len(set(result.class_map.flat) - {result.void_id})} classes"


def _alternatives(options: AdoptOptions) -> list[Candidate]:
    """Return other usual readings of what the user did not state."""
    alternatives = [] if options.color is not None else [Candidate("--color bgr", {"color": "bgr"})]
    if (options.scale, options.mean, options.std) == (None, None, None):
        alternatives += _VALUES
    if options.resize is None:
        alternatives += _RESIZES
    if options.technique == "instance" and options.masks is None:
        alternatives += [Candidate(f"--masks {where}", {"masks": where}) for where in ("box", "picture")]
    if options.technique == "instance" and options.activation is None:
        alternatives += [Candidate(f"--activation {name}", {"activation": name}) for name in ("softmax", "sigmoid")]
    return alternatives
