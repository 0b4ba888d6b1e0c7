"""Which engine fits which device, for plain TensorRT, by the rules of NVIDIA's documentation."""

from dataclasses import replace

import msgspec
import pytest

from segrt.runtime.inference.engine_policy import BuildOptions
from segrt.runtime.inference.tensorrt.engine_record import EngineRecord
from segrt.runtime.inference.tensorrt.fit import Wanted, why_unfit
from segrt.runtime.inference.tensorrt.target import Here

ORIN = Here("Orin", "8.7", 7619, "540.4.0")
SHA, OTHER = "a" * 64, "b" * 64


def record(**changes) -> EngineRecord:
    made = EngineRecord(
        bundle="b", precision="fp16", onnx_sha256=SHA, options=BuildOptions(), flavor="tensorrt", version="10.3.0",
        gpu="Orin", sm="8.7", plan_bytes=1, plan_sha256=SHA,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def wanted(options: BuildOptions | None = None, version: str = "10.3.0", here: Here = ORIN) -> Wanted:
    return Wanted(SHA, options or BuildOptions(), "tensorrt", version, (), here)


def test_the_same_device_and_version_fit() -> None:
    assert why_unfit(record(), wanted()) is None


def test_another_driver_fits() -> None:
    assert why_unfit(record(driver="540.3.0"), wanted()) is None


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (record(onnx_sha256=OTHER), wanted(), "was built from another ONNX file"),
        (record(version="10.13.0"), wanted(), "was built by tensorrt 10.13.0, this is 10.3.0"),
        (record(flavor="tensorrt-rtx"), wanted(), "was built by tensorrt-rtx, this is tensorrt"),
        (record(gpu="Thor", sm="11.0"), wanted(), "was built for Thor (SM 11.0), this is Orin (SM 8.7)"),
        (record(options=BuildOptions(dla_core=0)), wanted(), "was built with dla core 0, not None"),
        (record(), wanted(BuildOptions(optimization_level=5)), "was built with optimization level None, not 5"),
    ],
)
def test_what_does_not_fit_is_said_in_a_few_words(old: EngineRecord, new: Wanted, reason: str) -> None:
    assert why_unfit(old, new) == reason


def test_version_compatible_engines_fit_later_versions_of_the_same_major_number() -> None:
    options = BuildOptions(version_compatible=True)
    old = record(options=options)
    assert why_unfit(old, wanted(options, version="10.13.2")) is None
    assert why_unfit(old, wanted(options, version="11.0.0")) is not None
    assert why_unfit(record(options=options, version="10.13.2"), wanted(options, version="10.3.0")) is not None


def test_hardware_compatible_engines_fit_other_gpus() -> None:
    ada, turing = Here("RTX 4090", "8.9"), Here("T4", "7.5")
    ampere = BuildOptions(hardware_compatible="ampere+")
    assert why_unfit(record(options=ampere), wanted(ampere, here=ada)) is None
    assert why_unfit(record(options=ampere), wanted(ampere, here=turing)) is not None
    same = BuildOptions(hardware_compatible="same-sm")
    assert why_unfit(record(options=same), wanted(same, here=replace(ORIN, gpu="Orin NX"))) is None
    assert why_unfit(record(options=same), wanted(same, here=ada)) is not None
