"""The class that Triton's Python backend calls: requests of the server in, responses out. Needs the server's Python."""

import ctypes
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import ImageError, SegrtError
from segrt.runtime.remote.result_tensors import DESCRIPTION, ENCODED, IMAGE
from segrt.runtime.remote.troubles import told
from segrt.runtime.scale.triton.served_model import Request, ServedModel

_TAKEN_BY_TRITON, _TAKEN = b"used_dlpack", b"used_dltensor"


class TritonPythonModel:
    """One instance of a model, in a process of its own."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the bundle of the version that is loaded; what is raised is the reason why the server has no model."""
        import triton_python_backend_utils as backend

        self._backend: Any = backend
        on_gpu = args["model_instance_kind"] == "GPU"
        if on_gpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = args["model_instance_device_id"]
        folder = Path(args["model_repository"]) / args["model_version"]
        try:
            self._model = ServedModel(folder, "auto" if on_gpu else "cpu")
        except SegrtError as error:
            raise backend.TritonModelException(str(error)) from None
        self._description = np.frombuffer(self._model.description(), np.uint8)[None]

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer each request; one that is wrong gets an error of its own."""
        responses: dict[int, Any] = {}
        asked: list[tuple[int, Request]] = []
        for index, request in enumerate(requests):
            if set(request.requested_output_names()) == {DESCRIPTION}:  # whoever names no outputs wants them all
                responses[index] = self._response({DESCRIPTION: self._description}, {DESCRIPTION})
                continue
            try:
                asked.append((index, self._read(request)))
            except SegrtError as error:
                responses[index] = self._refusal(error)
        try:
            answers = self._model.answer([request for _, request in asked])
        except Exception as error:  # a fault of ours: the server goes on
            print(f"segrt: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            answers = [SegrtError(f"{type(error).__name__}: {error}") for _ in asked]
        for (index, _), answer in zip(asked, answers, strict=True):
            if isinstance(answer, SegrtError):
                responses[index] = self._refusal(answer)
            else:
                responses[index] = self._response(answer, set(requests[index].requested_output_names()))
        return [responses[index] for index in range(len(requests))]

    def finalize(self) -> None:
        """Free the networks."""
        self._model.close()

    def _read(self, request: Any) -> Request:
        """Return what a request asks; raise ImageError where it has not one picture."""
        given = {}
        for name in (IMAGE, ENCODED):
            tensor = self._backend.get_input_tensor_by_name(request, name)
            if tensor is not None:
                given[name] = self._array(tensor)
        if len(given) != 1:
            raise ImageError(f"a request has one of the inputs {IMAGE!r} and {ENCODED!r}, but this has {len(given)}")
        (array,) = given.values()
        if array.shape[0] != 1:
            raise ImageError(
                f"a request has one picture, but this has {array.shape[0]}; send several requests, which the server "
                "puts into one batch"
            )
        parameters = json.loads(request.parameters() or "{}")
        return Request(array[0].tobytes() if ENCODED in given else array[0], parameters)

    def _refusal(self, error: SegrtError) -> Any:
        kind = self._backend.TritonError
        code = kind.INVALID_ARG if isinstance(error, ImageError) else kind.INTERNAL
        return self._backend.InferenceResponse(error=kind(told(error), code))

    def _response(self, tensors: Any, wanted: set[str]) -> Any:
        return self._backend.InferenceResponse(
            [self._tensor(name, array) for name, array in tensors.items() if name in wanted]
        )

    def _array(self, tensor: Any) -> npt.NDArray[Any]:
        """Return a tensor's values, as long as its request lasts.

        Tensors and arrays pass by DLPack: a server that was built with pybind11 before 2.12 knows nothing of numpy 2,
        whose arrays it takes for empty, and gives it arrays that show their first value everywhere.
        """
        shape = tuple(tensor.as_numpy().shape)
        return np.from_dlpack(tensor) if 0 not in shape else np.zeros(shape, np.uint8)

    def _tensor(self, name: str, array: npt.NDArray[Any]) -> Any:
        """Return a tensor of the server with the array's values; what is empty, DLPack takes for not contiguous."""
        if array.size == 0:
            return self._backend.Tensor(name, array)
        lent = _Lent(array if array.flags.writeable else array.copy())
        tensor = self._backend.Tensor.from_dlpack(name, lent)
        lent.settle()
        return tensor


class _Lent:
    """An array that gives its memory away by DLPack, and takes back the capsule that Triton has marked as taken.

    Triton's mark is not the standard's, by which numpy knows that the memory is another's to free; see
    https://dmlc.github.io/dlpack/latest/python_spec.html.
    """

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self._array = array
        self._capsule: Any = None

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()

    def __dlpack__(self, **_: Any) -> Any:
        self._capsule = self._array.__dlpack__()
        return self._capsule

    def settle(self) -> None:
        """Mark the capsule as the standard has it."""
        python = ctypes.pythonapi
        capsule = ctypes.py_object(self._capsule)
        if self._capsule is not None and python.PyCapsule_IsValid(capsule, _TAKEN_BY_TRITON):
            python.PyCapsule_SetName(capsule, _TAKEN)
