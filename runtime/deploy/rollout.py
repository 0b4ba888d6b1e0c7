"""All devices, some at a time."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from segrt.runtime.deploy.host import Outcome, Report
from segrt.runtime.deploy.ssh import Device

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
        outcome = work(device, lambda text, share: display.show(device.name, text, share))
        display.end(outcome)
        return outcome

    return in_parallel(devices, parallel, work_on)


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
