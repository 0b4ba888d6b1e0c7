"""`segrt export` of networks that take prompts: two ONNX files, the encoder's and the decoder's, as one bundle."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from segrt.export.convert.card_making import truth_card
from segrt.export.convert.compared import Say, Show, check_report
from segrt.export.convert.export_options import ExportOptions
from segrt.export.convert.parity import ParityReport, synthetic_pictures
from segrt.export.convert.prompted_parity import TracedDecoder, TrialReference, compare_prompted
from segrt.export.family import Exportable, Request
from segrt.export.graph.own_heap import give_back
from segrt.export.graph.tensorrt_check import check_tensorrt
from segrt.export.graph.tracing import Traced, trace, write_graph
from segrt.export.quiet import quiet
from segrt.runtime.authoring.golden_frames import add_golden
from segrt.runtime.authoring.verification import verify_or_refuse
from segrt.runtime.bundle.bundle_writer import BundleWriter
from segrt.runtime.bundle.golden import GoldenOutputs
from segrt.runtime.bundle.manifest import MEMBERS, HeadTolerance, Manifest, Member, Tolerance, Variant
from segrt.runtime.bundle.prompt_members import DECODER, ENCODER
from segrt.runtime.console.words import counted
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.decode.prompted_masks import PROMPTS
from segrt.runtime.errors import CheckFailed, SegrtError
from segrt.runtime.files.images import Picture
from segrt.runtime.inference.tensors import prefixed
from segrt.runtime.preprocess.input_spec import InputSpec

_WIDER = 2.0  # another device may round differently
_LEAST = 2e-3
_SLACK = 0.005
_GOLDEN = 2


@dataclass(frozen=True)
class _Written:
    """What goes into the bundle."""

    exportable: Exportable
    traced: Traced
    decoder: TracedDecoder
    report: ParityReport
    golden: list[TrialReference]


def refuse_options(name: str, options: ExportOptions) -> None:
    """Raise SegrtError for options that networks with prompts do not take."""
    for option, is_given, why in (
        (
            "--precision",
            options.precisions != ("fp32",),
            "it is exported in fp32 alone, in which TensorRT may use TF32",
        ),
        ("--labels", options.labels is not None, "what is pointed at is an object, whatever it is"),
        ("--top-queries", options.top_queries is not None, "it has no queries to choose from"),
        ("--dynamic-batch", options.dynamic_batch, "prompts belong to one picture"),
        ("--both-orientations", options.both_orientations, "it stretches every picture to a square"),
        (
            "--annotations",
            options.measure_on is not None,
            "what it segments depends on prompts, which a data set lacks",
        ),
    ):
        if is_given:
            raise SegrtError(f"{option}: {name} takes prompts; {why}; leave it out")


def export_prompted(
    request: Request,
    exportable: Exportable,
    out: Path,
    options: ExportOptions,
    pictures: list[Picture],
    *,
    say: Say,
    show: Show,
) -> tuple[Path, ParityReport]:
    """Write `exportable`, whose networks take prompts, as the bundle `out`; return that and how it compared."""
    name = request.model.name
    with tempfile.TemporaryDirectory(prefix="segrt-export-") as folder:
        say("exporting the encoder to ONNX")
        traced = trace(exportable, request.size, Path(folder) / "encoder.onnx", f"{name}'s encoder")
        say("exporting the decoder to ONNX")
        decoder = _trace_decoder(exportable, traced, Path(folder) / "decoder.onnx", name)
        give_back()
        say(f"comparing them with torch on {counted(len(pictures), 'picture')}, four prompts each")
        with quiet():
            shown = options.progress(pictures, "comparing with torch")
            report, golden = compare_prompted(
                traced, decoder, exportable, shown, threads=options.threads, keep=_golden_count(options)
            )
            if not golden:
                golden = compare_prompted(
                    traced, decoder, exportable, synthetic_pictures()[:_GOLDEN], threads=options.threads, keep=_GOLDEN
                )[1]
        show(report)
        check_report(name, report)
        if options.check_tensorrt:
            for path in (traced.path, decoder.path):
                say(f"building an engine of the {path.stem}")
                checked = check_tensorrt(path)
                if not checked:
                    raise CheckFailed(f"{name}: {checked.builder} refuses the {path.stem}: {checked.reason}")
                say(f"{checked.builder} builds it: an engine of {checked.plan_bytes / 1e6:.0f} MB")
        say("writing the bundle, and checking its golden frames")
        written = _Written(exportable, traced, decoder, report, golden)
        return _write(request, written, out, options), report


def _golden_count(options: ExportOptions) -> int:
    """Return how many of the compared pictures are golden, too: the user's own are nobody else's business."""
    return _GOLDEN if options.parity_images is None else 0


def _trace_decoder(exportable: Exportable, traced: Traced, path: Path, name: str) -> TracedDecoder:
    """Write the decoder's ONNX file; it takes the encoder's heads, points and their labels."""
    prompted = exportable.prompt_decoder
    assert prompted is not None
    inputs = (
        *(
            InputSpec(head.name, "float32", head.shape, role="embedding", carries=prefixed(ENCODER, head.name))
            for head in traced.heads
        ),
        InputSpec("points", "float32", (1, prompted.tokens, 2), role="points"),
        InputSpec("point_labels", "int32", (1, prompted.tokens), role="point_labels"),
    )
    core = prompted.core.eval()
    heads = write_graph(core, inputs, prompted.heads, path, f"{name}'s decoder", opset=exportable.opset)
    return TracedDecoder(path, inputs, heads)


def _write(request: Request, written: _Written, out: Path, options: ExportOptions) -> Path:
    model, exportable = request.model, written.exportable
    limits = exportable.limits
    parts: dict[str, Traced | TracedDecoder] = {ENCODER: written.traced, DECODER: written.decoder}
    allowed = HeadTolerance(max(_LEAST, _WIDER * limits.head.absolute), max(_LEAST, _WIDER * limits.head.relative))
    with BundleWriter(out, overwrite=options.overwrite) as writer:
        files = {name: writer.copy(f"{name}/model.fp32.onnx", part.path) for name, part in parts.items()}
        variant = Variant(
            precision="fp32",
            file=files[ENCODER],
            member_files=files,
            # The encoder's heads are tens of megabytes: the decoder's, which are made of them, stand for them.
            tolerance=Tolerance(
                max(limits.agreement - _SLACK, 0.0),
                {prefixed(DECODER, head.name): allowed for head in written.decoder.heads},
            ),
            precision_share=1.0,
            weight_share=1.0,
            parity=written.report.parity,
        )
        manifest = Manifest(
            required_features=(MEMBERS, PROMPTS),
            name=model.name,
            technique=model.technique,
            family=model.family,
            source=exportable.source,
            inputs=tuple(_input(name, spec) for name, part in parts.items() for spec in part.inputs),
            heads=tuple(_head(name, head) for name, part in parts.items() for head in part.heads),
            labels=exportable.labels,
            decode=exportable.decode,
            variants=(variant,),
            members=tuple(
                Member(
                    name=name,
                    technique=model.technique,
                    family=model.family,
                    source=exportable.source,
                    labels=exportable.labels,
                    decode=exportable.decode,
                    classes=tuple(range(len(exportable.labels))),
                )
                for name in parts
            ),
            card=truth_card(model, written.report, options),
        )
        frames = tuple(
            add_golden(writer, f"synthetic-{number}", frame.picture, _outputs(frame))
            for number, frame in enumerate(written.golden, 1)
        )
        return writer.finish(
            msgspec.structs.replace(manifest, golden=frames),
            lambda folder: verify_or_refuse(folder, out, ["fp32"], threads=options.threads),
        )


def _outputs(frame: TrialReference) -> GoldenOutputs:
    heads = {prefixed(DECODER, role): array[0] for role, array in frame.heads.items()}
    return GoldenOutputs(heads, frame.result)


def _input(member: str, spec: InputSpec) -> InputSpec:
    return msgspec.structs.replace(spec, name=prefixed(member, spec.name))


def _head(member: str, head: HeadSpec) -> HeadSpec:
    return msgspec.structs.replace(head, name=prefixed(member, head.name), role=prefixed(member, head.role))
