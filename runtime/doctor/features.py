"""What each of segrt's features needs, whether a device has it, and the commands that bring what is missing."""

from collections.abc import Callable
from typing import Any

from segrt.runtime.doctor import remedies
from segrt.runtime.doctor.decoding import decoding
from segrt.runtime.doctor.facts import Facts
from segrt.runtime.doctor.feature import Feature, State
from segrt.runtime.doctor.kind_features import kind_features, needing
from segrt.runtime.doctor.remedies import Remedy
from segrt.runtime.registry import Registry
from segrt.runtime.stream.needs import Needs

Check = Callable[[Facts], Feature]


def features_of(facts: Facts) -> list[Feature]:
    """Return every feature: those of `CHECKS` in their order, what backends, sources and sinks declare, and export."""
    return [*(CHECKS.load(name)(facts) for name in CHECKS), *kind_features(facts), _export(facts)]


def _core(facts: Facts) -> Feature:
    name = "post-processing in C++"
    if facts.core.get("works"):
        return Feature(name, "works", f"segrt {facts.packages.get('segrt')}")
    return Feature(name, "missing", str(facts.core.get("error", "gives wrong results")), remedies.reinstall(facts))


def _onnxruntime(facts: Facts) -> Feature:
    name = "networks on the CPU (ONNX Runtime)"
    both = facts.packages.get("onnxruntime") and facts.packages.get("onnxruntime-gpu")
    if both:
        return Feature(name, "missing", "onnxruntime and onnxruntime-gpu overwrite each other", remedies.one_ort(facts))
    if "CPUExecutionProvider" in facts.onnxruntime.get("usable", ()):
        return Feature(name, "works", f"onnxruntime {facts.onnxruntime['version']}")
    error = str(facts.onnxruntime.get("error", "runs no network"))
    return Feature(name, "missing", error, remedies.install_ort(facts))


def _tensorrt(facts: Facts) -> Feature:
    name = "networks on the GPU with TensorRT"
    if not facts.has_gpu:
        return Feature(name, "off", *_no_gpu(facts))
    problems: list[str] = []
    steps: list[Remedy] = []
    versions = [f"{key} {probe['version']}" for key, probe in _flavors(facts) if "version" in probe]
    sm, sms = str(facts.cuda.get("sm", "")), facts.tensorrt_rtx.get("sms", ())
    if versions and "version" not in facts.tensorrt and sm and sms and sm not in sms:
        problems.append(f"{versions[0]} is for SM {', '.join(sms)}, this GPU has {sm}")
        steps += remedies.tensorrt(facts)[:1]
    if not versions:
        problems.append(str(facts.tensorrt.get("error", "no TensorRT")))
        steps += remedies.tensorrt(facts)
    if "name" not in facts.cuda:
        problems.append(str(facts.cuda.get("cuda_error") or facts.cuda.get("error") or "CUDA cannot be reached"))
        steps += remedies.cuda_python(facts)
    if problems:
        return Feature(name, "missing", "; ".join(problems), tuple(steps))
    return Feature(name, "works", f"{', '.join(versions)} through {facts.cuda.get('through')} on {facts.cuda['name']}")


def _onnxruntime_cuda(facts: Facts) -> Feature:
    name = "networks on the GPU with ONNX Runtime"
    if not facts.has_gpu:
        return Feature(name, "off", *_no_gpu(facts))
    if "CUDAExecutionProvider" in facts.onnxruntime.get("usable", ()):
        return Feature(name, "works", f"onnxruntime {facts.onnxruntime['version']} with CUDA")
    if "CUDAExecutionProvider" in facts.onnxruntime.get("offered", ()):
        detail = "onnxruntime-gpu is there, but a session falls back to the CPU: CUDA or cuDNN libraries are missing"
        return Feature(name, "off", detail, remedies.ort_libraries(facts))
    return Feature(name, "off", "this onnxruntime has no CUDA (TensorRT does not need it)", remedies.ort_gpu(facts))


def _building(facts: Facts) -> Feature:
    name = "building of engines (segrt build)"
    versions = [f"{key} {probe['version']}" for key, probe in _flavors(facts) if "version" in probe]
    without_gpu = "version" in facts.tensorrt_rtx
    if versions and (facts.has_gpu or without_gpu):
        where = "" if facts.has_gpu else ", for other devices: it builds without a GPU"
        return Feature(name, "works", ", ".join(versions) + where)
    if facts.has_gpu:
        return Feature(name, "missing", str(facts.tensorrt.get("error", "no TensorRT")), remedies.tensorrt(facts))
    return Feature(name, "off", "no TensorRT; TensorRT-RTX builds without a GPU", remedies.rtx(facts))


def _video(facts: Facts) -> Feature:
    name = "video files, RTSP, USB cameras (PyAV)"
    if "version" not in facts.video:
        error = str(facts.video.get("error", "PyAV is missing"))
        return Feature(name, "missing", error, remedies.pip(facts, "av", "reads and writes video"))
    encoders = facts.video.get("encoders") or ()
    writes = f"writes H.264 with {encoders[0]}" if encoders else "cannot write H.264"
    live = facts.video.get("live_encoders") or ()
    sends = f", sends it with {live[0]}" if live and live[0] not in encoders[:1] else ""
    return Feature(name, "works", f"PyAV {facts.video['version']}, {writes}{sends}")


def _webrtc(facts: Facts) -> Feature:
    return needing(facts, Needs("video on the live page (WebRTC)", ("aiortc",), "webrtc"))


def _rtsp_serving(facts: Facts) -> Feature:
    name = "serving of RTSP (rtsp://HOST:PORT/NAME?listen=1)"
    if facts.gstreamer.get("rtsp_server"):
        return Feature(name, "works", "GStreamer's RTSP server")
    return Feature(name, "off", "GStreamer's RTSP server is not installed", remedies.rtsp_server(facts))


def _gpu_video(facts: Facts) -> Feature:
    name = "video decoded on the GPU (NVDEC)"
    if not facts.has_gpu:
        return Feature(name, "off", *_no_gpu(facts))
    reason = facts.video.get("why_not_on_gpu", "PyAV is missing")
    if reason is None:
        return Feature(name, "works", f"PyAV {facts.video['version']}")
    return Feature(name, "off", str(reason))


def _cameras(facts: Facts) -> Feature:
    name = "CSI cameras and gst: pipelines (GStreamer)"
    elements = facts.gstreamer.get("elements", ())
    if "version" not in facts.gstreamer:
        state: State = "missing" if facts.kind == "jetson" else "off"
        return Feature(name, state, str(facts.gstreamer.get("error", "no GStreamer")), remedies.gstreamer(facts))
    if facts.kind == "jetson" and "nvarguscamerasrc" not in elements:
        detail = "GStreamer lacks nvarguscamerasrc, the source of CSI cameras"
        return Feature(name, "missing", detail, remedies.jetson_gstreamer(facts))
    return Feature(name, "works", f"{facts.gstreamer['version']}: {', '.join(elements)}")


def _opencv(facts: Facts) -> Feature:
    name = "resizing and drawing (OpenCV)"
    if "version" not in facts.opencv:
        error = str(facts.opencv.get("error", "OpenCV is missing"))
        return Feature(name, "missing", error, remedies.opencv(facts))
    extras = [word for key, word in (("gstreamer", "GStreamer"), ("cuda", "CUDA")) if facts.opencv.get(key)]
    built = f", built with {' and '.join(extras)}" if extras else ""
    return Feature(name, "works", f"cv2 {facts.opencv['version']}{built}")


def _tracking(facts: Facts) -> Feature:
    return needing(facts, Needs("following of things (segrt stream --track)", ("scipy",), "track"))


def _export(facts: Facts) -> Feature:
    return needing(facts, Needs("export of models", ("torch", "torchvision", "transformers", "onnx"), "export"))


def _flavors(facts: Facts) -> list[tuple[str, dict[str, Any]]]:
    return [("tensorrt", dict(facts.tensorrt)), ("tensorrt-rtx", dict(facts.tensorrt_rtx))]


def _no_gpu(facts: Facts) -> tuple[str, tuple[Remedy, ...]]:
    if facts.in_container:
        return "no NVIDIA GPU is visible in this container", remedies.container(facts)
    return "no NVIDIA GPU with a driver", ()


CHECKS: Registry[Check] = Registry(
    "check",
    {
        "core": _core,
        "onnxruntime": _onnxruntime,
        "tensorrt": _tensorrt,
        "onnxruntime on the GPU": _onnxruntime_cuda,
        "decoding on the GPU": decoding,
        "building of engines": _building,
        "video": _video,
        "video on the GPU": _gpu_video,
        "cameras": _cameras,
        "opencv": _opencv,
        "tracking": _tracking,
        "serving of RTSP": _rtsp_serving,
        "video on the live page": _webrtc,
    },
)
"""Name → function that looks at the facts for one feature; what is added from outside is shown like segrt's own."""
