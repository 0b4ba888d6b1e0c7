"""What a deployment is to do, the same for all devices."""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from segrt.runtime.deploy.unit import UnitOptions


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asked for, in a form that can be kept for `--resume`."""

    pack: str
    service: str = "segrt-stream"
    stream: tuple[str, ...] | None = None
    root: str = "auto"
    manager: str = "auto"
    sudo: bool = False
    ssh_config: str | None = None
    wheels: str | None = None
    offline: bool = False
    environment: str | None = None
    extras: tuple[str, ...] = ()
    verify_key: str | None = None
    backend: str = "auto"
    precision: str | None = None
    budget: str | None = None
    frames: int = 100
    build: bool = True
    grace: float = 60.0
    health: str = "frames"
    keep: int = 3
    user: str | None = None
    memory: str = "2G"
    groups: tuple[str, ...] = ("video",)
    retries: int = 2


@dataclass(frozen=True)
class PackFacts:
    """A pack's file: its path, length, SHA-256, and what it holds."""

    path: Path
    size: int
    sha256: str
    bundle: str
    variants: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """A deployment, checked: the options, the pack and its key's text, and a name for this run."""

    options: Options
    pack: PackFacts
    verify_key: str | None
    run: str
    dry_run: bool = False
    unit: UnitOptions = field(default_factory=UnitOptions)
