"""TensorRT as `auto` meets it: where no engine can run, nothing that builds and runs engines is imported."""

from segrt.runtime.inference.backend import Backend
from segrt.runtime.inference.cuda.presence import why_no_gpu
from segrt.runtime.inference.network_file import NetworkFile, Opening


class TensorRtKind:
    """What `BACKENDS` knows of TensorRT."""

    @staticmethod
    def why_not(network: NetworkFile, opening: Opening) -> str | None:
        """Return why TensorRT cannot execute `network` here, with the remedy, or None if it probably can."""
        if opening.device == "cpu":
            return "the CPU is asked for"
        reason = why_no_gpu()
        if reason is not None:
            return f"{reason}; `segrt doctor` says more"
        from segrt.runtime.inference.tensorrt.engine_backend import TensorRtBackend

        return TensorRtBackend.why_not(network, opening)

    @staticmethod
    def open(network: NetworkFile, opening: Opening) -> Backend:
        """Open `network` on an engine; see `TensorRtBackend.open`."""
        from segrt.runtime.inference.tensorrt.engine_backend import TensorRtBackend

        return TensorRtBackend.open(network, opening)
