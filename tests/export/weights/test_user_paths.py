"""Paths as a user types them: what can be no path is one line."""

from pathlib import Path

import pytest

from segrt.export.models.catalogue import find_model
from segrt.export.weights.user_paths import user_path
from segrt.runtime.errors import SegrtError


def test_the_home_folder_is_meant_by_its_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/net", "x", "a folder") == tmp_path / "net"


@pytest.mark.parametrize("prefix", ["hf:", "smp:", "hf:instance:"])
@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "names nothing; give a folder, or "),
        ("~nosuch/x", "is no path (Could not determine home directory.); give a folder, or "),
        ("a" * 300, "is no path (File name too long); give a folder, or "),
    ],
)
def test_what_can_be_no_path_is_one_line(prefix: str, address: str, message: str) -> None:
    with pytest.raises(SegrtError) as refused:
        find_model(prefix + address)
    assert str(refused.value).startswith(f"{prefix}{address}"[:200] + ": ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
