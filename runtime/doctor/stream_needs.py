"""What some kinds of sources and sinks need beyond segrt's own packages."""

from segrt.runtime.doctor.machine import Machine
from segrt.runtime.stream.needs import Needs
from segrt.runtime.stream.sinks.sink_kinds import SINKS, needs_of_sinks
from segrt.runtime.stream.sources.source_kinds import SOURCES, needs_of_sources


def stream_needs(machine: Machine) -> tuple[Needs, ...]:
    """Return what the kinds of sources and sinks need: segrt's own, then those that this process has registered.

    segrt's own are asked for in a process of theirs: a broken library may kill one that loads them. Nothing is
    returned where that process failed, or was not asked when the machine was recorded.
    """
    answer = machine.probe("streams")
    known = answer.get("kinds")
    if known is None:
        return ()
    needs = [Needs(need["feature"], tuple(need["packages"]), need["extra"]) for need in answer["needs"]]
    needs += needs_of_sources(name for name in SOURCES if name not in known)
    needs += needs_of_sinks(name for name in SINKS if name not in known)
    return tuple(dict.fromkeys(needs))
