"""RF-DETR-Seg, nano to 2x-large (Robinson et al., "RF-DETR"), of transformers, with its authors' weights.

Sizes differ in side, windows, layers of the decoder and queries; the side is a multiple of a patch of 12 pixels times
the windows.
"""

from segrt.export.family import Checkpoint, Model

POSITION = 80
MODELS = tuple(
    Model(
        name=f"rfdetr-seg-{name}",
        technique="instance",
        family="rfdetr",
        size=(side, side),
        labels="coco",
        options={
            "num_queries": queries,
            "decoder_layers": layers,
            "decoder_n_points": 2,
            "backbone_config": {"num_windows": windows, "image_size": side},
        },
        checkpoint=Checkpoint(f"https://storage.googleapis.com/rfdetr/{file}", "Apache-2.0"),
        multiple=12 * windows,
        parameters=parameters,
        gmacs=gmacs,
        head_bytes=queries * (91 + (side // 4) ** 2) * 4,
    )
    for name, file, side, windows, layers, queries, parameters, gmacs in (
        ("nano", "rf-detr-seg-n-ft.pth", 312, 1, 4, 100, 33_577_475, 22.88),
        ("small", "rf-detr-seg-s-ft.pth", 384, 2, 4, 100, 33_711_107, 32.23),
        ("medium", "rf-detr-seg-m-ft.pth", 432, 2, 5, 200, 35_694_259, 44.20),
        ("large", "rf-detr-seg-l-ft.pth", 504, 2, 5, 300, 36_211_971, 64.17),
        ("xlarge", "rf-detr-seg-xl-ft.pth", 624, 2, 6, 300, 38_113_635, 109.49),
        ("2xlarge", "rf-detr-seg-2xl-ft.pth", 768, 2, 6, 300, 38_648_163, 187.23),
        ("preview", "rf-detr-seg-preview.pt", 432, 2, 4, 200, 34_153_555, 43.02),
    )
)
