"""Simplifies a graph with onnxslim's own steps: constants folded, nodes fused, copies of one computation joined."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from segrt.export.graph.large_weights import LargeWeights
from segrt.runtime.errors import SegrtError

if TYPE_CHECKING:
    import onnx

_MOST_ROUNDS = 10


def simplified(model: "onnx.ModelProto", large: LargeWeights, name: str) -> "onnx.ModelProto":
    """Simplify the graph as `onnxslim.slim` does, round by round until nothing changes, large weights beside it."""
    import onnxslim.third_party.onnx_graphsurgeon.logger.logger as onnxslim_logger
    from onnxslim.core import OptimizationSettings, optimize, shape_infer
    from onnxslim.utils import TensorInfo, check_point, update_outputs_dims

    shapes = {info.name: info.shape for info in map(TensorInfo, model.graph.output)}
    OptimizationSettings.reset(None)
    log = onnxslim_logger.G_LOGGER
    severity, log.severity = log.severity, onnxslim_logger.Logger.ERROR  # it warns of a stub that the next round folds
    try:
        with large.readable():
            before = check_point(model)
            for _ in range(_MOST_ROUNDS):
                large.fold(model)
                model = optimize(model)
                large.take_out(model)
                large.forget_others(model)
                model = shape_infer(model)
                after = check_point(model)
                if after == before:
                    break
                before = after
            slim: onnx.ModelProto = update_outputs_dims(model, output_dims=shapes)
    except Exception as error:
        raise SegrtError(f"{name}: onnxslim cannot simplify its graph ({root_reason(error)})") from error
    finally:
        log.severity = severity
    return slim


def with_initialisers(model: "onnx.ModelProto", stored: Sequence["onnx.TensorProto"]) -> None:
    """Let `model` have the initialisers `stored`, and no inputs in place of them."""
    names = {tensor.name for tensor in stored}
    inputs = [value for value in model.graph.input if value.name not in names]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    del model.graph.initializer[:]
    model.graph.initializer.extend(stored)


def root_reason(error: BaseException) -> str:
    """Return the root cause in one line: torch wraps it several times."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(f"{type(error).__name__}: {error}".split())[:400]
