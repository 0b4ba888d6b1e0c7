"""OneFormer (Jain et al., "OneFormer: One Transformer to Rule Universal Image Segmentation"), of transformers.

One network for the three techniques; the task is chosen when it is exported.
"""

from segrt.export.family import Checkpoint, Model
from segrt.export.models.shared.query_backbones import BACKBONES, CLASS_LISTS
from segrt.runtime.results.technique import Technique

POSITION = 130
_TECHNIQUES: tuple[Technique, ...] = ("panoptic", "instance", "semantic")

MODELS = tuple(
    Model(
        name=f"oneformer-{backbone}-{data}-{technique}",
        technique=technique,
        family="oneformer",
        size=size,
        labels=CLASS_LISTS[data],
        options={"backbone_config": BACKBONES[backbone], "num_queries": queries},
        checkpoint=Checkpoint(f"shi-labs/{repository}", "MIT"),
        multiple=32,
        parameters=parameters,
        gmacs=gmacs,
        head_bytes=head_bytes,
    )
    for repository, backbone, data, size, queries, parameters, gmacs, head_bytes in (
        ("oneformer_ade20k_swin_tiny", "swin-tiny", "ade", (512, 512), 150, 50_737_937, 81.54, 9_921_000),
        ("oneformer_ade20k_swin_large", "swin-large", "ade", (640, 640), 250, 218_814_219, 427.13, 25_751_000),
        ("oneformer_coco_swin_large", "swin-large", "coco", (800, 1088), 150, 218_784_250, 850.32, 32_720_400),
    )
    for technique in _TECHNIQUES
)
