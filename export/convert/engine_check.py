"""Lets NVIDIA's builder try every variant of an export."""

from collections.abc import Callable, Sequence

from segrt.export.bundling import VariantFile
from segrt.runtime.errors import CheckFailed


def check_engines(name: str, variants: Sequence[VariantFile], say: Callable[[str], None]) -> None:
    """Let NVIDIA's builder make an engine of every variant; raise CheckFailed that names what it refuses."""
    from segrt.export.graph.tensorrt_check import check_tensorrt

    for variant in variants:
        if variant.precision == "int8-cpu":
            say("int8-cpu is for ONNX Runtime on a CPU: no engine is built of it")
            continue
        say(f"building an engine of {variant.precision}")
        checked = check_tensorrt(variant.onnx)
        if not checked:
            nodes = "; ".join(str(node) for node in checked.refused[:4]) or checked.reason
            raise CheckFailed(f"{name}: {checked.builder} refuses the {variant.precision} variant: {nodes}")
        say(f"{checked.builder} builds {variant.precision}: an engine of {checked.plan_bytes / 1e6:.0f} MB")
