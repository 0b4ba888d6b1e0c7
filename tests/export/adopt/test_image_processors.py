"""What image processors' files say is fed to the network as transformers feeds it, or is refused by its name."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from side_file_networks import CONFIG, THREE, adopted, beside, fed, grey_levels, identity, pictures, without

from segrt.export.adopt.conventions.image_processors import prepared
from segrt.export.adopt.conventions.processor_defaults import PROCESSORS
from segrt.runtime.errors import SegrtError
from segrt.runtime.preprocess.input_spec import Resize

HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
SIZE = {"height": 64, "width": 96}
SEGFORMER = {"image_processor_type": "SegformerImageProcessor", "size": SIZE}
# name: (class, its fields, size of the network's input)
CASES: dict[str, tuple[str, dict[str, Any], tuple[int, int]]] = {
    "defaults": ("Segformer", {"size": SIZE}, (64, 96)),
    "one number as size": ("Segformer", {"size": 80}, (80, 80)),
    "no rescaling": ("Segformer", {"size": SIZE, "do_rescale": False, **HALF}, (64, 96)),
    "no normalisation": ("Segformer", {"size": SIZE, "do_normalize": False}, (64, 96)),
    "neither": ("Segformer", {"size": SIZE, "do_rescale": False, "do_normalize": False}, (64, 96)),
    "another factor": ("Segformer", {"size": SIZE, "rescale_factor": 1 / 127.5, **HALF}, (64, 96)),
    "one mean": ("Segformer", {"size": SIZE, "image_mean": 0.4, "image_std": 0.3}, (64, 96)),
    "cubic": ("Segformer", {"size": SIZE, "resample": 3}, (64, 96)),
    "channels flipped": (
        "MobileViT",
        {"size": SIZE, "do_center_crop": False, "do_flip_channel_order": True},
        (64, 96),
    ),
    "a crop that cuts nothing": (
        "MobileViT",
        {"size": {"height": 80, "width": 80}, "crop_size": {"height": 80, "width": 80}, "do_center_crop": True},
        (80, 80),
    ),
    "BEiT": ("Beit", {"size": SIZE}, (64, 96)),
    "DPT": ("DPT", {"size": {"height": 70, "width": 90}, "ensure_multiple_of": 32}, (64, 96)),
    "shorter and longer side": ("Detr", {"size": {"shortest_edge": 80, "longest_edge": 133}}, (133, 133)),
    "longest before the input's": ("Detr", {"size": {"shortest_edge": 80, "longest_edge": 110}}, (133, 133)),
    "stretched DETR": ("Detr", {"size": SIZE}, (64, 96)),
    "within height and width": ("Detr", {"size": {"max_height": 96, "max_width": 128}}, (96, 128)),
    "multiples of 32": ("MaskFormer", {"size": {"shortest_edge": 80, "longest_edge": 133}}, (160, 160)),
    "multiples of 16": (
        "Mask2Former",
        {"size": {"shortest_edge": 80, "longest_edge": 133}, "size_divisor": 16},
        (144, 144),
    ),
    "OneFormer": ("OneFormer", {"size": {"shortest_edge": 80, "longest_edge": 133}}, (133, 133)),
    "EoMT": ("Eomt", {"size": {"shortest_edge": 96, "longest_edge": 96}, "do_pad": True}, (96, 96)),
    "RF-DETR": ("RfDetr", {"size": SIZE, "resample": 2}, (64, 96)),
}


@pytest.fixture(scope="module")
def transformers() -> Any:
    pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("transformers")


@pytest.mark.parametrize("case", CASES)
def test_pictures_are_fed_as_by_transformers(transformers: Any, tmp_path: Path, case: str) -> None:
    import torch

    kind, fields, size = CASES[case]
    processor = getattr(transformers, f"{kind}ImageProcessor")(**fields)
    processor.save_pretrained(tmp_path)
    network = identity(tmp_path, size)
    beside(network, config=CONFIG)
    manifest, said = adopted(network)
    compared = next(line for line in said if line.startswith("pictures are fed as by transformers"))
    assert f"transformers {transformers.__version__}, at most " in compared
    for picture in pictures():
        ours, geometry = fed(manifest, picture)
        rgb = torch.from_numpy(np.ascontiguousarray(picture[..., ::-1])).permute(2, 0, 1)
        theirs = processor(images=[rgb], return_tensors="pt")["pixel_values"][0].numpy()
        top, left, bottom, right = (int(edge) for edge in geometry.window)
        if kind == "Eomt":
            theirs = theirs[:, top:bottom, left:right]
        assert theirs.shape == (3, bottom - top, right - left), (case, picture.shape)
        apart = grey_levels(manifest, ours[:, top:bottom, left:right] - theirs)
        assert apart.max() < (2.01 if fields.get("resample") == 3 else 1.01)
        assert apart.mean() < 0.1
        padding = np.ones(size, bool)
        padding[top:bottom, left:right] = False
        if padding.any():
            black = processor.image_mean if kind == "Eomt" else (0.0,) * 3
            expected = -np.array(black) / np.array(processor.image_std)
            assert grey_levels(manifest, ours - expected[:, None, None])[:, padding].max() < 0.51


@pytest.mark.parametrize("short", PROCESSORS)
def test_defaults_are_those_of_transformers(transformers: Any, short: str) -> None:
    processor = PROCESSORS[short]
    theirs = getattr(transformers, f"{short}ImageProcessor", None)
    if theirs is None:
        pytest.skip(f"transformers {transformers.__version__} has no {short}ImageProcessor")
    made = theirs().to_dict()
    for name, value in processor.defaults.items():
        if (short, name) == ("MobileViT", "do_normalize"):
            assert name not in made  # it normalises nothing
            continue
        assert json.loads(json.dumps(made[name])) == pytest.approx(value), name
    heeded = theirs.valid_kwargs.__annotations__.keys()
    assert set(processor.steps) - {"max_size"} <= heeded
    square = theirs(size=48).to_dict()["size"]
    assert ("height" in square) == processor.square


# A field → what is said of it.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no resizing": ({**SEGFORMER, "do_resize": False}, "do_resize false feeds each picture at its own size"),
    "a crop": (
        {"image_processor_type": "MobileViTImageProcessor", "size": {"shortest_edge": 72}, "crop_size": SIZE},
        "do_center_crop true cuts pictures to crop_size 64x96, so that a part of them would get no result",
    ),
    "a crop of an odd size": (
        {"image_processor_type": "BeitImageProcessor", "size": SIZE, "do_center_crop": True, "crop_size": 32},
        "do_center_crop true cuts pictures to crop_size 32x32, so",
    ),
    "Lanczos": ({**SEGFORMER, "resample": 1}, "resample 1 is a filter, which is lanczos, that segrt does not have"),
    "nearest": ({**SEGFORMER, "resample": 0}, "resample 0 is a filter, which is nearest, that segrt does not have"),
    "no antialiasing": ({**SEGFORMER, "antialias": False}, "antialias false is no field that transformers heeds"),
    "flipped by no flipper": (
        {**SEGFORMER, "do_flip_channel_order": True},
        "do_flip_channel_order true is no field that SegformerImageProcessor heeds",
    ),
    "an offset": ({**SEGFORMER, "rescale_offset": True}, "rescale_offset true is no field that Segformer"),
    "parts": (
        {"image_processor_type": "EomtImageProcessor", "do_split_image": True},
        "do_split_image true feeds each picture in parts",
    ),
    "DPT's own size": (
        {"image_processor_type": "DPTImageProcessor", "size": SIZE, "keep_aspect_ratio": True},
        "keep_aspect_ratio true gives each picture a size of its own",
    ),
    "DPT's padding": (
        {"image_processor_type": "DPTImageProcessor", "size": SIZE, "do_pad": True, "size_divisor": 60},
        "size_divisor 60 pads the whole picture",
    ),
    "an unknown step": ({**SEGFORMER, "do_sharpen": 3}, "do_sharpen 3 is not known to this segrt"),
    "an unknown class": (
        {"image_processor_type": "OddImageProcessor", "size": SIZE, "do_rescale": True, "do_normalize": True},
        "image_mean null is missing, and what OddImageProcessor takes instead is not known",
    ),
    "a size of another kind": (
        {**SEGFORMER, "size": {"longest_edge": 96}},
        'size {"longest_edge": 96} is a way of resizing that segrt',
    ),
    "no size": ({**SEGFORMER, "size": "large"}, 'size "large" is no size of a picture'),
    "a word for a switch": ({**SEGFORMER, "do_normalize": "yes"}, 'do_normalize "yes" is neither true nor false'),
    "two means": ({**SEGFORMER, "image_mean": [0.5, 0.5]}, "image_mean .0.5, 0.5. is not a number, or three"),
    "no deviation": ({**SEGFORMER, "image_std": [0.5, 0, 0.5]}, "image_std .* holds a zero"),
    "channels last": ({**SEGFORMER, "data_format": "channels_last"}, "data_format .* is not channels_first"),
}
ALL = {"resize": Resize(), "scale": 1 / 255, "mean": (0.5,) * 3, "std": (0.5,) * 3}


@pytest.mark.parametrize("case", REFUSED)
def test_a_field_that_cannot_be_heeded_is_named_and_its_remedy_works(tmp_path: Path, case: str) -> None:
    fields, message = REFUSED[case]
    network = identity(tmp_path)
    beside(network, config=CONFIG, preprocessor_config=fields)
    with pytest.raises(SegrtError, match=rf"^preprocessor_config\.json: {message}.*; say with --") as caught:
        adopted(network)
    text = str(caught.value)
    assert "\n" not in text
    options: dict[str, Any] = {name: value for name, value in ALL.items() if f"--{name}" in text}
    manifest, _ = adopted(network, **options)
    assert manifest.image_input.size == (64, 96)


def test_version_4_says_the_same_in_other_words() -> None:
    old = {
        "feature_extractor_type": "MaskFormerFeatureExtractor",
        "size": 80,
        "max_size": 133,
        "size_divisor": 32,
        "_max_size": 133,
        "reduce_labels": False,
        "ignore_index": 255,
        "num_labels": 3,
        "do_resize": True,
        "resample": 2,
    }
    new = {"image_processor_type": "MaskFormerImageProcessorFast", "size": {"shortest_edge": 80, "longest_edge": 133}}
    first, second = (prepared(fields, "p", "maskformer") for fields in (old, new))
    assert first.problems == second.problems == ()
    assert (first.resize, first.normalisation) == (second.resize, second.normalisation)
    assert first.resize == Resize(
        "shortest_edge", "linear", True, 80, (124, 116, 104), "bottom_right", "longer_floor", 133, 32
    )


def test_an_unknown_class_that_says_everything_is_followed() -> None:
    fields = {
        "image_processor_type": "OddImageProcessor",
        "do_resize": True,
        "size": [48, 64],
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 127.5,
        "rescale_offset": True,
        "do_normalize": False,
        "do_flip_channel_order": True,
    }
    said = prepared(fields, "p", None)
    assert said.problems == ()
    assert said.flips
    assert said.size == (48, 64)
    assert said.normalisation is not None
    np.testing.assert_allclose(said.normalisation.mean, (1.0,) * 3)
    missing = prepared(without(fields, "do_rescale"), "p", None)
    assert "do_rescale null is missing, and what OddImageProcessor does is not known" in str(missing.problems[0])


def test_the_class_is_that_of_the_network_where_the_file_names_none() -> None:
    said = prepared({"size": 80}, "p", "detr")
    assert said.problems == ()
    assert said.resize is not None
    assert (said.resize.rule, said.resize.shortest_edge) == ("shortest_edge", 80)
    assert prepared({}, "p", "something").problems


@pytest.mark.parametrize("folder", ["", "onnx"])
def test_files_stand_beside_the_network_or_above_its_onnx_folder(tmp_path: Path, folder: str) -> None:
    network = identity(tmp_path / folder)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**SEGFORMER, **HALF}))
    manifest, said = adopted(network)
    assert manifest.image_input.mean == (0.5,) * 3
    assert [label.name for label in manifest.labels] == list(THREE.values())
    assert any(("one folder up" in line) == bool(folder) for line in said if line.startswith("config.json"))
    elsewhere = identity(tmp_path / "other")
    with pytest.raises(SegrtError, match="does not say what it was trained for"):
        adopted(elsewhere)


def test_a_processor_s_own_file_is_read(tmp_path: Path) -> None:
    network = identity(tmp_path)
    beside(network, config=CONFIG, processor_config={"image_processor": {**SEGFORMER, "do_normalize": False}})
    manifest, said = adopted(network)
    assert (manifest.image_input.mean, manifest.image_input.scale) == ((0.0,) * 3, 1 / 255)
    assert any(line.startswith("processor_config.json (SegformerImageProcessor)") for line in said)


@pytest.mark.parametrize("content", ["{", "[]", '"x"'])
def test_a_broken_file_beside_the_network_is_refused(tmp_path: Path, content: str) -> None:
    network = identity(tmp_path)
    beside(network, config=CONFIG)
    (tmp_path / "preprocessor_config.json").write_text(content)
    with pytest.raises(SegrtError, match=r"preprocessor_config\.json: .*; mend or remove it$"):
        adopted(network)
    (tmp_path / "preprocessor_config.json").unlink()
    adopted(network)


def test_a_size_that_is_not_the_input_s_is_told(tmp_path: Path) -> None:
    network = identity(tmp_path)
    beside(network, config=CONFIG, preprocessor_config={**SEGFORMER, "size": 512})
    manifest, said = adopted(network)
    assert manifest.image_input.size == (64, 96)
    assert "the file says 512×512, but the network's input has 64×96: pictures are brought to that" in said


def test_a_processor_that_feeds_something_else_is_told(
    transformers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = identity(tmp_path)
    beside(network, config=CONFIG, preprocessor_config={**SEGFORMER, **HALF})
    monkeypatch.setattr(transformers.SegformerImageProcessor, "rescale_factor", 1 / 128)
    with pytest.raises(
        SegrtError, match=r"feeds pictures up to \d+ grey levels apart; say with --resize, and with --scale"
    ):
        adopted(network)
    adopted(network, resize=Resize(), scale=1 / 255)


def test_adopting_without_transformers_says_that_it_compared_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    network = identity(tmp_path)
    beside(network, config=CONFIG, preprocessor_config={**SEGFORMER, **HALF})
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    _, said = adopted(network)
    assert "not compared with transformers' own processor, which is not installed" in said
