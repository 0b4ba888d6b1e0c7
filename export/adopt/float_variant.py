"""The float variant of a quantised network beside the original: how much of their results is the same."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from segrt.export.bundling import GoldenPicture, Network, VariantFile, default_tolerance
from segrt.runtime.authoring.agreement import agreement
from segrt.runtime.bundle.manifest import Parity, Tolerance
from segrt.runtime.decode.decoders import find_decoder
from segrt.runtime.decode.rule import Context
from segrt.runtime.errors import BundleError
from segrt.runtime.inference.onnxruntime import run_file
from segrt.runtime.preprocess.picture import network_inputs

_SLACK = 0.01  # what another device may add


def compare_with_original(
    network: Network, quantised: Path, float_file: Path, pictures: Sequence[GoldenPicture], notes: list[str]
) -> tuple[VariantFile, list[GoldenPicture]]:
    """Return the variant of the ONNX file `float_file` and golden frames with the outputs of the `quantised` one.

    The frames stay the quantised network's, so that `segrt verify` holds both to them; heads are not compared one by
    one, for rounding to 256 steps is the difference that was asked for. Raises BundleError where the heads are of other
    types.
    """
    decoder, context = find_decoder(network.decode, "cpu"), Context(network.decode, network.labels)
    agreements, golden = [], []
    for picture in pictures:
        inputs, geometry = network_inputs(network.inputs, picture.image)
        outputs = [run_file(file, inputs) for file in (quantised, float_file)]
        for head in network.heads:
            dtypes = [str(arrays[head.name].dtype) for arrays in outputs]
            if dtypes[0] != dtypes[1]:
                raise BundleError(f"head {head.name!r} is {dtypes[0]}, but {dtypes[1]} without quantisation")
        results = [
            decoder({head.role: arrays[head.name][0] for head in network.heads}, geometry, context)
            for arrays in outputs
        ]
        agreements.append(agreement(results[0], results[1]))
        golden.append(replace(picture, heads=outputs[0]))
    mean, least = sum(agreements) / len(agreements), min(agreements)
    notes.append(
        f"dequantised: {mean:.2%} of the results are the quantised network's over {len(agreements)} pictures, "
        f"at least {least:.2%}; the variants are fp32, which is the default, and the network as it was"
    )
    tolerance = Tolerance(max(min(least - _SLACK, default_tolerance(network, "fp32").agreement), 0.0))
    return VariantFile("fp32", float_file, tolerance, parity=Parity(len(agreements), mean)), golden
