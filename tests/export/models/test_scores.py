"""Instance and semantic scores are those of transformers over seeds: of its heads, decoded here and there."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from segrt.export.convert.exporting import build  # noqa: E402
from segrt.export.convert.parity import brought_to, synthetic_pictures  # noqa: E402
from segrt.export.family import Request, Weights  # noqa: E402
from segrt.export.graph.tracing import ByteInput, input_specs  # noqa: E402
from segrt.export.models.catalogue import find_model  # noqa: E402
from segrt.runtime.authoring.agreement import agreement  # noqa: E402
from segrt.runtime.authoring.matched_share import count_objects, matched_share  # noqa: E402
from segrt.runtime.decode.decoders import find_decoder  # noqa: E402
from segrt.runtime.decode.rule import Context  # noqa: E402
from segrt.runtime.preprocess.picture import network_inputs  # noqa: E402

EOMT = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_blocks": 2,
    "num_queries": 30,
}
MASK2FORMER = {
    "backbone_config": {"embed_dim": 32, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 4, 8)},
    "encoder_layers": 1,
    "decoder_layers": 2,
    "num_queries": 30,
}


@pytest.mark.parametrize(
    ("name", "overrides", "seeds", "least"),
    [
        ("eomt-large-640-coco-instance", EOMT, range(10), 0.99),
        ("eomt-large-512-ade20k-semantic", EOMT, range(4), 0.999),
        ("mask2former-swin-tiny-coco-instance", MASK2FORMER, range(4), 0.99),
        ("oneformer-swin-tiny-ade-instance", MASK2FORMER, range(3), 0.999),
        ("mask2former-swin-tiny-cityscapes-semantic", MASK2FORMER, range(4), 0.999),
    ],
)
def test_results_agree_whatever_the_seed(name: str, overrides: dict[str, Any], seeds: range, least: float) -> None:
    size, pictures, found = (128, 128), synthetic_pictures(), 0
    for seed in seeds:
        exportable = build(Request(find_model(name), size, Weights("random", seed=seed), overrides=overrides))
        network, specs = ByteInput(exportable), input_specs(exportable, size)
        decoder = find_decoder(exportable.decode, "cpu")
        for picture in pictures:
            inputs, geometry = network_inputs(specs, brought_to(exportable.limits.at, picture))
            with torch.inference_mode():
                pixels = network.pixels(torch.from_numpy(inputs["image"]))
                theirs = exportable.framework_result(pixels, None, geometry)
                heads = exportable.core(pixels)
            by_role = {role: head[0].numpy() for (_, role), head in zip(exportable.heads, heads, strict=True)}
            ours = decoder(by_role, geometry, Context(exportable.decode, exportable.labels, 1))
            assert agreement(theirs, ours) >= least, seed
            assert matched_share([(ours, theirs)]) in (None, 1.0), seed
            found += count_objects(theirs)
    assert found > 3 * len(seeds)
