"""The queues of two networks' slots as one, for what has to wait for both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from segrt.runtime.inference.cuda.device_array import GpuQueue, GpuTimes
from segrt.runtime.inference.cuda.interface import Event


class MemberQueues(GpuQueue):
    """Several queues that run at once, by member; `inputs` are called "MEMBER.INPUT".

    Each head and input names the queue of its own member: work on it belongs there. `stream` is the first member's.
    """

    def __init__(self, members: Mapping[str, GpuQueue]) -> None:
        self._members = tuple(members.values())
        self.cuda, self.stream = self._members[0].cuda, self._members[0].stream
        self.inputs = {f"{name}.{key}": array for name, queue in members.items() for key, array in queue.inputs.items()}

    @property
    def epoch(self) -> Event | None:
        """The members' epoch, which is one."""
        return self._members[0].epoch

    @epoch.setter
    def epoch(self, value: Event | None) -> None:
        for queue in self._members:
            queue.epoch = value

    @property
    def uploads(self) -> bool:
        """Whether every member's inputs are uploaded."""
        return all(queue.uploads for queue in self._members)

    @uploads.setter
    def uploads(self, value: bool) -> None:
        for queue in self._members:
            queue.uploads = value

    def synchronize(self) -> None:
        """Wait for all members."""
        for queue in self._members:
            queue.synchronize()

    def own(self, thing: Any) -> Any:
        """Let the first member's queue free `thing`."""
        return self._members[0].own(thing)

    def times(self) -> GpuTimes:
        """Return the members' times together: copies and decoding add up, the networks ran at once."""
        return _joined([queue.times() for queue in self._members])


def _joined(times: Sequence[GpuTimes]) -> GpuTimes:
    return GpuTimes(
        sum(one.upload_ms for one in times),
        max(one.inference_ms for one in times),
        sum(one.download_ms for one in times),
        sum(one.decode_ms for one in times),
        sum(one.preprocess_ms for one in times),
        min(one.begin_ms for one in times),
        max(one.end_ms for one in times),
    )
