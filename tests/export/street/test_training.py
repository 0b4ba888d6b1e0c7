"""The embedded models' training, at a small scale."""

from pathlib import Path

import numpy as np
import pytest
import torch

from segrt.export.street.onnx_file import write_onnx
from segrt.export.street.samples import FIRST_THING, VOID, Frames, draw_batch, render_frames
from segrt.export.street.score_calibration import best_threshold
from segrt.export.street.street_networks import QUERIES, SIZE, Deployed, QueryNetwork, SemanticNetwork
from segrt.export.street.train import loss_of, make_network, train


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Frames:
    return render_frames(123, 6, tmp_path_factory.mktemp("frames"), workers=1)


def test_rendered_frames_are_read_back_and_name_their_things(frames: Frames) -> None:
    assert frames.images.shape == (6, *SIZE, 3)
    for marks, classes in zip(frames.marks, frames.classes, strict=True):
        things = {int(mark) for mark in np.unique(marks) if FIRST_THING <= mark < VOID}
        assert things == {FIRST_THING + index for index, class_id in enumerate(classes) if class_id != VOID}


def test_batch_centers_and_areas_are_those_of_the_masks(frames: Frames) -> None:
    batch = draw_batch(frames, 4, np.random.default_rng(0))
    masks = batch.thing_masks()
    assert masks.shape == (len(batch.things.image), SIZE[0] // 2, SIZE[1] // 2)
    np.testing.assert_allclose(masks.sum((1, 2)).numpy() * 4, batch.things.area.numpy(), rtol=1e-5)
    rows, columns = (torch.arange(length) + 0.5 for length in masks.shape[1:])
    for mask, center in zip(masks, batch.things.center, strict=True):
        x, y = (mask.sum(0) * columns).sum() / mask.sum(), (mask.sum(1) * rows).sum() / mask.sum()
        np.testing.assert_allclose(((x * 2) / 8 - 0.5, (y * 2) / 8 - 0.5), center.numpy(), atol=0.07)  # half a pixel


@pytest.mark.parametrize("technique", ["semantic", "instance", "panoptic"])
def test_every_weight_is_trained_and_the_loss_falls(frames: Frames, tmp_path: Path, technique: str) -> None:
    torch.manual_seed(0)
    network = make_network(technique)
    batch = draw_batch(frames, 2, np.random.default_rng(0))
    before = torch.stack(list(loss_of(network, batch).values())).sum()
    before.backward()  # type: ignore[no-untyped-call]
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []
    options = {"batch_size": 2, "learning_rate": 5e-3, "seed": 0, "checkpoint": tmp_path / "network.pt"}
    train(network, frames, steps=6, **options)  # type: ignore[arg-type]
    after = torch.stack(list(loss_of(network, batch).values())).sum()
    assert float(after.detach()) < 0.99 * float(before.detach())
    average = train(make_network(technique), frames, steps=6, **options)  # type: ignore[arg-type]
    assert not average.training  # the run was complete: its checkpoint is taken as it is


def test_exported_graph_gives_what_the_network_gives(tmp_path: Path) -> None:
    import onnxruntime

    torch.manual_seed(1)
    path = tmp_path / "model.onnx"
    image = torch.randint(0, 256, (1, *SIZE, 3), dtype=torch.uint8)
    for network, names in (
        (SemanticNetwork().eval(), ("semantic_logits",)),
        (QueryNetwork(stuff=True).eval(), ("class_logits", "mask_logits")),
    ):
        with torch.no_grad():
            expected = Deployed(network)(image)
        write_onnx(network, names, path)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        outputs = session.run(list(names), {"image": image.numpy()})
        assert b"/" + b"export/" not in path.read_bytes()  # no path of the machine that exported it
        for ours, theirs in zip(outputs, expected, strict=True):
            assert ours.shape == tuple(theirs.shape)
        if len(names) == 2:
            live = expected[0][0, :, :-1].max(-1).values.numpy() > -9
            assert len(live) == QUERIES + 5
            np.testing.assert_allclose(outputs[0][0, live], expected[0][0, live].numpy(), atol=1e-4)
            np.testing.assert_allclose(outputs[1][0, live], expected[1][0, live].numpy(), atol=2e-3)
        else:
            np.testing.assert_allclose(outputs[0], expected[0].numpy(), atol=1e-4)


def test_best_threshold_is_where_f1_peaks() -> None:
    logits, right = [3.0, 2.0, 1.0, 0.0, -1.0], [True, True, False, True, False]
    assert best_threshold(logits, right, wanted=3) == 0.0  # F1 6/7 beats 4/5 above and 6/8 below
    assert best_threshold(logits, right, wanted=2) == 2.0
    assert best_threshold([1.0], [False], wanted=4) == 0.0
