"""mmdeploy's, PaddleSeg's, timm's and Ultralytics' own words on pictures are followed, or refused by their name."""

import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from constant_networks import constant_model, metadata
from side_file_networks import adopted, beside, fed, grey_levels, identity, pictures

from segrt.runtime.errors import SegrtError
from segrt.runtime.preprocess.input_spec import Resize

IMAGENET = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
REMEDIES = {"resize": Resize(), "scale": 1 / 255, "mean": (0.5,) * 3, "std": (0.5,) * 3}


def refused_then_taken(network: Path, message: str, **options: Any) -> None:
    """Expect a refusal whose advice, when followed, gets further."""
    with pytest.raises(SegrtError, match=message) as caught:
        adopted(network, **options)
    text = str(caught.value)
    assert "\n" not in text
    advised: dict[str, Any] = {name: value for name, value in REMEDIES.items() if f"--{name}" in text}
    assert advised
    adopted(network, **{**options, **advised})


def pipeline(*transforms: dict[str, Any], params: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return mmdeploy's pipeline.json with these steps between reading and collecting."""
    steps = [
        {"type": "LoadImageFromFile", "backend_args": None},
        *transforms,
        {"type": "DefaultFormatBundle"},
        {"type": "Collect", "keys": ["img"], "meta_keys": ["img_shape"]},
    ]
    return {
        "pipeline": {
            "input": ["img"],
            "output": ["post_output"],
            "tasks": [
                {"type": "Task", "module": "Transform", "name": "Preprocess", "transforms": steps},
                {"name": "segformer", "type": "Task", "module": "Net", "input_map": {"img": "input"}},
                {"type": "Task", "module": "mmseg", "name": "postprocess", "params": params or {}},
            ],
        }
    }


def detail(task: str = "Segmentation", **post_processing: Any) -> dict[str, Any]:
    """Return mmdeploy's detail.json."""
    return {
        "version": "1.3.1",
        "codebase": {"task": task, "codebase": "mmseg", "version": "1.2.2"},
        "codebase_config": {"type": "mmseg", "task": task, "post_processing": post_processing},
        "onnx_config": {"type": "onnx", "opset_version": 11},
    }


NORMALIZE = {"type": "Normalize", "to_rgb": True, **IMAGENET}


def mmcv(picture: np.ndarray, size: tuple[int, int], to_rgb: bool = True) -> np.ndarray:
    """Return mmcv's imresize (OpenCV's linear) and imnormalize."""
    resized = cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    resized = resized[..., ::-1] if to_rgb else resized
    return ((resized - IMAGENET["mean"]) / IMAGENET["std"]).transpose(2, 0, 1)


@pytest.mark.parametrize("to_rgb", [True, False])
def test_mmdeploy_s_pipeline_is_followed(tmp_path: Path, names: str, to_rgb: bool) -> None:
    network = identity(tmp_path, name="end2end.onnx")
    steps = [{"type": "Resize", "keep_ratio": False, "size": [96, 64]}, {**NORMALIZE, "to_rgb": to_rgb}]
    beside(network, pipeline=pipeline(*steps), detail=detail(), deploy={"models": [{"net": "end2end.onnx"}]})
    manifest, said = adopted(network, labels=names)
    assert manifest.technique == "semantic"
    assert manifest.image_input.color == ("rgb" if to_rgb else "bgr")
    assert "detail.json says: mmseg, Segmentation" in said
    assert "normalisation read: mmdeploy's, (x - [123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375]" in "".join(said)
    for picture in pictures():
        ours, _ = fed(manifest, picture)
        assert grey_levels(manifest, ours - mmcv(picture, (64, 96), to_rgb)).max() < 1.01


@pytest.mark.parametrize("first", ["Normalize", "Pad"])
def test_mmdeploy_s_kept_ratio_and_padding(tmp_path: Path, names: str, first: str) -> None:
    network = identity(tmp_path, (96, 128), name="end2end.onnx")
    resize = {"type": "Resize", "keep_ratio": True, "size": [128, 72]}
    pad = {"type": "Pad", "size_divisor": 32, "pad_val": {"img": [114, 114, 114]} if first == "Pad" else 0}
    steps = [NORMALIZE, pad] if first == "Normalize" else [pad, NORMALIZE]
    beside(network, pipeline=pipeline(resize, *steps, params={"score_thr": 0.05}), detail=detail())
    manifest, said = adopted(network, labels=names)
    assert "score_thr 0.05 of pipeline.json is left to --score-threshold" in said
    for picture in pictures((213, 320), (60, 300)):
        ours, geometry = fed(manifest, picture)
        height, width = picture.shape[:2]
        factor = min(128 / max(height, width), 72 / min(height, width))
        size = (int(height * factor + 0.5), int(width * factor + 0.5))
        assert geometry.window == (0, 0, *size)
        assert grey_levels(manifest, ours[:, : size[0], : size[1]] - mmcv(picture, size)).max() < 1.01
        padding = (np.zeros(3) if first == "Normalize" else (114 - np.array(IMAGENET["mean"])) / IMAGENET["std"])[
            :, None
        ]
        assert grey_levels(manifest, (ours[:, -1] - padding)[:, None])[:, 0].max() < 0.51


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([{"type": "CenterCrop", "crop_size": 64}, NORMALIZE], r'transforms\[1\]\.type "CenterCrop" is a step that'),
        ([{"type": "Resize", "size": [50, 60]}, NORMALIZE], r"transforms\[1\]\.size .50, 60. is not the size of the"),
        ([{"type": "Resize", "size": 64, "interpolation": "lanczos"}], r'interpolation "lanczos" is a filter that'),
        ([{**NORMALIZE, "order": "odd"}], r'transforms\[1\]\.order "odd" is not known to this segrt'),
        ([{"type": "Normalize", "mean": [1, 2, 3]}], r"transforms\[1\]\.mean .* and std must both be given"),
        (
            [NORMALIZE, {"type": "Pad", "size_divisor": 60}],
            "pads to multiples of 60, but the network's input has 64×96",
        ),
        ([{"type": "LoadImageFromFile", "color_type": "grayscale"}], 'color_type "grayscale" is not color'),
    ],
)
def test_mmdeploy_s_other_steps_are_named(tmp_path: Path, names: str, steps: list[Any], message: str) -> None:
    network = identity(tmp_path, name="end2end.onnx")
    beside(network, pipeline=pipeline(*steps), detail=detail())
    refused_then_taken(network, rf"^pipeline\.json: .*{message}", labels=names)


def test_files_of_another_network_are_left_alone(tmp_path: Path, names: str) -> None:
    network = identity(tmp_path, name="other.onnx")
    beside(network, pipeline=pipeline(NORMALIZE), deploy={"models": [{"net": "end2end.onnx"}]})
    _, said = adopted(network, labels=names, technique="semantic")
    assert not any("pipeline.json" in line for line in said)


PADDLE = """\
Deploy:
  input_shape: [1, 3, 64, 96]
  model: model.pdmodel
  output_dtype: float32
  output_op: softmax
  params: model.pdiparams
  transforms:
{transforms}
"""


def paddle(folder: Path, *transforms: str) -> Path:
    """A network with PaddleSeg's deploy.yaml beside it."""
    network = identity(folder)
    (folder / "deploy.yaml").write_text(PADDLE.format(transforms="\n".join(f"  - {line}" for line in transforms)))
    return network


def test_paddleseg_s_file_is_followed(tmp_path: Path, names: str) -> None:
    steps = ("{type: Resize, target_size: [96, 64]}", "{type: Normalize, mean: [0.4, 0.5, 0.6], std: [0.2, 0.3, 0.4]}")
    manifest, said = adopted(paddle(tmp_path, *steps), labels=names)
    assert manifest.technique == "semantic"
    assert "deploy.yaml says how pictures are resized and normalised (PaddleSeg)" in said
    for picture in pictures():
        # paddleseg/transforms: floats from the start, so that resizing does not round.
        theirs = cv2.resize(picture[..., ::-1].astype(np.float32), (96, 64), interpolation=cv2.INTER_LINEAR) / 255.0
        theirs = ((theirs - [0.4, 0.5, 0.6]) / [0.2, 0.3, 0.4]).transpose(2, 0, 1)
        ours, _ = fed(manifest, picture)
        assert grey_levels(manifest, ours - theirs).max() < 0.05


def test_paddleseg_s_long_side_and_padding(tmp_path: Path, names: str) -> None:
    steps = (
        "{type: ResizeByLong, long_size: 64}",
        "{type: Padding, target_size: [96, 64], im_padding_value: [127.5, 127.5, 127.5]}",
        "{type: Normalize}",
    )
    manifest, _ = adopted(paddle(tmp_path, *steps), labels=names)
    assert (manifest.image_input.mean, manifest.image_input.std) == ((0.5,) * 3, (0.5,) * 3)
    for picture in pictures():
        _, geometry = fed(manifest, picture)
        scale = 64 / max(picture.shape[:2])
        assert geometry.window == (0, 0, round(picture.shape[0] * scale), round(picture.shape[1] * scale))
    assert manifest.image_input.resize.pad == (128, 128, 128)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("{type: LimitLong, max_long: 64}", r'type "LimitLong" is a step that segrt does not have'),
        ("{type: Resize, target_size: 64, interp: RANDOM}", r'interp "RANDOM" is a filter that segrt does not have'),
        ("{type: Normalize, mean: [0.5, 0.5], std: [0.5, 0.5]}", r"mean .0.5, 0.5. is not a number, or three"),
        ("{type: Resize, target_size: [96, 64], shape: round}", r'transforms.0.\.shape "round" is not known'),
    ],
)
def test_paddleseg_s_other_steps_are_named(tmp_path: Path, names: str, step: str, message: str) -> None:
    refused_then_taken(paddle(tmp_path, step), rf"^deploy\.yaml: {message}|^deploy\.yaml: .*{message}", labels=names)


def test_a_deploy_yaml_that_is_none_is_refused(tmp_path: Path, names: str) -> None:
    network = identity(tmp_path)
    (tmp_path / "deploy.yaml").write_text("a: [")
    with pytest.raises(SegrtError, match=r"deploy\.yaml: is no valid YAML .*; mend or remove it"):
        adopted(network, labels=names, technique="semantic")
    (tmp_path / "deploy.yaml").write_text("kind: Deployment\n")  # another tool's
    adopted(network, labels=names, technique="semantic")


def test_paddle2onnx_2_names_itself_in_the_graph(tmp_path: Path, names: str) -> None:
    network = identity(tmp_path)
    model = onnx.load(network)
    model.graph.name = "PaddlePaddle Graph in PIR mode"
    onnx.save(model, network)
    manifest, said = adopted(network, labels=names)
    assert (manifest.image_input.mean, manifest.image_input.std) == ((0.5,) * 3, (0.5,) * 3)
    assert any("is a guess: its deploy.yaml, beside the file, would say it" in line for line in said)


@pytest.mark.parametrize("nested", [True, False])
def test_timm_s_configuration_is_followed(tmp_path: Path, names: str, nested: bool) -> None:
    pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        timm = pytest.importorskip("timm")
    import torch
    from PIL import Image

    network = identity(tmp_path)
    config = {
        "input_size": [3, 64, 96],
        "interpolation": "bicubic",
        "crop_pct": 1.0,
        "crop_mode": "squash",
        "mean": [0.48, 0.45, 0.40],
        "std": [0.26, 0.26, 0.27],
        "first_conv": "conv1",
    }
    beside(network, config={"architecture": "tiny", **({"pretrained_cfg": config} if nested else config)})
    manifest, said = adopted(network, labels=names, technique="semantic")
    assert "config.json says how pictures are resized and normalised (timm)" in said
    known = {**config, "input_size": (3, 64, 96), "mean": (0.48, 0.45, 0.40), "std": (0.26, 0.26, 0.27)}
    known.pop("first_conv")
    transform = timm.data.create_transform(**known)
    for picture in pictures((213, 320), (40, 57), (130, 160)):  # of upright ones Pillow 13 resizes the columns first
        ours, _ = fed(manifest, picture)
        theirs = transform(Image.fromarray(np.ascontiguousarray(picture[..., ::-1])))
        assert isinstance(theirs, torch.Tensor)
        assert grey_levels(manifest, ours - theirs.numpy()).max() < 0.01


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crop_pct": 0.875}, "crop_pct 0.875 cuts pictures"),
        ({"crop_mode": "center"}, 'crop_mode "center" cuts pictures around their middle'),
        ({"interpolation": "random"}, 'interpolation "random" is a filter'),
        ({"mean": "grey"}, 'mean "grey" is not a number, or three'),
        ({"blur": 3}, "blur 3 is not known to this segrt"),
    ],
)
def test_timm_s_other_fields_are_named(tmp_path: Path, names: str, change: dict[str, Any], message: str) -> None:
    network = identity(tmp_path)
    config = {"input_size": [3, 64, 96], "crop_mode": "squash", "mean": [0.5] * 3, "std": [0.5] * 3, **change}
    beside(network, config={"architecture": "tiny", "pretrained_cfg": config})
    refused_then_taken(network, rf"^config\.json: {message}", labels=names, technique="semantic")


def yolo(folder: Path, **more: str) -> Path:
    """A YOLO-seg network with Ultralytics' metadata."""
    outputs = {"output0": np.zeros((1, 11, 30), np.float32), "output1": np.zeros((1, 4, 16, 24), np.float32)}
    path = folder / "yolo.onnx"
    onnx.save(constant_model(outputs, metadata(**more)), path)
    return path


def test_ultralytics_metadata_is_known_to_the_last_field(tmp_path: Path) -> None:
    more = {"date": "2026-11-26", "version": "8.4.190", "license": "AGPL-3.0", "docs": "https://docs.ultralytics.com"}
    network = yolo(
        tmp_path, **more, head="Segment", channels="3", end2end="False", args="{'nms': False, 'half': False}"
    )
    manifest, _ = adopted(network)
    assert manifest.image_input.resize == Resize("letterbox", pad=(114, 114, 114))
    refused_then_taken(yolo(tmp_path, mosaic="True"), r"yolo\.onnx, metadata: mosaic true is not known to this segrt")
    with pytest.raises(SegrtError, match=r"metadata: channels 4 is not what the input has"):
        adopted(yolo(tmp_path, channels="4"))


def test_pictures_are_letterboxed_as_by_ultralytics(tmp_path: Path) -> None:
    augment = pytest.importorskip("ultralytics.data.augment", reason="ultralytics is not installed")
    manifest, _ = adopted(yolo(tmp_path))
    box = augment.LetterBox((64, 96), auto=False)
    for picture in pictures():
        theirs = box(image=picture)[..., ::-1].transpose(2, 0, 1).astype(np.float32) / 255
        ours, _ = fed(manifest, picture)
        assert grey_levels(manifest, ours - theirs).max() < 1.01


def test_rows_suppressed_in_the_graph_are_told_by_the_metadata(tmp_path: Path) -> None:
    # One class and 4 prototypes: ten values are those of YOLOv5 and of a detection.
    outputs = {"output0": np.zeros((1, 3000, 10), np.float32), "output1": np.zeros((1, 4, 16, 24), np.float32)}
    path = tmp_path / "end.onnx"
    onnx.save(constant_model(outputs, metadata(names="{0: 'car'}", args="{'nms': True}")), path)
    manifest, _ = adopted(path)
    assert manifest.decode.options["rows"] == "detections"
