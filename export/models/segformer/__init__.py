"""SegFormer B0 to B5 (Xie et al., "SegFormer: Simple and Efficient Design for Semantic Segmentation"), of transformers.

Weights are published for ADE20K and for Cityscapes. NVIDIA's licence forbids their commercial use.
"""

from segrt.export.family import Checkpoint, Model

POSITION = 60
_LICENCE = "NVIDIA Source Code License for SegFormer (non-commercial)"

MODELS = tuple(
    Model(
        name=f"segformer-{name}-{data}",
        technique="semantic",
        family="segformer",
        size=(size, size),
        labels=labels,
        options={"depths": depths, "hidden_sizes": widths, "decoder_hidden_size": decoder},
        checkpoint=Checkpoint(f"nvidia/segformer-{name}-finetuned-{data}-{size}-{size}", _LICENCE),
        multiple=32,
        parameters=parameters - (150 - classes) * (decoder + 1),
        gmacs=gmacs,
        head_bytes=classes * (size // 4) ** 2 * 4,
    )
    for name, depths, widths, decoder, ade_side, parameters, ade_gmacs, cityscapes_gmacs in (
        ("b0", (2, 2, 2, 2), (32, 64, 160, 256), 256, 512, 3_752_694, 8.39, 43.84),
        ("b1", (2, 2, 2, 2), (64, 128, 320, 512), 256, 512, 13_715_798, 15.88, 86.28),
        ("b2", (3, 4, 6, 3), (64, 128, 320, 512), 768, 512, 27_461_974, 62.34, 289.47),
        ("b3", (3, 4, 18, 3), (64, 128, 320, 512), 768, 512, 47_337_814, 78.96, 380.13),
        ("b4", (3, 8, 27, 3), (64, 128, 320, 512), 768, 512, 64_108_374, 95.57, 477.55),
        ("b5", (3, 6, 40, 3), (64, 128, 320, 512), 768, 640, 84_708_694, 183.14, 561.05),
    )
    for data, labels, classes, size, gmacs in (
        ("ade", "ade20k", 150, ade_side, ade_gmacs),
        ("cityscapes", "cityscapes", 19, 1024, cityscapes_gmacs),
    )
)
