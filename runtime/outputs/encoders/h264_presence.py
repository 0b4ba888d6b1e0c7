"""Which encoders of H.264 this device has, as far as can be seen without opening one: what the doctor says, too."""

import ctypes
import fcntl
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import av.codec

from segrt.runtime.errors import VideoError
from segrt.runtime.outputs.gstreamer_bindings import start

# <linux/videodev2.h>
_QUERYCAP, _ENUM_FMT = 0x80685600, 0xC0405602
_M2M_MPLANE, _M2M, _DEVICE_CAPS = 0x4000, 0x8000, 0x80000000
_CAPTURE, _CAPTURE_MPLANE = 1, 9
_H264 = b"H264"
_MOST_FORMATS = 64
_JETSON_NODES = ("/dev/v4l2-nvenc", "/dev/nvhost-msenc", "/dev/nvhost-nvenc0", "/dev/nvhost-ctrl-nvenc")


def encodes(name: str) -> bool:
    """Say whether PyAV's FFmpeg was built with the encoder `name`."""
    try:
        av.codec.Codec(name, "w")
    except (av.codec.codec.UnknownCodecError, ValueError):
        return False
    return True


def has_x264() -> bool:
    """Say whether PyAV brings libx264."""
    return encodes("libx264")


def has_nvenc() -> bool:
    """Say whether FFmpeg knows NVENC, and a driver is there with its library; the GPU may lack the encoder."""
    if not encodes("h264_nvenc") or not _devices("nvidia[0-9]*"):
        return False
    try:
        ctypes.CDLL("libnvidia-encode.so.1")
    except OSError:
        return False
    return True


def has_v4l2() -> bool:
    """Say whether a memory-to-memory device gives H.264."""
    return encodes("h264_v4l2m2m") and any(gives_h264(path) for path in _devices("video[0-9]*"))


def _devices(pattern: str) -> list[str]:
    return sorted(map(str, Path("/dev").glob(pattern)))


def has_jetson() -> bool:
    """Say whether this is a Jetson with an encoder, and GStreamer has the element for it."""
    if not any(os.path.exists(path) for path in _JETSON_NODES):  # noqa: PTH110 (a device, no file)
        return False
    try:
        return start("H.264").ElementFactory.find("nvv4l2h264enc") is not None
    except VideoError:
        return False


def gives_h264(path: str, ioctl: Callable[..., Any] = fcntl.ioctl) -> bool:
    """Ask a V4L2 device whether it turns pictures into H.264."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        capability = bytearray(104)
        ioctl(handle, _QUERYCAP, capability)
        every, device = struct.unpack_from("<II", capability, 84)
        capabilities = device if every & _DEVICE_CAPS else every
        if not capabilities & (_M2M | _M2M_MPLANE):
            return False
        kind = _CAPTURE_MPLANE if capabilities & _M2M_MPLANE else _CAPTURE
        for index in range(_MOST_FORMATS):
            described = bytearray(64)
            struct.pack_into("<II", described, 0, index, kind)
            ioctl(handle, _ENUM_FMT, described)  # OSError behind the last one
            if bytes(described[44:48]) == _H264:
                return True
    except OSError:
        pass
    finally:
        os.close(handle)
    return False
