"""All devices, some at a time."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from segrt.runtime.deploy.host import Outcome, Say
from segrt.runtime.deploy.ssh import Device

_Item = TypeVar("_Item")


class Watcher(Protocol):
    """Somebody who is told how far the devices are, from several threads."""

    def say(self, device: str, text: str, share: float | None) -> None:
        """Take what a device does now, and how much of it is done, 0 to 1."""

    def end(self, outcome: Outcome) -> None:
        """Take how it ended on a device."""


def roll_out(
    devices: Sequence[Device], parallel: int, watcher: Watcher, work: Callable[[Device, Say], Outcome]
) -> list[Outcome]:
    """Do `work` on all devices, `parallel` at a time; return the outcomes in the devices' order."""

    def one(device: Device) -> Outcome:
        outcome = work(device, lambda text, share: watcher.say(device.name, text, share))
        watcher.end(outcome)
        return outcome

    return at_once(devices, parallel, one)


def at_once(devices: Sequence[Device], parallel: int, work: Callable[[Device], _Item]) -> list[_Item]:
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
