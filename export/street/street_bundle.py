"""Writes the bundle of a trained street network, with golden frames of streets that it was not trained on."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxscript
import torch
from torch import nn

from segrt.export.bundling import GoldenPicture, Network, VariantFile, write_bundle
from segrt.export.street.onnx_file import write_onnx
from segrt.export.street.samples import EVALUATION_SEED, TRAINING_SEED
from segrt.export.street.street_networks import SIZE, Deployed
from segrt.runtime.bundle.manifest import Source
from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.preprocess.input_spec import InputSpec, Resize
from segrt.runtime.streetworld import STUFF, THINGS, StreetWorld, street_labels
from segrt.runtime.streetworld.moments import drawn_time

GOLDEN_SEEDS = (EVALUATION_SEED - 1, EVALUATION_SEED - 2)

TECHNIQUES: dict[str, tuple[tuple[str, ...], tuple[str, ...], DecodeRule]] = {  # heads, classes, decode rule
    "semantic": (("semantic_logits",), STUFF + THINGS, Argmax()),
    "instance": (("class_logits", "mask_logits"), THINGS, QueryInstances(activation="softmax")),
    "panoptic": (("class_logits", "mask_logits"), STUFF + THINGS, MergeQueries(merge_rule="maskformer")),
}


def write_street_bundle(network: nn.Module, technique: str, out: Path, training: str) -> Path:
    """Write the bundle `street-TECHNIQUE` into the folder `out`; `training` says how the weights came to be."""
    heads, classes, decode = TECHNIQUES[technique]
    deployed = Deployed(network).eval()
    with torch.no_grad():
        outputs = deployed(torch.zeros(1, *SIZE, 3, dtype=torch.uint8))
    description = Network(
        name=f"street-{technique}",
        technique=technique,  # type: ignore[arg-type]
        family="street",
        source=Source(
            weights=f"segrt street world, seeds from {TRAINING_SEED}",
            licence="Apache-2.0",
            versions={"torch": str(torch.__version__), "onnx": onnx.__version__, "onnxscript": onnxscript.__version__},
            notes=training,
        ),
        inputs=(InputSpec(name="image", dtype="uint8", shape=(1, *SIZE, 3), resize=Resize(rule="stretch")),),
        heads=tuple(
            HeadSpec(name=name, role=name, dtype="float32", shape=tuple(output.shape))
            for name, output in zip(heads, outputs, strict=True)
        ),
        labels=street_labels(classes),
        decode=decode,
        domain="segrt's drawn street",
    )
    golden = []
    for seed in GOLDEN_SEEDS:
        image = StreetWorld(seed).render(drawn_time(seed), SIZE).image
        rgb = torch.from_numpy(np.ascontiguousarray(image[None, ..., ::-1]))
        with torch.no_grad():
            arrays = {name: output.numpy() for name, output in zip(heads, deployed(rgb), strict=True)}
        golden.append(GoldenPicture(name=f"street-{seed}", image=image, heads=arrays))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_onnx(network, heads, path)
        return write_bundle(out / description.name, description, [VariantFile("fp32", path)], golden, overwrite=True)
