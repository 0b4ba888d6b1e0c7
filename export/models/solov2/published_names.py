"""SOLO's weights under either of their published names, put into networks that are named as mmdetection names them.

The authors' own repository (WXinlong/SOLO) has the same modules under other names: `bbox_head.solo_cate` is
`mask_head.conv_cls`, `mask_feat_head` is a part of the head.
"""

from torch import nn

from segrt.export.weights import network_weights
from segrt.runtime.errors import SegrtError

_HEADS = {"bbox_head": "mask_head", "mask_feat_head": "mask_head.mask_feature_head"}
_PARTS = {
    "cate_convs": "cls_convs",
    "ins_convs": "mask_convs",
    "ins_convs_x": "mask_convs_x",
    "ins_convs_y": "mask_convs_y",
    "solo_cate": "conv_cls",
    "dsolo_cate": "conv_cls",
    "solo_kernel": "conv_kernel",
    "solo_ins_list": "conv_mask_list",
    "dsolo_ins_list_x": "conv_mask_list_x",
    "dsolo_ins_list_y": "conv_mask_list_y",
}
_DEFORMABLE = "conv_offset"


def load_published(network: nn.Module, tensors: network_weights.Tensors | None, where: str) -> None:
    """Put `tensors`, named as mmdetection's or as the authors', into `network`; None leaves it as it is.

    Raises SegrtError for what does not fit, and for weights of networks with deformable convolutions.
    """
    deformable = sorted(name for name in tensors or () if _DEFORMABLE in name)
    if deformable:
        raise SegrtError(
            f"{where}: holds {len(deformable)} tensors of deformable convolutions ({deformable[0]}, …), which TensorRT "
            "cannot build from ONNX; give the weights of the same network without DCN"
        )
    network_weights.load(network, tensors, where, rename=mmdetection_name)


def mmdetection_name(name: str) -> str:
    """Return mmdetection's name of a tensor that SOLO's authors call `name`; other names as they are."""
    first, dot, rest = name.partition(".")
    if first not in _HEADS:
        return name
    part, inner_dot, inner = rest.partition(".")
    if part == "conv_pred":
        inner = inner.removeprefix("0.")  # the authors' is a sequence of one
    return _HEADS[first] + dot + _PARTS.get(part, part) + inner_dot + inner
