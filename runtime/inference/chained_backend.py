"""Two networks one after the other: the second is given heads of the first, and may run again on the same ones.

A slot of this backend holds one slot of each network's own for as long as it lives, as that of `MembersBackend` does.
"""

from collections.abc import Mapping
from threading import Lock

import numpy as np

from segrt.runtime.errors import BackendError
from segrt.runtime.inference.backend import OF_TWO_NETWORKS, Backend
from segrt.runtime.inference.tensors import Array, Head, Slot, TensorSpec, prefixed


class ChainedBackend(Backend):
    """Executes an encoder, hands its heads on to a decoder and executes that; `inference_ms` is both together.

    `networks` maps the two names to opened backends of as many slots each, whose heads lie on the CPU; they are closed
    with this one, or where this one cannot be made. `handed_on` maps inputs of the second to heads of the first, all
    with the network's name before them; whoever fills a slot does not fill those.

    `execute` runs both. `encode` runs the first alone, `hand_on` gives the second its heads, also heads kept from an
    earlier time, and `decode` runs the second, as often as the slot is held.
    """

    no_layer_times = OF_TWO_NETWORKS

    def __init__(self, networks: Mapping[str, Backend], handed_on: Mapping[str, str]) -> None:
        self._networks = dict(networks)
        self._encoder, self._decoder = self._networks
        first, second = self._networks.values()
        self.name = "+".join(dict.fromkeys(network.name for network in (first, second)))
        self.device = "+".join(dict.fromkeys(network.device for network in (first, second)))
        self._handed_on = dict(handed_on)
        self._renewing = Lock()
        try:
            if {first.head_device, second.head_device} != {"cpu"}:
                raise BackendError("the heads of networks that run one after the other must lie on the CPU")
            if first.slots != second.slots:
                raise BackendError(f"the networks must have equally many slots, but have {first.slots}, {second.slots}")
            self._inner = [
                {name: network.acquire() for name, network in self._networks.items()} for _ in range(first.slots)
            ]
            inputs = [spec for spec in self._specs("input_specs") if spec.name not in self._handed_on]
            super().__init__(inputs, self._specs("head_specs"), slots=first.slots)
        except BaseException:
            self._shut()
            raise

    def encode(self, slot: Slot) -> Mapping[str, Head]:
        """Run the first network on the slot's inputs; return its heads, valid until its next run."""
        return self._run_one(slot, self._encoder)

    def hand_on(self, slot: Slot, heads: Mapping[str, Array]) -> None:
        """Give the second network heads of the first, name → array; they are copied."""
        views = self._inner[slot.index][self._decoder].inputs
        for name, head in self._handed_on.items():
            np.copyto(views[name.removeprefix(prefixed(self._decoder, ""))], heads[head])

    def decode(self, slot: Slot) -> Mapping[str, Head]:
        """Run the second network on what was handed on; return its heads, valid until the next run."""
        return self._run_one(slot, self._decoder)

    def _run_one(self, slot: Slot, name: str) -> dict[str, Head]:
        self._renew(slot.index, name)
        inner = self._inner[slot.index][name]
        found = self._networks[name].execute(inner)
        slot.inference_ms += inner.inference_ms
        slot.upload_ms += inner.upload_ms
        slot.download_ms += inner.download_ms
        return {prefixed(name, key): Head(prefixed(name, key), head.array, head.device) for key, head in found.items()}

    def _specs(self, kind: str) -> list[TensorSpec]:
        return [
            TensorSpec(prefixed(name, spec.name), spec.dtype, spec.shape)
            for name, network in self._networks.items()
            for spec in getattr(network, kind)
        ]

    def _make_inputs(self, index: int) -> Mapping[str, Array]:
        views = {
            prefixed(name, key): view for name, slot in self._inner[index].items() for key, view in slot.inputs.items()
        }
        return {name: view for name, view in views.items() if name not in self._handed_on}

    def _start(self, slot: Slot) -> None:
        slot.inference_ms = slot.upload_ms = slot.download_ms = 0.0

    def _finish(self, slot: Slot) -> Mapping[str, Head]:
        heads = self.encode(slot)
        self.hand_on(slot, arrays_of(heads))
        return {**heads, **self.decode(slot)}

    def release(self, slot: Slot) -> None:
        """Give the slot back."""
        slot.inference_ms = slot.upload_ms = slot.download_ms = 0.0
        super().release(slot)

    def _renew(self, index: int, name: str) -> None:
        """Give back the network's slot that slot `index` holds where it has run, and take it again."""
        inner = self._inner[index][name]
        if inner.state == "acquired":
            return
        with self._renewing:  # so that no other of the network's slots is free meanwhile
            self._networks[name].release(inner)
            self._inner[index][name] = self._networks[name].acquire(timeout=0)

    def _shut(self) -> None:
        for network in self._networks.values():
            network.close()


def arrays_of(heads: Mapping[str, Head]) -> dict[str, Array]:
    """Return the heads' arrays, which are not copied."""
    return {name: head.array for name, head in heads.items()}
