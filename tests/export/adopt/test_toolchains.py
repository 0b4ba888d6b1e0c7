"""Networks that other toolchains export, adopted as they are, give what the toolchains' own post-processing gives.

Weights are random, from a seed; what is compared is final results on the very heads that the exported network gives.
A toolchain that is not installed is left out, with its name.
"""

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from side_file_networks import adopted, pictures

from segrt.export.adopt.conventions.convention import IMAGENET_MEAN, IMAGENET_STD
from segrt.runtime import open_bundle
from segrt.runtime.results import InstanceResult, SemanticResult

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No warnings of other packages, and no settings of theirs outside the test's folder."""
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path / "settings"))
    monkeypatch.setenv("YOLO_OFFLINE", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def labels_of(folder: Path, count: int) -> str:
    """A file of so many classes."""
    path = folder / "classes.txt"
    path.write_text("".join(f"class {index}\n" for index in range(count)))
    return str(path)


def ious(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """The IoU of masks (N, H, W) in pairs; two empty ones are equal."""
    either = (ours | theirs).sum((1, 2))
    both: np.ndarray = np.where(either == 0, 1.0, (ours & theirs).sum((1, 2)) / np.maximum(either, 1))
    return both


def test_torchvision_s_mask_r_cnn(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    detection = pytest.importorskip("torchvision.models.detection")
    from torchvision.models.detection import faster_rcnn, mask_rcnn
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.backbone_utils import mobilenet_backbone

    torch.manual_seed(0)
    plain = {"weights": None, "fpn": True, "norm_layer": torch.nn.BatchNorm2d}
    backbone = mobilenet_backbone(backbone_name="mobilenet_v3_small", **plain)
    for layer in backbone.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0  # the statistics of one picture, else nothing of it comes through random weights
    with torch.no_grad():
        backbone.train()(torch.rand(1, 3, 96, 128))
    anchors = AnchorGenerator(((16,), (32,), (64,)), ((0.5, 1.0, 2.0),) * 3)
    sizes = {"min_size": 96, "max_size": 128, "rpn_post_nms_top_n_test": 30, "box_detections_per_img": 6}
    small: dict[str, Any] = {
        "box_head": faster_rcnn.TwoMLPHead(256 * 7 * 7, 32),
        "box_predictor": faster_rcnn.FastRCNNPredictor(32, 4),
        "mask_head": mask_rcnn.MaskRCNNHeads(256, (32, 32), 1),
        "mask_predictor": mask_rcnn.MaskRCNNPredictor(32, 32, 4),
        "rpn_anchor_generator": anchors,
    }
    model = detection.MaskRCNN(backbone, box_score_thresh=0.0, **small, **sizes).eval()
    logits = model.roi_heads.mask_predictor.mask_fcn_logits
    seen: list[Any] = []
    hook = logits.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.no_grad():  # random masks are 0.5 everywhere: make them differ, about as often below as above
        model([torch.rand(3, 96, 128)])
        logits.weight *= 2 / seen[0].std((2, 3)).mean()
        model([torch.rand(3, 96, 128)])
        logits.bias -= seen[1].median()
    hook.remove()
    outputs = ["boxes", "labels", "scores", "masks"]
    torch.onnx.export(
        model,
        ([torch.rand(3, 96, 128)],),
        str(tmp_path / "maskrcnn.onnx"),
        opset_version=17,
        dynamo=False,
        input_names=["image"],
        output_names=outputs,
        dynamic_axes={name: {0: "n"} for name in outputs},
    )
    manifest, _ = adopted(
        tmp_path / "maskrcnn.onnx", technique="instance", labels=labels_of(tmp_path, 3), score_threshold=0.0
    )
    options = manifest.decode.options
    assert (options["masks_in"], options["first_class"]) == ("picture", 1)
    (picture,) = pictures((96, 128))
    with open_bundle(tmp_path / "adopted", threads=1) as segmenter:
        heads, _ = segmenter.heads(picture)
        result = segmenter(picture)
    # torchvision's post-processing is in the graph: what is left to do is to cut masks at a half, best object first.
    given = {head.role: np.asarray(heads[head.name])[0] for head in manifest.heads}
    best = np.argsort(-given["scores"], kind="stable")
    assert isinstance(result, InstanceResult)
    assert result.class_ids.tolist() == (given["class_ids"][best] - 1).tolist()
    np.testing.assert_array_equal(result.scores, given["scores"][best])
    np.testing.assert_allclose(result.boxes, given["boxes"][best], atol=1e-4)
    masks = given["masks"][best, 0] > 0.5
    assert masks.any()
    assert ious(result.masks, masks).min() >= 0.999
    with torch.no_grad():
        theirs = model([torch.from_numpy(np.ascontiguousarray(picture[..., ::-1])).permute(2, 0, 1) / 255])[0]
    np.testing.assert_allclose(np.sort(result.scores), np.sort(theirs["scores"].numpy()), atol=1e-4)


@pytest.mark.parametrize("family", ["yolov8n-seg", "yolo11n-seg", "yolo26n-seg"])
def test_ultralytics_networks(tmp_path: Path, family: str) -> None:
    ultralytics = pytest.importorskip("ultralytics", reason="ultralytics is not installed")
    torch = pytest.importorskip("torch")
    from ultralytics.utils import ops

    torch.manual_seed(0)
    model = ultralytics.YOLO(f"{family}.yaml", task="segment")
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        path = Path(model.export(format="onnx", imgsz=[96, 128], opset=17, simplify=False, verbose=False))
        path = path if path.is_absolute() else tmp_path / path
    finally:
        os.chdir(here)
    manifest, _ = adopted(path, score_threshold=0.0)
    (picture,) = pictures((150, 211))
    with open_bundle(path.parent / "adopted", threads=1) as segmenter:
        heads, _ = segmenter.heads(picture)
        result = segmenter(picture)
    assert isinstance(result, InstanceResult)
    table, prototypes = (torch.from_numpy(np.array(heads[name], np.float32)) for name in ("output0", "output1"))
    if manifest.decode.options["rows"] == "detections":
        rows, scores, classes, coefficients = table[0, :, :4], table[0, :, 4], table[0, :, 5], table[0, :, 6:]
    else:
        rows, (scores, classes) = ops.xywh2xyxy(table[0, :4].T), table[0, 4:84].max(0)
        coefficients = table[0, 84:].T
    boxes = ops.scale_boxes((96, 128), rows.clone(), picture.shape[:2])
    assert len(result) > 20
    # Which boxes are duplicates hangs on last bits where weights are random: the masks of those kept are compared.
    for score, class_id, box, mask in zip(result.scores, result.class_ids, result.boxes, result.masks, strict=True):
        alike = (scores - float(score)).abs() < 1e-6
        alike &= (classes == class_id) & ((boxes - torch.from_numpy(box)).abs().amax(1) < 1e-2)
        theirs = ops.process_mask_native(prototypes[0], coefficients[alike], boxes[alike], picture.shape[:2])
        assert max(ious(np.broadcast_to(mask, theirs.shape), theirs.numpy().astype(bool))) >= 0.999


def test_rf_detr_s_export(tmp_path: Path) -> None:
    pytest.importorskip("rfdetr", reason="rfdetr is not installed")
    torch = pytest.importorskip("torch")
    from rfdetr.models.postprocess import PostProcess

    rng = np.random.default_rng(0)
    import onnx
    from constant_networks import constant_model

    heads = {
        "dets": rng.uniform(0.2, 0.8, (1, 30, 4)).astype(np.float32),
        "labels": rng.normal(-1, 2, (1, 30, 6)).astype(np.float32),
        "masks": rng.normal(0, 4, (1, 30, 24, 32)).astype(np.float32),
    }
    onnx.save(constant_model(heads, name="input"), tmp_path / "rfdetr.onnx")
    adopted(tmp_path / "rfdetr.onnx", technique="instance", labels=labels_of(tmp_path, 5))
    (picture,) = pictures((150, 211))
    with open_bundle(tmp_path / "adopted", threads=1) as segmenter:
        result = segmenter(picture)
    # The last slot is the background's, which the exporter's own decoding leaves out before the best are chosen.
    given = {name: torch.from_numpy(heads[key]) for name, key in
             (("pred_logits", "labels"), ("pred_boxes", "dets"), ("pred_masks", "masks"))}  # fmt: skip
    given["pred_logits"] = given["pred_logits"][..., :5]
    theirs = PostProcess(num_select=100)(given, torch.tensor([[150, 211]]), score_threshold=0.5)[0]
    assert isinstance(result, InstanceResult)
    assert result.class_ids.tolist() == theirs["labels"].tolist()
    assert len(result) > 20
    np.testing.assert_allclose(result.scores, theirs["scores"].numpy(), atol=1e-6)
    assert ious(result.masks, theirs["masks"][:, 0].numpy()).min() >= 0.999


def test_segformer_with_its_own_files(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[4, 2],
        hidden_sizes=[16, 32],
        num_attention_heads=[1, 2],
        patch_sizes=[7, 3],
        strides=[4, 2],
        mlp_ratios=[2, 2],
        decoder_hidden_size=32,
        num_labels=5,
    )
    model = transformers.SegformerForSemanticSegmentation(config).eval()
    processor = transformers.SegformerImageProcessor(size={"height": 96, "width": 128}, image_mean=0.3, image_std=0.4)
    model.config.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(
        (tmp_path / "config.json")
        .read_text()
        .replace("{", '{"architectures": ["SegformerForSemanticSegmentation"],', 1)
    )

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixels: Any) -> Any:
            return self.model(pixels).logits

    (tmp_path / "onnx").mkdir()
    torch.onnx.export(
        Logits().eval(),  # the exporter leaves a module in the mode that it found
        (torch.zeros(1, 3, 96, 128),),
        str(tmp_path / "onnx/model.onnx"),
        dynamo=False,
        opset_version=17,
        input_names=["pixel_values"],
        output_names=["logits"],
    )
    adopted(tmp_path / "onnx/model.onnx")
    agreed = []
    for picture in pictures():
        with open_bundle(tmp_path / "onnx/adopted", threads=1) as segmenter, torch.no_grad():
            result = segmenter(picture)
            rgb = torch.from_numpy(np.ascontiguousarray(picture[..., ::-1])).permute(2, 0, 1)
            outputs = model(processor(images=[rgb], return_tensors="pt")["pixel_values"])
        theirs = processor.post_process_semantic_segmentation(outputs, target_sizes=[picture.shape[:2]])[0]
        assert isinstance(result, SemanticResult)
        agreed.append(float((result.class_map == theirs.numpy()).mean()))
    assert min(agreed) >= 0.999


def test_smp_s_unet_exports(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    smp = pytest.importorskip("segmentation_models_pytorch")
    torch.manual_seed(0)
    model = smp.Unet("resnet18", encoder_weights=None, decoder_channels=(32, 16, 16, 8, 8), classes=4).eval()
    known = {"dynamo": False, "opset_version": 17, "input_names": ["image"], "output_names": ["logits"]}
    torch.onnx.export(model, (torch.zeros(1, 3, 96, 128),), str(tmp_path / "unet.onnx"), **known)
    adopted(tmp_path / "unet.onnx", technique="semantic", labels=labels_of(tmp_path, 4))
    (picture,) = pictures((96, 128))
    with open_bundle(tmp_path / "adopted", threads=1) as segmenter, torch.no_grad():
        result = segmenter(picture)
        fed = (picture[..., ::-1] / 255 - IMAGENET_MEAN) / IMAGENET_STD
        theirs = model(torch.from_numpy(fed.transpose(2, 0, 1).astype(np.float32))[None]).argmax(1)[0]
    assert isinstance(result, SemanticResult)
    assert (result.class_map == theirs.numpy()).mean() >= 0.999


def test_paddle_s_network_written_by_paddle2onnx(tmp_path: Path) -> None:
    paddle = pytest.importorskip("paddle", reason="paddlepaddle is not installed")
    paddle2onnx = pytest.importorskip("paddle2onnx", reason="paddle2onnx is not installed")
    paddle.seed(0)

    class Network(paddle.nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.first = paddle.nn.Conv2D(3, 16, 3, padding=1)
            self.last = paddle.nn.Conv2D(16, 5, 1)

        def forward(self, pixels: Any) -> Any:
            logits = self.last(paddle.nn.functional.relu(self.first(pixels)))
            return paddle.argmax(logits, axis=1, dtype="int32")

    model = Network()
    model.eval()
    spec = [paddle.static.InputSpec([1, 3, 96, 128], "float32", "x")]
    paddle.jit.save(paddle.jit.to_static(model, input_spec=spec), str(tmp_path / "net"))
    program = next(path for path in (tmp_path / "net.json", tmp_path / "net.pdmodel") if path.exists())
    network = tmp_path / "net.onnx"
    paddle2onnx.export(str(program), str(tmp_path / "net.pdiparams"), str(network), opset_version=13, verbose=False)
    adopted(network, labels=labels_of(tmp_path, 5))
    (picture,) = pictures((96, 128))
    with open_bundle(tmp_path / "adopted", threads=1) as segmenter:
        result = segmenter(picture)
    fed = ((picture[..., ::-1].astype(np.float32) / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None]
    theirs = model(paddle.to_tensor(fed)).numpy()[0]
    assert isinstance(result, SemanticResult)
    assert (result.class_map == theirs).mean() >= 0.999


# In a process of its own: TensorFlow and torch in one end in a segmentation fault.
KERAS = """
import sys
import keras, numpy, tensorflow, tf2onnx
folder, classes, activation, is_inside = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4] == "inside"
keras.utils.set_random_seed(0)
image = keras.Input((96, 128, 3), batch_size=1, name="image")
pixels = keras.layers.Rescaling(1 / 127.5, offset=-1)(image) if is_inside else image
fine = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(pixels)
coarse = keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(fine)
wide = keras.layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu")(coarse)
together = keras.layers.Concatenate()([fine, wide])
model = keras.Model(image, keras.layers.Conv2D(classes, 1, activation=activation)(together))
spec = (tensorflow.TensorSpec((1, 96, 128, 3), tensorflow.float32, name="image"),)
tf2onnx.convert.from_function(tensorflow.function(lambda x: model(x)), input_signature=spec, opset=13,
                              output_path=folder + "/keras.onnx")
rgb = numpy.load(folder + "/picture.npy")[..., ::-1].astype("float32")
numpy.save(folder + "/heads.npy", model.predict((rgb if is_inside else rgb / 127.5 - 1)[None], verbose=0)[0])
"""


@pytest.mark.parametrize("way", ["inside", "outside"])
@pytest.mark.parametrize(("classes", "activation"), [(1, "sigmoid"), (5, "softmax"), (5, "linear")])
def test_keras_networks_written_by_tf2onnx(tmp_path: Path, classes: int, activation: str, way: str) -> None:
    if find_spec("tensorflow") is None or find_spec("tf2onnx") is None:
        pytest.skip("tensorflow and tf2onnx are not installed")
    (picture,) = pictures((96, 128))
    np.save(tmp_path / "picture.npy", picture)
    command = [sys.executable, "-c", KERAS, str(tmp_path), str(classes), activation, way]
    subprocess.run(command, check=True, timeout=110, capture_output=True)
    _, said = adopted(tmp_path / "keras.onnx", technique="semantic", labels=labels_of(tmp_path, classes))
    with open_bundle(tmp_path / "adopted", threads=1) as segmenter:
        result = segmenter(picture)
    assert isinstance(result, SemanticResult)
    heads = np.load(tmp_path / "heads.npy")
    wanted = heads[..., 0] > 0.5 if classes == 1 else heads.argmax(-1)
    names = [label.name for label in result.labels]
    got = result.class_map == names.index("class 0") if classes == 1 else result.class_map
    assert len(np.unique(wanted)) > 1
    assert (got == wanted).mean() >= 0.999
    source = "normalisation read" if way == "inside" else "normalisation guessed: tf2onnx's"
    assert any(source in line for line in said)
