"""All devices, some at a time."""

import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from segrt.runtime.deploy.host import Outcome, Report
from segrt.runtime.deploy.ssh import Device
from segrt.runtime.errors import one_line

_Item = TypeVar("_Item")


class Display(Protocol):
    """Shows how far the devices are; called from several threads."""

    def show(self, device: str, text: str, share: float | None) -> None:
        """Show what a device does now, and how much of it is done, 0 to 1."""

    def end(self, outcome: Outcome) -> None:
        """Show how it ended on a device."""


def roll_out(
    devices: Sequence[Device], parallel: int, display: Display, work: Callable[[Device, Report], Outcome]
) -> list[Outcome]:
    """Do `work` on all devices, `parallel` at a time; return the outcomes in the devices' order."""

    def work_on(device: Device) -> Outcome:
        try:
            outcome = work(device, lambda text, share: display.show(device.name, text, share))
        except Exception as error:  # whatever one device leads to, it is a row, and the others are worked on
            outcome = Outcome(device.name, "failed", unexpected(error), traceback.format_exc())
        display.end(outcome)
        return outcome

    return in_parallel(devices, parallel, work_on)


def unexpected(error: Exception) -> str:
    """Return the line for an error that nobody thought of."""
    return f"{type(error).__name__}: {one_line(error)}; this is a fault of segrt, please report it"


def in_parallel(devices: Sequence[Device], parallel: int, work: Callable[[Device], _Item]) -> list[_Item]:
    """Return what `work` gives for each device; `parallel` of them run at a time."""
    with ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="device") as pool:
        futures = [pool.submit(work, device) for device in devices]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for device in devices:
                device.stopped = True
            for future in futures:
                future.cancel()
            raise
