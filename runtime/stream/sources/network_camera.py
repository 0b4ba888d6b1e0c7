"""RTSP cameras and HTTP streams."""

from typing import ClassVar
from urllib.parse import urlsplit

from segrt.runtime.errors import VideoError
from segrt.runtime.files.uri import redact, scheme_of
from segrt.runtime.files.user_part import encode_user
from segrt.runtime.stream.sources.live import Feed, LiveOptions, LiveSource


class NetworkSource(LiveSource):
    """The first video stream at `uri`: rtsp, rtsps, http or https. The connection is made by `frames`.

    A password may hold "/", "#", "?", "@" and "%" as they are, where the address can be read in one way only.
    """

    forms: ClassVar = {"rtsp": "rtsp://...", "http": "http://...", "https": ""}

    @classmethod
    def why_not_on_gpu(cls) -> str | None:
        """See `Source`."""
        from segrt.runtime.stream.sources.gpu_decoder import why_no_gpu_decoder

        return why_no_gpu_decoder()

    def __init__(self, uri: str, source_id: str, options: LiveOptions | None = None) -> None:
        options = options or LiveOptions()
        address = encode_user(uri)
        try:
            parts = urlsplit(address)
            host = parts.hostname if parts.port != 0 else None
        except ValueError:  # a port that is no number among others
            host = None
        if not host:
            raise VideoError(f"{redact(uri)}: names no host; give {scheme_of(uri)}://HOST[:PORT]/PATH")

        def connect() -> Feed:
            from segrt.runtime.stream.sources.packets import PacketFeed

            return PacketFeed(
                address,
                timeout=options.read_timeout,
                options=_options(address, options),
                tap=self.tap,
                decoder=self.wanted_decoder,
                name=source_id,
            )

        super().__init__(source_id, connect, options=options, address=uri)


def _options(uri: str, options: LiveOptions) -> dict[str, str]:
    """Return FFmpeg's options: buffer nothing, and look no longer than a second at a stream before showing it."""
    common = {"fflags": "nobuffer", "analyzeduration": "1000000", "probesize": "1000000"}
    if (scheme_of(uri) or "").startswith("rtsp"):
        return {**common, "rtsp_transport": options.rtsp_transport, "max_delay": "200000"}
    return common
