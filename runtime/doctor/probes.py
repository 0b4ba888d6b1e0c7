"""Looks at what Python can import and use; `python -m segrt.runtime.doctor.probes NAME [ARGUMENT...]` prints JSON."""

import base64
import json
import platform
import shutil
import sys
import sysconfig
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from segrt.runtime.errors import one_line

# An ONNX file with one Relu of four floats, opset 13: enough to see which providers really work.
_RELU = "CAgSADpEChIKAXgSAXkaBHJlbHUiBFJlbHUSBHJlbHVaEwoBeBIOCgwIARIICgIIBAoCCAFiEwoBeRIOCgwIARIICgIIBAoCCAFCBAoAEA0="


def python() -> dict[str, Any]:
    """Which Python this is, and whether a virtual environment hides the system's packages."""
    settings = Path(sys.prefix) / "pyvenv.cfg"
    lines = settings.read_text().lower().splitlines() if settings.is_file() else []
    sees = any(line.replace(" ", "") == "include-system-site-packages=true" for line in lines)
    return {
        "version": platform.python_version(),
        "executable": sys.executable,
        "machine": platform.machine(),
        "prefix": sys.prefix,
        "in_virtualenv": sys.prefix != sys.base_prefix,
        "sees_system_packages": sys.prefix == sys.base_prefix or sees,
        "platform": sysconfig.get_platform(),
    }


def packages() -> dict[str, Any]:
    """The versions of the packages that segrt can use, None for those that are not installed."""
    names = (
        "segrt", "numpy", "opencv-python", "opencv-python-headless", "av", "onnxruntime", "onnxruntime-gpu", "torch",
        "torchvision", "transformers", "onnx", "cuda-python", "cuda-bindings", "pycuda", "tensorrt", "tensorrt-rtx",
        "scipy", "aiortc",
    )  # fmt: skip
    return versions(*names)


def versions(*names: str) -> dict[str, Any]:
    """The versions of these packages, None for those that are not installed."""
    return {name: _version(name) for name in names}


def kinds() -> dict[str, Any]:
    """The registered backends, sources and sinks, and what they need."""
    from segrt.runtime.doctor.kinds import all_kinds

    return all_kinds()


def tensorrt() -> dict[str, Any]:
    """Whether `tensorrt` can be imported."""
    return _imported("tensorrt")


def tensorrt_rtx() -> dict[str, Any]:
    """Whether `tensorrt_rtx` can be imported, and which compute capabilities it is for."""
    package = _imported("tensorrt_rtx")
    capabilities = import_module("tensorrt_rtx").ComputeCapability.__members__
    names = [name[2:] for name in capabilities if name.startswith("SM")]
    return package | {"sms": [f"{name[:-1]}.{name[-1]}" for name in names]}


def cuda() -> dict[str, Any]:
    """What CUDA says of the GPU, through cuda-python or pycuda."""
    from segrt.runtime.errors import BackendError
    from segrt.runtime.inference.cuda.choice import installed_packages, open_cuda

    packages: dict[str, Any] = {"packages": list(installed_packages())}
    try:
        opened = open_cuda()
    except BackendError as error:
        return packages | {"cuda_error": str(error)}
    device = opened.device
    with opened.current():
        free, total = opened.memory()
    return packages | {
        "through": opened.name,
        "name": device.name,
        "sm": device.sm,
        "integrated": device.integrated,
        "driver_cuda": device.cuda_driver,
        "free_mb": free >> 20,
        "total_mb": total >> 20,
    }


def kernels() -> dict[str, Any]:
    """Which rules segrt's CUDA kernels decode: rule → why not, None for those that they do; `built` are their files."""
    from segrt.runtime.decode.decoders import PROGRAMS, RULES
    from segrt.runtime.decode.decoding_place import why_not_on_gpu
    from segrt.runtime.errors import BackendError
    from segrt.runtime.inference.cuda.choice import open_cuda
    from segrt.runtime.inference.cuda.kernels import NO_KERNELS, built_files

    built = built_files()
    here: dict[str, str | None] = {
        rule: "has no decoder on the GPU" if rule not in PROGRAMS else None if built else NO_KERNELS for rule in RULES
    }
    wanted = [rule for rule, why in here.items() if why is None]
    if wanted:
        try:
            cuda = open_cuda()
            with cuda.current():
                here |= {rule: why_not_on_gpu(cuda, rule) for rule in wanted}
        except BackendError as error:
            here |= dict.fromkeys(wanted, str(error))
    return {"built": list(built), "rules": here}


def onnxruntime() -> dict[str, Any]:
    """Which providers ONNX Runtime offers, and which of them a session really gets: it falls back silently."""
    import numpy as np

    ort = import_module("onnxruntime")
    ort.set_default_logger_severity(4)
    model = base64.b64decode(_RELU)
    usable = []
    for name in ort.get_available_providers():
        if name == "AzureExecutionProvider":  # a remote service
            continue
        options = ort.SessionOptions()
        options.log_severity_level = 4
        try:
            session = ort.InferenceSession(model, options, providers=[name])
            session.run(None, {"x": np.ones((4, 1), np.float32)})
        except Exception:  # ONNX Runtime's errors share no base class of their own
            continue
        if name in session.get_providers():
            usable.append(name)
    return {"version": ort.__version__, "offered": ort.get_available_providers(), "usable": usable}


def opencv() -> dict[str, Any]:
    """How OpenCV was built."""
    cv2 = import_module("cv2")
    answers = {}
    for line in str(cv2.getBuildInformation()).splitlines():
        key, colon, value = line.strip().partition(":")
        if colon and key in ("GStreamer", "FFMPEG", "NVIDIA CUDA"):
            answers[key.lower().replace("nvidia ", "")] = value.strip().upper().startswith("YES")
    return {"version": cv2.__version__, "file": str(cv2.__file__), **answers}


def gstreamer() -> dict[str, Any]:
    """Whether GStreamer can be used from Python, and which of Jetson's elements it has."""
    gi = import_module("gi")
    gi.require_version("Gst", "1.0")
    gst = import_module("gi.repository.Gst")
    gst.init(None)
    elements = ("appsink", "v4l2src", "nvarguscamerasrc", "nvvidconv", "nvv4l2decoder", "nvv4l2h264enc", "x264enc")
    found = [name for name in elements if gst.ElementFactory.find(name)]
    try:
        gi.require_version("GstRtspServer", "1.0")
        serves = all(gst.ElementFactory.find(name) for name in ("appsrc", "h264parse", "rtph264pay"))
    except ValueError:
        serves = False
    return {"version": gst.version_string(), "elements": found, "rtsp_server": serves}


def video() -> dict[str, Any]:
    """What PyAV reads and writes, and what encodes live H.264 here, the best first."""
    from segrt.runtime.outputs.encoders.h264_encoders import h264_here
    from segrt.runtime.stream.sources.gpu_decoder import why_no_gpu_decoder

    av = import_module("av")
    return {
        "version": av.__version__,
        "why_not_on_gpu": why_no_gpu_decoder(),
        "encoders": [name for name in ("libx264", "libopenh264") if _encodes(av, name)],
        "live_encoders": h264_here(),
    }


def core() -> dict[str, Any]:
    """Whether the C++ post-processing works here."""
    import numpy as np

    from segrt.runtime import postproc

    class_map = postproc.argmax_map(np.zeros((2, 2, 2), np.float32), (4, 4))
    return {"works": bool((class_map == 0).all())}


def disk() -> dict[str, Any]:
    """The room in segrt's cache folder."""
    from segrt.runtime.files.cache import cache_folder

    folder = cache_folder()
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return {"folder": str(folder), "free_mb": shutil.disk_usage(there).free >> 20}


def _encodes(av: Any, name: str) -> bool:
    try:
        av.Codec(name, "w")
    except Exception:  # PyAV's error for it has changed its place over versions
        return False
    return True


def _imported(name: str) -> dict[str, Any]:
    module = import_module(name)
    return {"version": str(module.__version__), "file": str(module.__file__)}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


_PROBES = (
    python, packages, versions, kinds, tensorrt, tensorrt_rtx, cuda, kernels, onnxruntime, opencv, gstreamer, video,
    core, disk,
)  # fmt: skip
PROBES: dict[str, Callable[..., dict[str, Any]]] = {probe.__name__: probe for probe in _PROBES}

if __name__ == "__main__":
    try:
        answer = PROBES[sys.argv[1]](*sys.argv[2:])
    except Exception as error:  # whatever a broken installation raises is the answer
        answer = {"error": one_line(error)}
    print(json.dumps(answer))
