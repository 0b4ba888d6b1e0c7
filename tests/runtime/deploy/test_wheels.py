"""Wheels of segrt are chosen by what a device says of itself."""

import pytest

from segrt.runtime.deploy.device.protocol import DeviceFacts
from segrt.runtime.deploy.wheels import fits, version_key


@pytest.mark.parametrize(
    ("tags", "right"),
    [
        ("cp310-cp310-manylinux_2_35_aarch64", True),
        ("cp310-cp310-manylinux_2_17_aarch64.manylinux2014_aarch64", True),
        ("cp310-cp310-linux_aarch64", True),
        ("cp38-abi3-manylinux_2_28_aarch64", True),
        ("cp310-cp310-manylinux_2_36_aarch64", False),
        ("cp310-cp310-manylinux_2_28_x86_64", False),
        ("cp310-cp310-musllinux_1_2_aarch64", False),
        ("cp311-cp311-manylinux_2_28_aarch64", False),
        ("cp311-abi3-manylinux_2_28_aarch64", False),
    ],
)
def test_wheels_are_chosen_by_python_machine_and_libc(tags: str, right: bool) -> None:
    device = DeviceFacts(
        machine="aarch64", python="3.10.12", executable="/usr/bin/python3", implementation="CPython", glibc="2.35",
        system="Ubuntu 22.04.5 LTS", user="pi", uid=1000, root="/home/pi/segrt", writable=True, free=10**9,
        manager="systemd-user",
    )  # fmt: skip
    assert fits(f"segrt-0.1.0-{tags}.whl", device) is right
    assert not fits(f"other-0.1.0-{tags}.whl", device)
    assert version_key("0.10.0") > version_key("0.9.1")
