"""A processor runs no kernels that were compiled for more than it has."""

import platform
import re
from pathlib import Path

import pytest

from segrt.runtime import _postproc

KERNELS = Path(__file__).resolve().parents[2] / "cpp_postproc/kernels"
FLAGS = {path.stem: path.read_text().split() for path in KERNELS.glob("*.flags")}

pytestmark = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="x86-64 alone has such kernels")


@pytest.mark.parametrize("name", ["avx2", "avx512"])
def test_kernels_need_every_instruction_set_that_their_flags_allow_the_compiler(name: str) -> None:
    allowed = {match[1] for flag in FLAGS[name] if (match := re.fullmatch(r"-m([a-z0-9._]+)", flag))}
    assert {"avx2", "fma", "f16c", "bmi2"} <= allowed
    missing = allowed - set(_postproc.kernels_features(name))
    assert not missing, f"kernels/features.h does not know {missing}: the {name} kernels would run on any processor"


def test_every_file_with_flags_of_its_own_is_a_table_of_kernels() -> None:
    assert set(FLAGS) == {"avx2", "avx512"}
    assert all((KERNELS / f"{name}.cpp").exists() for name in FLAGS)


def test_the_baseline_needs_nothing_and_unknown_kernels_are_refused() -> None:
    assert _postproc.kernels_features("baseline") == _postproc.kernels_features("scalar") == []
    with pytest.raises(ValueError, match="this build has no kernels named mmx"):
        _postproc.kernels_features("mmx")
