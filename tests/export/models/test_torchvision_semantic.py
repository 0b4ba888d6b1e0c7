"""torchvision's semantic networks against torchvision itself."""

from pathlib import Path

import pytest
from harness import EVERY, check_export

from segrt.runtime.decode.binary import Binary


@pytest.mark.parametrize(
    "name", [pytest.param("deeplabv3_mobilenet_v3_large", marks=EVERY), "lraspp_mobilenet_v3_large"]
)
def test_a_mobile_network_equals_torchvision(name: str, tmp_path: Path, photos: Path) -> None:
    checked = check_export(name, tmp_path, photos, size=(128, 160))
    assert checked.manifest.heads[0].shape[:2] == (1, 21)
    assert [label.name for label in checked.manifest.labels][:2] == ["background", "aeroplane"]


def test_one_class_is_the_score_of_an_object(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "one.txt").write_text("leaf\n")
    labels = str(tmp_path / "one.txt")
    checked = check_export("lraspp_mobilenet_v3_large", tmp_path, photos, size=(64, 96), labels=labels, engine=False)
    assert checked.manifest.decode == Binary()
    assert checked.manifest.heads[0].role == "object_scores"


@EVERY
@pytest.mark.parametrize("name", ["deeplabv3_resnet50", "fcn_resnet50"])
def test_a_residual_network_equals_torchvision(name: str, tmp_path: Path, photos: Path) -> None:
    check_export(name, tmp_path, photos, size=(64, 96))
