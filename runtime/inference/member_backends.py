"""Two networks behind one slot: both are filled, started and waited for together.

A slot of this backend holds one slot of each member's own for as long as it lives, so that its input views stay the
same; on release they are given back and taken again, for a slot that was waited for can't be submitted twice.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import Lock

from segrt.runtime.errors import BackendError
from segrt.runtime.inference.backend import OF_TWO_NETWORKS, Backend
from segrt.runtime.inference.cuda.device_array import GpuQueue
from segrt.runtime.inference.cuda.member_queues import MemberQueues
from segrt.runtime.inference.tensors import Array, Head, Slot, TensorSpec, prefixed


class MembersBackend(Backend):
    """Executes the members of a bundle, each on a backend of its own, at once; `inference_ms` is the longest.

    `members` maps names to opened backends of as many slots each; they are closed with this one, or where this one
    cannot be made.
    """

    no_layer_times = OF_TWO_NETWORKS

    def __init__(self, members: Mapping[str, Backend]) -> None:
        self._members = dict(members)
        first, *others = self._members.values()
        self.name = "+".join(dict.fromkeys(member.name for member in self._members.values()))
        self.device = "+".join(dict.fromkeys(member.device for member in self._members.values()))
        try:
            self.head_device = first.head_device
            if any(other.head_device != first.head_device for other in others):
                raise BackendError("the members' heads must lie on one device, but one's are on the CPU, one's on CUDA")
            counts = {member.slots for member in self._members.values()}
            if len(counts) != 1:
                raise BackendError(f"the members must have equally many slots, but have {sorted(counts)}")
            self._inner = [
                {name: member.acquire() for name, member in self._members.items()} for _ in range(first.slots)
            ]
            self._renewing = Lock()
            super().__init__(self._specs("input_specs"), self._specs("head_specs"), slots=first.slots)
            for slot, inner in zip(self._slots, self._inner, strict=True):
                slot.gpu = _joined(inner)
        except BaseException:
            self._shut()
            raise

    def _specs(self, kind: str) -> Sequence[TensorSpec]:
        return [
            TensorSpec(prefixed(name, spec.name), spec.dtype, spec.shape)
            for name, member in self._members.items()
            for spec in getattr(member, kind)
        ]

    def _make_inputs(self, index: int) -> Mapping[str, Array]:
        return {
            prefixed(name, key): view for name, slot in self._inner[index].items() for key, view in slot.inputs.items()
        }

    def _start(self, slot: Slot) -> None:
        started = []
        try:
            for name, inner in self._inner[slot.index].items():
                self._members[name].submit(inner)
                started.append(name)
        except BaseException:
            for name in started:  # their heads are wanted no more
                with suppress(BackendError):
                    self._members[name].wait(self._inner[slot.index][name])
                self._renew(slot.index, name)
            raise

    def _finish(self, slot: Slot) -> Mapping[str, Head]:
        inner = self._inner[slot.index]
        heads: dict[str, Head] = {}
        failure: BackendError | None = None
        for name, member in self._members.items():
            try:
                found = member.wait(inner[name])
            except BackendError as error:  # the other member still runs, and must be waited for
                failure = failure or error
                continue
            heads |= {
                prefixed(name, key): Head(prefixed(name, key), head.array, head.device) for key, head in found.items()
            }
        slot.inference_ms = max(one.inference_ms for one in inner.values())
        slot.upload_ms = sum(one.upload_ms for one in inner.values())
        slot.download_ms = sum(one.download_ms for one in inner.values())
        if failure is not None:
            raise failure
        return heads

    def release(self, slot: Slot) -> None:
        """Give the slot back, and the members' slots that it holds."""
        if slot.state == "done" and not self._closed:
            for name in self._members:
                self._renew(slot.index, name)
        super().release(slot)

    def _renew(self, index: int, name: str) -> None:
        """Release the slot of member `name` that slot `index` holds, and take it again."""
        with self._renewing:  # so that no other of the member's slots is free meanwhile
            self._members[name].release(self._inner[index][name])
            self._inner[index][name] = self._members[name].acquire(timeout=0)

    def _shut(self) -> None:
        for member in self._members.values():
            member.close()


def _joined(slots: Mapping[str, Slot]) -> GpuQueue | None:
    """Return the members' queues as one, None where a member has none."""
    queues = {name: slot.gpu for name, slot in slots.items() if slot.gpu is not None}
    return MemberQueues(queues) if len(queues) == len(slots) else None
