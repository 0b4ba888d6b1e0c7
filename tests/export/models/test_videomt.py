"""VidEoMT: frame by frame with carried queries, the bundle finds what transformers finds in the whole video."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from harness import Checked, check_export

from segrt.export.convert.exporting import build
from segrt.export.family import Request, Weights
from segrt.export.models.catalogue import find_model
from segrt.export.models.videomt.build import VideomtCore, instances_of
from segrt.runtime import open_bundle
from segrt.runtime.errors import BackendError, BundleError, SegrtError
from segrt.runtime.files.images import Picture, read_image, write_image
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.picture import network_inputs
from segrt.runtime.results import InstanceResult
from segrt.runtime.scale.triton.repository import ServingOptions, export_model
from segrt.runtime.segmenter.bundle_finding import find_bundle
from segrt.runtime.stream import stream

torch = pytest.importorskip("torch")

SIDE, QUERIES = 96, 12
CLASSES = {0: "giant panda", 1: "lizard", 2: "parrot"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small VidEoMT with results like a trained one's, as save_pretrained writes it and its processor."""
    from transformers import VideomtConfig, VideomtForUniversalSegmentation, VideomtVideoProcessor

    root = tmp_path_factory.mktemp("videomt")
    torch.manual_seed(0)
    config = VideomtConfig(
        hidden_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_blocks=2,
        num_queries=QUERIES,
        image_size=SIDE,
        id2label=CLASSES,
    )
    for name in ("plain-ytvis", "my-ytvis"):
        VideomtVideoProcessor(size={"height": SIDE, "width": SIDE}).save_pretrained(root / name)
    VideomtForUniversalSegmentation(config).save_pretrained(root / "plain-ytvis")
    model = find_model(f"hf:{root / 'plain-ytvis'}")
    made: Any = build(Request(model, model.size, Weights("random"))).core
    with torch.no_grad():
        made.model.query_updater.weight.mul_(0.5)  # a trained one changes its queries a little from frame to frame
    made.model.config.id2label = CLASSES
    made.model.save_pretrained(root / "my-ytvis")
    return root / "my-ytvis"


@pytest.fixture(scope="module")
def checked(saved: Path, tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Checked:
    out = tmp_path_factory.mktemp("bundle")
    return check_export(f"hf:{saved}", out, photos, size=(SIDE, SIDE), weights=Weights("pretrained"), least_objects=1)


def video(folder: Path, photos: Path, count: int = 4) -> list[Picture]:
    """Write the frames of a slow pan over a photo; return them."""
    photo = cv2.resize(read_image(sorted(photos.iterdir())[0]), (200, 160), interpolation=cv2.INTER_AREA)
    frames = [np.ascontiguousarray(photo[:120, 4 * index : 4 * index + 160]) for index in range(count)]
    folder.mkdir()
    for index, frame in enumerate(frames):
        write_image(folder / f"{index}.png", frame)
    return frames


def test_the_core_carries_what_transformers_propagates(saved: Path) -> None:
    from transformers import VideomtForUniversalSegmentation

    model = VideomtForUniversalSegmentation.from_pretrained(saved, attn_implementation="eager").eval()
    core = VideomtCore(model)
    frames = torch.randn(3, 3, SIDE, SIDE)
    with torch.no_grad():
        whole = model(pixel_values_videos=frames[None])
        state = torch.zeros(1, QUERIES, 64)
        for index, frame in enumerate(frames):
            classes, masks, state = core(frame[None], state)
            torch.testing.assert_close(classes[0], whole.class_queries_logits[index], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(masks[0], whole.masks_queries_logits[index], atol=1e-3, rtol=1e-3)


def test_the_manifest_says_what_is_carried(checked: Checked) -> None:
    manifest = checked.manifest
    assert manifest.state == {"queries": "next_queries"}
    assert "state" in manifest.required_features
    assert manifest.inputs[1].shape == manifest.head("state").shape == (1, QUERIES, 64)
    assert manifest.technique == "instance"
    assert [label.name for label in manifest.labels] == list(CLASSES.values())


def test_a_stream_finds_and_numbers_what_transformers_finds_in_the_video(
    checked: Checked, saved: Path, tmp_path: Path, photos: Path
) -> None:
    from transformers import VideomtForUniversalSegmentation, VideomtVideoProcessor

    frames = video(tmp_path / "frames", photos)
    model = VideomtForUniversalSegmentation.from_pretrained(saved, attn_implementation="eager").eval()
    traced = build(Request(find_model(f"hf:{saved}"), (SIDE, SIDE), Weights("pretrained")))
    images = [network_inputs(checked.manifest.inputs, frame)[0]["image"][0] for frame in frames]
    mean, std = np.array(traced.mean), np.array(traced.std)
    pixels = torch.from_numpy(((np.stack(images) / 255 - mean) / std).transpose(0, 3, 1, 2).astype(np.float32))
    with torch.no_grad():
        whole = model(pixel_values_videos=pixels[None])
    geometry = Geometry(frames[0].shape[:2], (SIDE, SIDE), (0, 0, SIDE, SIDE))
    with open_bundle(checked.bundle, threads=1) as segmenter:
        results = [result for _, result in segmenter.stream(tmp_path / "frames")]
        alone = segmenter(frames[-1])
    assert len(results) == len(frames)
    numbers = []
    for index, result in enumerate(results):
        assert isinstance(result, InstanceResult)
        assert result.track_ids is not None
        ids = [int(number) for number in result.track_ids]
        numbers.append(set(ids))
        found = {}
        for query in range(QUERIES):
            outputs = type(whole)(
                class_queries_logits=whole.class_queries_logits[index : index + 1, query : query + 1],
                masks_queries_logits=whole.masks_queries_logits[index : index + 1, query : query + 1],
            )
            single = instances_of(VideomtVideoProcessor(), outputs, geometry, 0.5, result.labels)
            if len(single):
                found[query + 1] = single[0]
        assert set(ids) == set(found)
        for place, number in enumerate(ids):
            assert result[place].class_id == found[number].class_id
            assert result[place].score == pytest.approx(found[number].score, abs=2e-3)
            ours, theirs = result[place].mask, found[number].mask
            assert (ours & theirs).sum() / (ours | theirs).sum() > 0.98
    assert numbers[0] & numbers[-1], "an object goes on under its number"
    assert isinstance(alone, InstanceResult)
    assert alone.track_ids is None
    last = results[-1]
    assert not np.array_equal(last.scores, alone.scores), "the state must make a difference"


def test_numbers_begin_anew_after_a_cut(checked: Checked, tmp_path: Path, photos: Path) -> None:
    frames = video(tmp_path / "frames", photos, count=2)
    write_image(tmp_path / "frames" / "2.png", 255 - frames[0])
    write_image(tmp_path / "frames" / "3.png", frames[0])
    with open_bundle(checked.bundle, threads=1) as segmenter:
        results = [result for _, result in segmenter.stream(tmp_path / "frames")]
        again = segmenter(frames[0])
    first, after = results[0], results[3]
    assert isinstance(first, InstanceResult)
    assert isinstance(after, InstanceResult)
    assert first.track_ids is not None
    assert after.track_ids is not None
    np.testing.assert_allclose(np.sort(after.scores), np.sort(again.scores), atol=1e-6)
    np.testing.assert_array_equal(after.track_ids - 2 * QUERIES, first.track_ids)


def test_what_would_lose_the_state_is_refused(checked: Checked, tmp_path: Path, photos: Path) -> None:
    video(tmp_path / "a", photos, count=1)
    video(tmp_path / "b", photos, count=1)
    with open_bundle(checked.bundle, threads=1) as segmenter, pytest.raises(SegrtError, match="one source at a time"):
        stream(segmenter, [tmp_path / "a", tmp_path / "b"])
    with pytest.raises(BackendError, match="input 'queries' is carried from frame to frame by the CPU"):
        open_bundle(checked.bundle, decode_on="cuda")
    with pytest.raises(BundleError, match="which a server of single pictures loses"):
        export_model(find_bundle(str(checked.bundle)), tmp_path / "models", ServingOptions())


def test_other_techniques_sizes_and_choices_are_refused(saved: Path) -> None:
    model = find_model(f"hf:{saved}")
    assert (model.technique, model.size, model.multiple) == ("instance", (SIDE, SIDE), 16)
    semantic = find_model(f"hf:semantic:{saved}")
    for request, message in (
        (Request(semantic, semantic.size, Weights("pretrained")), "for instances alone, not for semantic"),
        (Request(model, (64, 64), Weights("pretrained")), "has positions for 96x96 alone"),
        (Request(model, model.size, Weights("pretrained"), top_queries=5), "numbers objects by their queries"),
    ):
        with pytest.raises(SegrtError, match=message):
            build(request)
