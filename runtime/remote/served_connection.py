"""A model on a Triton server, over gRPC: what it says of itself, and requests to it."""

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.console.suggestions import suggestion
from segrt.runtime.errors import BackendError, SegrtError, one_line
from segrt.runtime.remote.address import Address
from segrt.runtime.remote.description import PARAMETER, ServedBundle, check_release, read_description
from segrt.runtime.remote.outages import Outages, Run
from segrt.runtime.remote.result_tensors import DESCRIPTION, ENCODED
from segrt.runtime.remote.shared_pictures import Region
from segrt.runtime.remote.troubles import Trouble, trouble_of

_UNLIMITED = 2**31 - 1
# gRPC waits for up to two minutes before it tries a lost server again; here it is asked as often as somebody retries.
_CHANNEL = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 250),
    ("grpc.max_send_message_length", _UNLIMITED),
    ("grpc.max_receive_message_length", _UNLIMITED),
)


@dataclass(frozen=True, eq=False)
class Question:
    """One request: the input's name and array, or where it lies in shared memory, and what is wanted back.

    outputs: names; shared: (name, offset, bytes) of the output that goes into the region.
    """

    input: str
    array: npt.NDArray[Any]
    parameters: Mapping[str, str]
    outputs: Sequence[str]
    region: Region | None = None
    shared: tuple[str, int, int] | None = None


@dataclass(eq=False)
class Reply:
    """What comes of a question: tensors by name, or a trouble; `arrived` is when (monotonic seconds)."""

    done: threading.Event = field(default_factory=threading.Event)
    tensors: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    trouble: Trouble | None = None
    arrived: float = 0.0


class Server:
    """A connection to one model. Several threads may use it; close it in the end."""

    def __init__(self, address: Address) -> None:
        grpc = _library(address)
        self._grpc = grpc
        self.address = address
        self._version = "" if address.version is None else str(address.version)
        self._client = grpc.InferenceServerClient(address.authority, channel_args=list(_CHANNEL))

    def described(self) -> ServedBundle:
        """Return what the model says of itself; raise BackendError in one line for whatever is not as it should be."""
        address = self.address
        self._find_model()
        config = self._config()
        parameters = {name: value.string_value for name, value in config.parameters.items()}
        if PARAMETER not in parameters:
            raise BackendError(
                f"{address.shown}: is no model of segrt; `segrt export-triton` writes those, give the name of one"
            )
        check_release(address.shown, parameters.get("segrt_version", "unknown"), parameters[PARAMETER])
        self.queue_size = int(config.dynamic_batching.default_queue_policy.max_queue_size)
        return read_description(self._asked_for_description(), address.shown)

    def ask(self, question: Question, reply: Reply) -> None:
        """Send a question; `reply` is filled by another thread, within the address's timeout."""
        grpc = self._grpc
        array = question.array
        wanted = grpc.InferInput(question.input, list(array.shape), _TRITON_TYPES[str(array.dtype)])
        if question.region is None:
            wanted.set_data_from_numpy(array)
        else:
            wanted.set_shared_memory(question.region.name, array.nbytes)
        outputs = [grpc.InferRequestedOutput(name) for name in question.outputs]
        if question.region is not None and question.shared is not None:
            name, offset, size = question.shared
            outputs.append(grpc.InferRequestedOutput(name))
            outputs[-1].set_shared_memory(question.region.name, size, offset)
        try:
            self._client.async_infer(
                self.address.model,
                [wanted],
                lambda result, error: _fill(reply, question, result, error),
                model_version=self._version,
                outputs=outputs,
                parameters=dict(question.parameters),
                client_timeout=self.address.timeout,
            )
        except Exception as error:  # a channel that is closed
            _end(reply, trouble_of(error))

    def register(self, name: str, key: str, size: int) -> None:
        """Tell the server of shared memory; raises what tritonclient raises."""
        self._client.register_system_shared_memory(name, key, size, client_timeout=self.address.timeout)

    def unregister(self, name: str) -> None:
        """Let the server forget it."""
        self._client.unregister_system_shared_memory(name, client_timeout=self.address.timeout)

    def close(self) -> None:
        """End the connection."""
        with suppress(Exception):
            self._client.close()

    def _config(self) -> Any:
        """Return the model's configuration, a protobuf message; raise BackendError where it is gone meanwhile."""
        address = self.address
        try:
            return self._client.get_model_config(address.model, self._version, client_timeout=address.timeout).config
        except Exception as error:
            raise BackendError(
                f"{address.shown}: the model's configuration cannot be had ({trouble_of(error).text}); try again"
            ) from None

    def _asked_for_description(self) -> bytes:
        """Return what the model says of itself; where it is busy or starts anew, in the end."""
        address = self.address
        question = Question(ENCODED, np.zeros((1, 0), np.uint8), {}, [DESCRIPTION])
        patience = Outages(address.shown, address.patience, self.queue_size).patience()
        while True:
            reply = Reply()
            self.ask(question, reply)
            reply.done.wait()
            if reply.trouble is None:
                return bytes(reply.tensors[DESCRIPTION][0])
            if reply.trouble.kind not in ("full", "late", "away"):
                raise BackendError(f"{address.shown}: does not describe itself ({reply.trouble.text}); export it again")
            patience.wait(reply.trouble, reply.arrived, Run())

    def _find_model(self) -> None:
        """Raise BackendError where there is no server, or it does not serve the model."""
        address = self.address
        try:
            if self._client.is_model_ready(address.model, self._version, client_timeout=address.timeout):
                return
            served = self._client.get_model_repository_index(client_timeout=address.timeout).models
        except Exception as error:
            trouble = trouble_of(error)
            what = "does not answer" if trouble.kind == "late" else "cannot be reached"
            raise BackendError(
                f"{address.shown}: the server {what} over gRPC at {address.authority} ({trouble.text}); check that it "
                "runs, the host and the port (8001 is that of gRPC, 8000 that of HTTP)"
            ) from None
        raise _not_served(address, [(model.name, model.version, model.state, model.reason) for model in served])


def _not_served(address: Address, served: Sequence[tuple[str, str, str, str]]) -> SegrtError:
    """Return the error for a model that is not ready; `served` has (name, version, state, reason)."""
    ready = sorted({name for name, _, state, _ in served if state == "READY"})
    own = [(version, state, reason) for name, version, state, reason in served if name == address.model]
    versions = [version for version, state, _ in own if state == "READY"]
    if versions and address.version is not None:
        return BackendError(
            f"{address.shown}: version {address.version} of {address.model!r} is not served, only "
            f"{', '.join(versions)}; take one of these or leave version out"
        )
    if own:
        version, state, reason = own[-1]
        why = one_line(SegrtError(reason)) if reason else state.lower() or "not loaded"
        return BackendError(
            f"{address.shown}: version {version or '?'} of {address.model!r} is not ready ({why}); see the server's log"
        )
    meant = suggestion(address.model, ready)
    names = f"did you mean {meant!r}?" if meant else f"it serves {', '.join(ready) or 'nothing'}"
    return BackendError(f"{address.shown}: there is no model {address.model!r} on the server; {names}")


def _library(address: Address) -> Any:
    try:
        import tritonclient.grpc as grpc
    except ImportError as error:
        raise BackendError(
            f"{address.shown}: needs {error.name or 'tritonclient'}; `pip install 'segrt[triton]'`"
        ) from None
    return grpc


_TRITON_TYPES = {"uint8": "UINT8", "uint16": "UINT16", "float32": "FP32"}
_DTYPES = {
    "UINT8": "uint8", "UINT16": "uint16", "INT32": "int32", "INT64": "int64", "FP32": "float32", "FP64": "float64",
}  # fmt: skip


def _fill(reply: Reply, question: Question, result: Any, error: Any) -> None:
    """Take an answer, in a thread of gRPC."""
    if error is not None:
        _end(reply, trouble_of(error))
        return
    try:
        tensors = {name: np.array(result.as_numpy(name)) for name in question.outputs}
        if question.region is not None and question.shared is not None:
            name, offset, size = question.shared
            output = result.get_output(name)
            dtype, shape = np.dtype(_DTYPES[output.datatype]), tuple(int(length) for length in output.shape)
            if dtype.itemsize * int(np.prod(shape)) > size:
                raise ValueError(f"{name} is larger than its picture")
            tensors[name] = question.region.read(offset, shape, dtype)
        reply.tensors = tensors
    except Exception as wrong:
        _end(reply, trouble_of(BackendError(f"the answer cannot be read ({one_line(wrong)}); export the model again")))
        return
    _end(reply, None)


def _end(reply: Reply, trouble: Trouble | None) -> None:
    reply.trouble = trouble
    reply.arrived = time.monotonic()
    reply.done.set()
