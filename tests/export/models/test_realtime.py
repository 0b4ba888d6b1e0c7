"""PIDNet, DDRNet, BiSeNetV2, Fast-SCNN and ESPNetv2; `original_realtime.py` compares them with their authors' code."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from harness import EVERY, check_export  # noqa: E402

from segrt.export.convert.exporting import build  # noqa: E402
from segrt.export.family import Request, Weights  # noqa: E402
from segrt.export.models.catalogue import find_model  # noqa: E402
from segrt.export.models.shared.adaptive_pooling import adaptive_average  # noqa: E402
from segrt.runtime.decode.argmax import Argmax  # noqa: E402
from segrt.runtime.errors import SegrtError  # noqa: E402

SIZE = (128, 160)
SMALL: dict[str, dict[str, Any]] = {
    "pidnet-s": {"channels": 8},
    "pidnet-l": {"channels": 8, "pooling_channels": 16, "head_channels": 16},
    "ddrnet-23-slim": {"channels": 8, "pooling_channels": 16},
    "bisenetv2-cityscapes": {},
    "fast-scnn": {},
    "espnetv2-s2": {"scale": 0.5},
}
# Tensors of checkpoints that training alone needs, and what all other names begin with there.
TRAINING = {
    "pidnet-s": (("model.seghead_p.conv2.weight", "model.seghead_d.bn1.bias", "sem_loss.criterion.weight"), "model."),
    "ddrnet-23-slim": (("model.seghead_extra.conv1.weight", "loss.criterion.weight"), "model."),
    "bisenetv2-cityscapes": (("aux2.conv.conv.weight", "aux5_4.conv_out.1.bias"), ""),
    "fast-scnn": (("module.auxlayer.0.weight",), "module."),
    "espnetv2-s2": ((), ""),
}


@pytest.mark.parametrize("size", [(7, 9), (6, 12), (3, 4), (1, 1), (16, 20)])
def test_adaptive_pooling_by_products_is_torchs(size: tuple[int, int]) -> None:
    features = torch.randn(2, 3, 12, 18, generator=torch.Generator().manual_seed(1))
    expected = torch.nn.functional.adaptive_avg_pool2d(features, size)
    torch.testing.assert_close(adaptive_average(features, size), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", [name if name == "pidnet-s" else pytest.param(name, marks=EVERY) for name in SMALL])
def test_a_network_equals_its_description(name: str, tmp_path: Path, photos: Path) -> None:
    checked = check_export(name, tmp_path, photos, size=SIZE, overrides=SMALL[name])
    model = find_model(name)
    corners = name.startswith(("pidnet", "fast-scnn", "espnetv2"))
    assert checked.manifest.decode == Argmax(align_corners=corners)
    assert [label.name for label in checked.manifest.labels[:2]] == ["road", "sidewalk"]
    assert len(checked.manifest.labels) == (20 if name.startswith("espnetv2") else 19)
    assert model.code_licence in ("MIT", "Apache-2.0")
    assert model.checkpoint is not None
    for result in checked.results:
        shares = np.unique(result.class_map, return_counts=True)[1]  # type: ignore[union-attr]
        assert len(shares) >= 4
        assert shares.max() < 0.9 * shares.sum()


@pytest.mark.parametrize("name", TRAINING)
def test_checkpoints_load_without_what_training_adds(name: str, tmp_path: Path) -> None:
    model, overrides = find_model(name), SMALL[name]
    core = build(Request(model, SIZE, Weights("random", seed=4), overrides=overrides)).core
    extra, prefix = TRAINING[name]
    saved = {prefix + key: value for key, value in core.state_dict().items()}
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": {**saved, **{key: torch.zeros(3) for key in extra}}}, path)
    request = Request(model, SIZE, Weights("file", path), overrides=overrides)
    loaded = build(request).core.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in core.state_dict().items())
    missing = dict(saved)
    missing.pop(next(key for key in saved if key.endswith("weight")))
    torch.save(missing, path)
    with pytest.raises(SegrtError, match="1 missing"):
        build(request)
    torch.save({**saved, prefix + "stranger.weight": torch.zeros(3)}, path)
    with pytest.raises(SegrtError, match="1 unexpected"):
        build(request)


def test_weights_of_another_size_and_of_another_network_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    core = build(Request(find_model("ddrnet-23-slim"), SIZE, Weights("random"), overrides={"channels": 16})).core
    torch.save(core.state_dict(), path)
    for name, what in (("ddrnet-23-slim", "of another shape"), ("pidnet-s", "missing"), ("fast-scnn", "missing")):
        overrides = {"channels": 8} if name != "fast-scnn" else {}
        with pytest.raises(SegrtError, match=what) as refused:
            build(Request(find_model(name), SIZE, Weights("file", path), overrides=overrides))
        assert "\n" not in str(refused.value)


def test_weights_that_only_a_browser_fetches_are_named() -> None:
    with pytest.raises(SegrtError, match=r"drive\.google\.com/file/d/\S+: only a browser .* --weights FILE"):
        build(Request(find_model("pidnet-s"), SIZE, Weights("pretrained")))


def test_espnetv2_wants_two_classes_and_a_known_scale() -> None:
    model = find_model("espnetv2-s1")
    labels = find_model("fast-scnn").labels
    assert labels == "cityscapes"
    with pytest.raises(SegrtError, match=r"scale must be one of 0\.5, 1, 1\.25, 1\.5, 2, but got 3"):
        build(Request(model, SIZE, Weights("random"), overrides={"scale": 3.0}))
