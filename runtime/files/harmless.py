"""Names of options whose values may be shown, in addresses, pipelines and command lines; others are masked."""

import re

MASK = "***"
REFERENCE = r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"
"""A variable that is filled in later, `${NAME}`: it names a secret and holds none."""

# segrt's own options of sources and sinks, and what cameras and servers of many makers call what a picture is.
_OF_ADDRESSES = """
    size fps seed weather wide timecode format rate frames ca
    width height resolution framerate quality bitrate compression codec vcodec videocodec rotation mirror
    camera cam channel channels ch stream streamtype substream subtype profile track trackid video audio
    transport protocol proto unicast multicast tcp udp latency buffer timeout version patience in_flight encoding
    shared_memory listen mode
"""
_OF_PIPELINES = """
    name device sensor-id sensor-mode camera-name is-live num-buffers pattern do-timestamp latency protocols
    drop-on-latency
    sync async drop max-buffers leaky max-size-buffers max-size-bytes max-size-time emit-signals silent qos
    width height framerate format pixel-aspect-ratio interlace-mode colorimetry chroma-site multiview-mode views
    media encoding-name clock-rate payload stream-format alignment profile level layout channels
    flip-method method rotation bitrate speed-preset tune io-mode extra-controls caps
"""
HARMLESS = frozenset(_OF_ADDRESSES.split())
HARMLESS_PROPERTIES = frozenset(_OF_PIPELINES.split())
_OF_STREAM = """
    sink policy max-frames metrics every target-fps max-age read-timeout rtsp-transport decode-video segment keep batch
    rle stall-timeout score-threshold overlap-threshold merge-rule compat no-compat backend precision threads decode
    no-build engine-dir trust-engine classes style background blur show track track-lost track-camera track-colors zones
    zones-edit events record-on record-to
    pre-roll post-roll tile help
"""
HARMLESS_OPTIONS = frozenset(f"--{name}" for name in _OF_STREAM.split())
"""The options of `segrt stream` but --token."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,31}")
_PLAIN = re.compile(rf"(?:[A-Za-z0-9_.,:+*/() -]|{REFERENCE}){{0,64}}")


def is_plain(value: str) -> bool:
    """Say whether `value` looks like what options hold: numbers, words, sizes, paths; no address, nothing encoded."""
    return "://" not in value and _PLAIN.fullmatch(value) is not None


def is_name(text: str) -> bool:
    """Say whether `text` may be the name of an option."""
    return _NAME.fullmatch(text) is not None


def is_reference(text: str) -> bool:
    """Say whether `text` is a variable that is filled in later."""
    return re.fullmatch(REFERENCE, text) is not None
