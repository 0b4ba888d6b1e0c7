"""Compares the two networks of an export that takes prompts with the framework, from picture and prompt to the mask.

As in `parity`: heads value by value, of both networks, the decoder's on what its own encoder gave; results with those
of the framework's unmodified model, its processor's coordinates and its masks; the input with its image processor's.
Every picture is asked with a box, a point, both, and points of which one is background.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import torch

from segrt.export.convert.parity import HeadError, ParityReport, input_error, limit_of, report_of
from segrt.export.family import Exportable
from segrt.export.graph.own_heap import give_back
from segrt.export.graph.tracing import IMAGE, Traced
from segrt.runtime.bundle.prompt_members import DECODER, ENCODER
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.decode.prompted_masks import prompted_masks
from segrt.runtime.decode.rule import Context
from segrt.runtime.files.images import Picture
from segrt.runtime.inference.onnxruntime import OnnxRuntimeBackend
from segrt.runtime.inference.tensors import Array, TensorSpec, prefixed
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import InputSpec
from segrt.runtime.preprocess.picture import network_inputs
from segrt.runtime.preprocess.prompts import Prompt, fill_prompt, most_tokens, trial_prompt
from segrt.runtime.results import Result


@dataclass(frozen=True)
class TracedDecoder:
    """The decoder's ONNX file and what it takes and gives, with the decoder's own names."""

    path: Path
    inputs: tuple[InputSpec, ...]
    heads: tuple[HeadSpec, ...]


@dataclass(frozen=True)
class TrialReference:
    """What torch makes of a picture with the trial prompt: the decoder's heads by role, batch first, and its result."""

    picture: Picture
    heads: Mapping[str, Array]
    result: Result


def asked(size: tuple[int, int]) -> list[Prompt]:
    """Return what a picture of `size` (H, W) is asked, the trial prompt first."""
    height, width = size
    x, y = 0.3 * width, 0.4 * height
    box = (0.1 * width, 0.2 * height, 0.6 * width, 0.9 * height)
    return [
        trial_prompt(size),
        Prompt(points=((x, y),), labels=(1,)),
        Prompt(box=box, points=((x, y), (0.5 * width, 0.8 * height)), labels=(1, 0)),
        Prompt(points=((x, y), (0.8 * width, 0.3 * height)), labels=(1, 0)),
    ]


def compare_prompted(
    traced: Traced,
    decoder: TracedDecoder,
    exportable: Exportable,
    pictures: Iterable[Picture],
    *,
    threads: int,
    keep: int,
) -> tuple[ParityReport, list[TrialReference]]:
    """Compare both ONNX files in ONNX Runtime with torch over `pictures`, uint8 BGR (H, W, 3) each.

    The references of the first `keep` pictures are returned, too.
    """
    errors = {prefixed(ENCODER, head.name): HeadError() for head in traced.heads}
    errors |= {prefixed(DECODER, head.name): HeadError() for head in decoder.heads}
    pairs: list[tuple[Result, Result]] = []
    input_errors: list[tuple[float, float]] = []
    kept: list[TrialReference] = []
    context = Context(exportable.decode, exportable.labels, threads)
    for picture in pictures:
        give_back()
        inputs, geometry = network_inputs(traced.inputs, picture)
        prompts = asked(geometry.source_size)
        wanted, answers, results = _in_torch(traced, exportable, inputs, geometry, prompts)
        found = _run(traced.path, traced.inputs, traced.heads, [inputs], threads)[0]
        tokens = [_tokens(prompt, geometry, decoder) for prompt in prompts]
        made = _run(decoder.path, decoder.inputs, decoder.heads, [{**found, **token} for token in tokens], threads)
        _count(errors, ENCODER, found, wanted, exportable)
        for prompt, heads, own, result in zip(prompts, made, answers, results, strict=True):
            _count(errors, DECODER, heads, own, exportable)
            by_role = {prefixed(DECODER, spec.role): heads[spec.name][0] for spec in decoder.heads}
            placed = fill_prompt(prompt, geometry, *_blank(decoder))
            pairs.append((result, prompted_masks(by_role, placed, context)))
        if exportable.framework_pixels is not None:
            input_errors.append(input_error(traced, exportable, picture))
        if len(kept) < keep:
            kept.append(TrialReference(picture, answers[0], results[0]))
    report = report_of(errors, pairs, input_errors, exportable.limits)
    parity = msgspec.structs.replace(report.parity, images=len(pairs) // len(asked((1, 1))))
    return replace(report, parity=parity), kept


def _in_torch(
    traced: Traced, exportable: Exportable, inputs: Mapping[str, Array], geometry: Geometry, prompts: list[Prompt]
) -> tuple[dict[str, Array], list[dict[str, Array]], list[Result]]:
    """Return the encoder's heads, the decoder's for each prompt, and the framework's own results."""
    prompted = exportable.prompt_decoder
    assert prompted is not None
    with torch.inference_mode():
        image = torch.from_numpy(inputs[IMAGE])
        embeddings = traced.network(image)
        pixels = traced.network.pixels(image)
        answers = []
        for prompt in prompts:
            points, labels = np.zeros((prompted.tokens, 2), np.float32), np.zeros(prompted.tokens, np.int32)
            fill_prompt(prompt, geometry, points, labels)
            heads = prompted.core(*embeddings, torch.from_numpy(points)[None], torch.from_numpy(labels)[None])
            answers.append({name: head.numpy() for (name, _), head in zip(prompted.heads, heads, strict=True)})
        results = [prompted.framework_masks(pixels, prompt, geometry) for prompt in prompts]
    wanted = {spec.name: head.numpy() for spec, head in zip(traced.heads, embeddings, strict=True)}
    return wanted, answers, results


def _run(
    path: Path,
    inputs: Iterable[InputSpec],
    heads: Iterable[HeadSpec],
    given: list[dict[str, Array]],
    threads: int,
) -> list[dict[str, Array]]:
    takes = [TensorSpec(spec.name, spec.dtype, spec.shape) for spec in inputs]
    gives = [TensorSpec(spec.name, spec.dtype, spec.shape) for spec in heads]
    with OnnxRuntimeBackend(path, takes, gives, threads=threads, slots=1, only_cpu=True) as backend:
        return [backend.run(arrays) for arrays in given]


def _tokens(prompt: Prompt, geometry: Geometry, decoder: TracedDecoder) -> dict[str, Array]:
    points, labels = _blank(decoder)
    fill_prompt(prompt, geometry, points, labels)
    names = {spec.role: spec.name for spec in decoder.inputs}
    return {names["points"]: points[None], names["point_labels"]: labels[None]}


def _blank(decoder: TracedDecoder) -> tuple[Array, Array]:
    count = most_tokens(decoder.inputs)
    return np.zeros((count, 2), np.float32), np.zeros(count, np.int32)


def _count(
    errors: Mapping[str, HeadError],
    member: str,
    found: Mapping[str, Array],
    wanted: Mapping[str, Array],
    of: Exportable,
) -> None:
    for name, array in wanted.items():
        errors[prefixed(member, name)].add(found[name], array, limit_of(of.limits, prefixed(member, name)))
