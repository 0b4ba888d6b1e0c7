"""EdgeTAM: encoder and decoder give what transformers' model and processor give, for every kind of prompt."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import _check_manifest, check_engine, record

from segrt.export.convert.export_options import ExportOptions
from segrt.export.convert.exporting import Exported, build, export_model
from segrt.export.family import Exportable, Request, Weights
from segrt.export.graph.tracing import ByteInput, input_specs
from segrt.export.models.catalogue import find_model
from segrt.runtime import PromptSegmenter, open_bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import read_image
from segrt.runtime.preprocess.picture import network_inputs
from segrt.runtime.preprocess.prompts import Prompt

torch = pytest.importorskip("torch")
save_file = pytest.importorskip("safetensors.torch").save_file
pytest.importorskip("timm")

NAME, SIDE = "edgetam-repvit-m1", 96
SHALLOW = {"depth": (1, 1, 2, 1)}  # of the backbone's stages


@pytest.fixture(scope="module")
def framework() -> Exportable:
    """EdgeTAM with random weights."""
    return build(Request(find_model(NAME), (SIDE, SIDE), Weights("random"), overrides=SHALLOW))


@pytest.fixture(scope="module")
def exported(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The very same network as a bundle: a seed is a seed."""
    options = ExportOptions(Weights("random"), size=(SIDE, SIDE), parity_images=photos, threads=1, overrides=SHALLOW)
    return export_model(NAME, tmp_path_factory.mktemp("edgetam") / NAME, options)


def test_random_weights_of_a_seed_are_the_same_whatever_was_drawn_before(framework: Exportable) -> None:
    torch.rand(7)
    again: Any = build(Request(find_model(NAME), (SIDE, SIDE), Weights("random"), overrides=SHALLOW)).core.model
    found, wanted = again.state_dict(), framework.core.model.state_dict()  # type: ignore[union-attr, operator]
    assert [name for name, tensor in wanted.items() if not torch.equal(found[name], tensor)] == []


def test_the_export_holds_its_limits_and_names_two_networks(exported: Exported) -> None:
    import os

    manifest = read_bundle(exported.bundle).manifest
    _check_manifest(manifest, exported.report)
    assert exported.report.passed
    assert exported.report.parity.agreement >= 0.999
    assert exported.report.parity.matched == 1.0
    assert [member.name for member in manifest.members] == ["encoder", "decoder"]
    assert {"members", "prompts"} == set(manifest.required_features)
    if os.environ.get("SEGRT_VERIFIED"):
        record(NAME, manifest, (SIDE, SIDE), Path(os.environ["SEGRT_VERIFIED"]), whole=False, engine=True)


def test_tensorrt_builds_both_networks(exported: Exported) -> None:
    for name in ("encoder", "decoder"):
        check_engine(exported.bundle / name / "model.fp32.onnx")


def test_masks_equal_those_of_transformers_at_the_photos_size(
    exported: Exported, framework: Exportable, photos: Path
) -> None:
    """The framework's coordinates, model and masks, on the network's input; that is compared by the export."""
    assert framework.prompt_decoder is not None
    network = ByteInput(framework)
    with open_bundle(exported.bundle, threads=1, device="cpu") as segmenter:
        assert isinstance(segmenter, PromptSegmenter)
        areas, same = [], []
        for path in sorted(photos.iterdir()):
            photo = read_image(path)
            height, width = photo.shape[:2]
            seen = segmenter.embedded(photo)
            inputs, _ = network_inputs(input_specs(framework, (SIDE, SIDE)), photo)
            pixels = network.pixels(torch.from_numpy(inputs["image"]))
            for prompt in (
                Prompt(box=(0.2 * width, 0.1 * height, 0.7 * width, 0.5 * height)),
                Prompt(points=((0.4 * width, 0.6 * height),), labels=(1,)),
                Prompt(points=((0.4 * width, 0.6 * height), (9, 9), (width, height)), labels=(1, 0, 1)),
                Prompt(box=(1, 2, width, height), points=((0.5 * width, 0.5 * height),), labels=(0,)),
            ):
                found = seen.prompt(prompts=[prompt])
                wanted = framework.prompt_decoder.framework_masks(pixels, prompt, seen.geometry)
                same.append(float((found.masks[0] == wanted.masks[0]).mean()))
                areas.append(found.masks[0].mean())
                assert found.scores == pytest.approx(wanted.scores, abs=5e-3)
    assert min(same) >= 0.999
    assert sum(0.005 < area < 0.995 for area in areas) >= 8, "masks are neither empty nor full"
    assert np.std(areas) > 0.01, "masks differ from prompt to prompt"


def test_transformers_is_left_as_it_was(framework: Exportable) -> None:  # noqa: ARG001
    from transformers import EdgeTamVisionConfig

    assert EdgeTamVisionConfig.__repr__ is not object.__repr__


def test_published_files_load_with_the_video_models_part_and_others_do_not(
    framework: Exportable, tmp_path: Path
) -> None:
    model: Any = framework.core.model
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    del tensors["prompt_encoder.shared_embedding.positional_embedding"]  # it is one with that of the picture
    video = {**tensors, "memory_attention.layers.0.linear1.weight": torch.zeros(2), "no_object_pointer": torch.zeros(2)}
    save_file(video, str(tmp_path / "video.safetensors"))

    def loaded(name: str) -> Any:
        weights = Weights("file", tmp_path / name)
        return build(Request(find_model(NAME), (SIDE, SIDE), weights, overrides=SHALLOW)).core.model.state_dict()

    got = loaded("video.safetensors")
    assert all(torch.equal(got[name], tensor) for name, tensor in model.state_dict().items())
    del tensors["mask_decoder.iou_token.weight"]
    save_file({**tensors, "mask_decoder.other.weight": torch.zeros(2)}, str(tmp_path / "other.safetensors"))
    with pytest.raises(SegrtError, match=r"1 missing \(mask_decoder.iou_token.weight\); 1 unexpected \(mask_decoder.o"):
        loaded("other.safetensors")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (96, 128)}, "--size 96x128: edgetam-repvit-m1 takes square pictures; give 96x96 or 128x128"),
        ({"size": (100, 100)}, "takes multiples of 32"),
        ({"precisions": ("fp16",)}, "--precision: edgetam-repvit-m1 takes prompts; it is exported in fp32 alone"),
        ({"labels": "coco"}, "--labels: edgetam-repvit-m1 takes prompts; what is pointed at is an object"),
        ({"top_queries": 3}, "--top-queries"),
        ({"dynamic_batch": True}, "--dynamic-batch"),
        (
            {"both_orientations": True, "size": (96, 128), "parity_images": Path("none"), "calibration": Path("none")},
            "--both-orientations: edgetam-repvit-m1 takes prompts; it stretches every picture to a square",
        ),
    ],
)
def test_options_that_prompts_leave_no_room_for_are_refused(options: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(SegrtError, match=message):
        export_model(NAME, tmp_path / "out", ExportOptions(Weights("random"), **{"size": (SIDE, SIDE), **options}))
