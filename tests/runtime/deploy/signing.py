"""Keys and signed indices for the tests of deployments."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from segrt.runtime.deploy.device.statements import statement_line
from segrt.runtime.deploy.index_writer import Target, release_index, signed_release


def make_key(path: Path) -> Path:
    """Make an Ed25519 key at `path`, its public part beside it; return the path."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def sign_release(pack: Path, key: Path, out: Path, *, counter: int = 1, expires: str | None = None, **changed: Any) -> Path:
    """Write an index of a pack for devices with the stand-in's environment; `changed` are other values of it."""
    import platform

    index = release_index(pack, Target(machine=platform.machine()), counter, expires)
    index = replace(index, segrt="9.9.9", environment="~/env")
    index = replace(index, **changed)
    assert statement_line(index)
    out.write_bytes(signed_release(index, key, None))
    return out
