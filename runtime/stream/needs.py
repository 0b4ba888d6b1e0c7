"""What a source or sink needs beyond the packages that segrt always installs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Needs:
    """`feature` names what is off without them, as the doctor says it: "MQTT sinks".

    `packages` are their names in Python's package registry; `extra` is segrt's extra that brings them, "" where none
    does.
    """

    feature: str
    packages: tuple[str, ...]
    extra: str = ""
