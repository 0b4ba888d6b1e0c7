"""Makes the variants of a float32 network.

What the manifest says of a variant is read from its finished graph: the share of multiply-adds and weights at the
precision, the types of its heads. A variant that would run at another precision than its name says is refused.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from segrt.export.bundling import Network
from segrt.export.graph.editing import read_graph
from segrt.export.precision.calibration import calibration_files
from segrt.export.precision.converted_variant import ConvertedVariant
from segrt.export.precision.converters import PRECISIONS
from segrt.export.precision.float32_reference import Float32Reference, session_runner
from segrt.export.precision.indexed_graph import IndexedGraph, prepare_graph
from segrt.export.precision.layer_costs import find_layers, kept_nodes
from segrt.export.precision.variant_maker import VariantMaker
from segrt.export.precision.variant_options import Say, VariantOptions
from segrt.runtime.errors import CheckFailed, SegrtError
from segrt.runtime.files.images import Picture
from segrt.runtime.inference.tf32 import TF32
from segrt.runtime.preprocess.channels import read_input
from segrt.runtime.preprocess.input_spec import InputSpec

_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_HELD_BACK = 8
Failed = Callable[[str, SegrtError], None]


def make_variants(
    onnx_file: Path,
    precisions: Sequence[str],
    network: Network,
    *,
    folder: Path,
    say: Say = lambda line: None,  # noqa: ARG005
    options: VariantOptions | None = None,
    failed: Failed | None = None,
) -> list[ConvertedVariant]:
    """Make the variants `precisions` of the float32 network `onnx_file`, their files in `folder`.

    `network` describes it, `say` takes lines for the user. With `failed` a variant that cannot be made is told to it by
    its precision, and the others are made. Raises SegrtError for wrong use (an unknown precision, no
    calibration pictures, a quantised network), CheckFailed when a variant agrees too little with float32 even after
    the search, or when next to nothing of it would be at its precision.
    """
    chosen = options or VariantOptions()
    check_precisions(precisions)
    if any(name.startswith("int8") for name in precisions) and not chosen.calibration:
        calibration_files(None)
    net = prepare_graph(read_graph(onnx_file).model, str(onnx_file))
    calibration, pictures = _divided(chosen, network.inputs)
    run = session_runner(net.model, network, chosen.threads)
    # Where there are no others the golden pictures are those that are compared on: once is enough.
    are_golden = pictures is chosen.golden
    reference = Float32Reference(network, pictures, run, chosen.golden_heads if are_golden else None)
    golden = None
    if chosen.golden and not are_golden:
        golden = Float32Reference(network, chosen.golden, run, chosen.golden_heads)
    keep = kept_nodes(net, chosen.keep, must_fit=chosen.keep_must_fit) | box_arithmetic(net, network)
    maker = VariantMaker(
        net=net,
        layers=find_layers(net),
        network=network,
        reference=reference,
        golden=golden,
        keep=frozenset(keep),
        calibration=calibration,
        options=chosen,
        say=say,
    )
    return _all_that_can(lambda precision: maker.make(precision, folder, onnx_file), precisions, failed)


def _all_that_can(
    make: Callable[[str], ConvertedVariant], precisions: Sequence[str], failed: Failed | None
) -> list[ConvertedVariant]:
    made: list[ConvertedVariant] = []
    for precision in precisions:
        try:
            made.append(make(precision))
        except SegrtError as error:  # noqa: PERF203 (minutes pass in each turn)
            if failed is None:
                raise
            failed(precision, error)
    return made


def without(out: Path, failures: Mapping[str, SegrtError]) -> CheckFailed:
    """Return the error that ends a command whose bundle `out` lacks variants that were asked for."""
    return CheckFailed(
        f"{out}: was written without {' and '.join(failures)}: {'; '.join(str(error) for error in failures.values())}"
    )


def check_precisions(precisions: Sequence[str]) -> None:
    """Raise SegrtError for a precision that there is no converter for."""
    for name in precisions:
        if name == TF32:
            raise SegrtError(
                "--precision tf32: is no variant to make but a way to execute fp32; leave it out, every bundle with "
                "fp32 takes it (`segrt verify --precision tf32` judges it where it runs)"
            )
        if name not in PRECISIONS:
            raise SegrtError(f"--precision {name}: there is no such variant; choose from {', '.join(PRECISIONS)}")


def box_arithmetic(net: IndexedGraph, network: Network) -> set[str]:
    """Return the nodes that compute heads with boxes from the last layer on: float16 resolves no pixels above 2048."""
    nodes: set[str] = set()
    waiting = [spec.name for spec in network.heads if spec.role in ("boxes", "predictions")]
    while waiting:
        node = net.producers.get(waiting.pop())
        if node is not None and node.name not in nodes and node.op_type not in _WEIGHTED:
            nodes.add(node.name)
            waiting += list(node.input)
    return nodes


def _divided(options: VariantOptions, inputs: Sequence[InputSpec]) -> tuple[list[Picture], Sequence[Picture]]:
    """Return the pictures to calibrate with and those to compare on."""
    calibration = [read_input(path, inputs) for path in options.calibration]
    if options.pictures or not calibration:
        return calibration, options.pictures or options.golden
    every = max(2, len(calibration) // _HELD_BACK)
    held = calibration[::every][:_HELD_BACK]
    rest = [picture for index, picture in enumerate(calibration) if index % every or index // every >= _HELD_BACK]
    return rest or calibration, held
