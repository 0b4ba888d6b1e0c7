"""Judges a device: what each of segrt's features needs, whether it is there, and the commands that mend it."""

from dataclasses import dataclass
from typing import Any, Literal

from segrt.runtime.doctor import remedies
from segrt.runtime.doctor.facts import Facts
from segrt.runtime.doctor.remedies import Remedy
from segrt.runtime.stream.needs import Needs

State = Literal["works", "off", "missing"]


@dataclass(frozen=True)
class Feature:
    """A feature of segrt: `works`; is `off`, because something optional is not there; or is `missing`, and should not.

    `detail` says what is used, or what is wrong.
    """

    name: str
    state: State
    detail: str
    remedies: tuple[Remedy, ...] = ()


def judge(facts: Facts) -> list[Feature]:
    """Return every feature, the ones that all else needs first."""
    return [
        _core(facts),
        _onnxruntime(facts),
        _tensorrt(facts),
        _onnxruntime_cuda(facts),
        _building(facts),
        _video(facts),
        _cameras(facts),
        _opencv(facts),
        *(_optional(need, facts) for need in facts.stream_needs),
        _optional(Needs("export of models", ("torch", "torchvision", "transformers", "onnx"), "export"), facts),
    ]


def _core(facts: Facts) -> Feature:
    name = "post-processing in C++"
    if facts.core.get("works"):
        return Feature(name, "works", f"segrt {facts.packages.get('segrt')}")
    return Feature(name, "missing", str(facts.core.get("error", "gives wrong results")), remedies.rebuild(facts))


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
    mends: list[Remedy] = []
    versions = [f"{key} {probe['version']}" for key, probe in _flavors(facts) if "version" in probe]
    sm, sms = str(facts.cuda.get("sm", "")), facts.tensorrt_rtx.get("sms", ())
    if versions and "version" not in facts.tensorrt and sm and sms and sm not in sms:
        problems.append(f"{versions[0]} is for SM {', '.join(sms)}, this GPU has {sm}")
        mends += remedies.tensorrt(facts)[:1]
    if not versions:
        problems.append(str(facts.tensorrt.get("error", "no TensorRT")))
        mends += remedies.tensorrt(facts)
    if "name" not in facts.cuda:
        problems.append(str(facts.cuda.get("cuda_error") or facts.cuda.get("error") or "CUDA cannot be reached"))
        mends += remedies.cuda_python(facts)
    if problems:
        return Feature(name, "missing", "; ".join(problems), tuple(mends))
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
    return Feature(name, "works", f"PyAV {facts.video['version']}, {writes}")


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


def _optional(needs: Needs, facts: Facts) -> Feature:
    name = needs.feature
    missing = [package for package in needs.packages if not facts.packages.get(package)]
    if not missing:
        return Feature(name, "works", ", ".join(f"{package} {facts.packages[package]}" for package in needs.packages))
    brought = remedies.extra(facts, needs.extra, name) if needs.extra else remedies.pip(facts, " ".join(missing), name)
    return Feature(name, "off", f"not installed: {', '.join(missing)}", brought)


def _flavors(facts: Facts) -> list[tuple[str, dict[str, Any]]]:
    return [("tensorrt", dict(facts.tensorrt)), ("tensorrt-rtx", dict(facts.tensorrt_rtx))]


def _no_gpu(facts: Facts) -> tuple[str, tuple[Remedy, ...]]:
    if facts.in_container:
        return "no NVIDIA GPU is visible in this container", remedies.container(facts)
    return "no NVIDIA GPU with a driver", ()
