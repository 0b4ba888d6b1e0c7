"""What differs from the framework cannot hide: heads, queries, the network's input."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxslim")
pytest.importorskip("transformers")

from tiny_family import SIZE, STRETCH, tiny  # noqa: E402

from segrt.export.convert import parity  # noqa: E402
from segrt.export.family import ParityLimits  # noqa: E402
from segrt.export.graph.tracing import ByteInput, Traced  # noqa: E402
from segrt.runtime.decode.head_spec import HeadSpec  # noqa: E402
from segrt.runtime.preprocess.picture import resize_picture  # noqa: E402


def processor(mean: tuple[float, float, float]) -> Callable[[Any], Any]:
    """A framework's image processor for the tiny network."""

    def pixels(picture: Any) -> Any:
        small = resize_picture(picture, SIZE, STRETCH)[..., ::-1]
        return ((small / 255 - mean) / (0.229, 0.224, 0.225)).transpose(2, 0, 1).astype(np.float32)

    return pixels


@pytest.mark.parametrize(("mean", "passes"), [((0.485, 0.456, 0.406), True), ((0.5, 0.456, 0.406), False)])
def test_a_wrong_mean_cannot_hide(mean: tuple[float, float, float], passes: bool, traced: Traced) -> None:
    exportable = tiny(framework_pixels=processor(mean), resize=STRETCH)
    report, _ = parity.compare(traced, exportable, parity.synthetic_pictures(), threads=1)
    assert [line.passed for line in report.lines if line.what == "input"] == [passes]
    assert report.parity.input_max == pytest.approx(0.0 if passes else 0.015 * 255, abs=1e-2)
    assert min(report.objects) > 1


def test_a_head_that_is_wrong_or_not_a_number_fails(traced: Traced) -> None:
    for wrong in (1e-2, float("nan")):
        exportable = tiny(resize=STRETCH)
        network = ByteInput(replace(exportable, core=Shifted(exportable.core, wrong)))
        report, _ = parity.compare(replace(traced, network=network), exportable, parity.synthetic_pictures()[:1])
        assert [line.passed for line in report.lines if line.what == "logits"] == [False]


@pytest.mark.parametrize(("held", "sessions"), [(1e9, 1), (1, 3)])
def test_pictures_wait_for_one_session_as_long_as_their_heads_are_small(
    held: float, sessions: int, traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    class Counted(parity.OnnxRuntimeBackend):
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options)
            opened.append(self)

    monkeypatch.setattr(parity, "OnnxRuntimeBackend", Counted)
    monkeypatch.setattr(parity, "_HELD_BYTES", held)
    pictures = parity.synthetic_pictures()
    report, kept = parity.compare(traced, tiny(resize=STRETCH), iter(pictures), threads=1, keep=2)
    assert len(opened) == sessions
    assert report.passed
    assert report.parity.images == len(pictures)
    assert [one.picture.shape for one in kept] == [picture.shape for picture in pictures[:2]]


class Shifted(torch.nn.Module):
    """A network whose heads are `shift` too large."""

    def __init__(self, network: Any, shift: float) -> None:
        super().__init__()
        self.network, self.shift = network, shift

    def forward(self, pixels: Any) -> Any:
        """Return the shifted logits."""
        return self.network(pixels) + self.shift


def test_queries_that_changed_places_are_the_same_and_others_are_not() -> None:
    rng = np.random.default_rng(3)
    wanted = {"classes": rng.normal(size=(1, 9, 4)), "masks": rng.normal(size=(1, 9, 6, 8))}
    heads = (
        HeadSpec("classes", "class_logits", "float32", (1, 9, 4)),
        HeadSpec("masks", "mask_logits", "float32", (1, 9, 6, 8)),
    )
    order = np.array([1, 0, 2, 3, 4, 5, 6, 8, 7])
    found = {name: head[:, order] + 1e-5 for name, head in wanted.items()}
    aligned = parity.aligned(heads, wanted, found, ParityLimits())
    for name in wanted:
        np.testing.assert_allclose(aligned[name], wanted[name], atol=1e-4)
    found["masks"] = found["masks"][:, order]  # the masks of other queries than the classes
    aligned = parity.aligned(heads, wanted, found, ParityLimits())
    assert any(np.abs(aligned[name] - wanted[name]).max() > 0.1 for name in wanted)


def test_detections_that_a_swap_moved_are_compared_with_their_partners() -> None:
    heads = [HeadSpec(role, role, "float32", (1, 4, *more)) for role, more in (("boxes", (4,)), ("scores", ()))]
    heads.append(HeadSpec("class_ids", "class_ids", "int32", (1, 4)))
    corners = np.arange(4, dtype=np.float32)[:, None] * 20
    wanted = {
        "boxes": np.concatenate([corners, corners, corners + 10, corners + 10], axis=1)[None],
        "scores": np.array([[0.9, 0.8, 0.799, 0.3]], np.float32),
        "class_ids": np.array([[1, 2, 3, 4]], np.int32),
    }
    found = {name: array[:, [1, 0, 2, 3]] for name, array in wanted.items()}
    aligned = parity.aligned(heads, wanted, found, ParityLimits())
    assert all((aligned[name] == wanted[name]).all() for name in wanted)
    assert (
        parity.aligned(heads, wanted, found, ParityLimits(heads={"scores": None}))["scores"] == found["scores"]
    ).all()
    found["boxes"] = found["boxes"] + 900
    assert np.isnan(parity.aligned(heads, wanted, found, ParityLimits())["scores"]).any()
