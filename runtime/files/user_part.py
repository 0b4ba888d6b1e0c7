"""User and password of a camera's address, as people write them: with "/", "#", "?", "@" and "%" in a password.

RFC 3986 wants these percent-encoded. Where an address can be read in one way only, it is read so and encoded; where it
may mean two things, whoever wrote it says which.
"""

import re
from urllib.parse import quote, urlsplit

from segrt.runtime.errors import VideoError
from segrt.runtime.files.uri import redact

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%\w]+\]|[\w.-]+)(:\d{1,5})?(?=[/?#]|\Z)")
# What an address of a camera looks like, and the end of a path mostly does not: dots, a port, an address of numbers.
_SURE_HOST = re.compile(r"\[|[\w-]+(\.[\w-]+)+|localhost|[\w.-]+:\d")
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNSAFE = "/?#@"
_KEPT = "!$&'()*+,;=:~-._%"  # in a user part, beside letters and digits


def encode_user(uri: str) -> str:
    """Return `uri` with "/", "#", "?", "@" and "%" of its user part percent-encoded; one without a user as it is.

    Raises VideoError, in one line that shows no password, for an address that may mean two things.
    """
    scheme = _SCHEME.match(uri)
    if scheme is None or "@" not in uri:
        return uri
    rest = uri[scheme.end() :]
    ends = [at.start() for at in re.finditer("@", rest) if _HOST.match(rest, at.end())]
    plain = re.split(r"[/?#]", rest, maxsplit=1)[0]
    standard = plain.rfind("@")
    others = [end for end in ends if end > standard and _SURE_HOST.match(rest, end + 1)]
    stands = standard in ends or (standard < 0 and _is_address(scheme.group() + plain))
    if stands and others:
        raise _ambiguous(uri)
    if stands:  # an "@" behind, in path or query, is followed by nothing that looks like a host
        user = rest[: max(standard, 0)]
        return scheme.group() + _encoded(uri, user) + rest[len(user) :]
    if len(ends) != 1:
        raise _ambiguous(uri)
    return scheme.group() + _encoded(uri, rest[: ends[0]]) + rest[ends[0] :]


def _encoded(uri: str, user: str) -> str:
    """Return a user part encoded: as it is where it was already, but for a "%" that begins nothing."""
    if not any(sign in user for sign in _UNSAFE):
        return quote(_PERCENT.sub("%25", user), safe=_KEPT)
    if re.search(r"%[0-9A-Fa-f]{2}", user):  # half encoded: is "%41" three signs, or an "A"?
        raise _ambiguous(uri)
    return quote(user.replace("%", "%25"), safe=_KEPT)


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0 and _HOST.fullmatch(parts.netloc) is not None
    except ValueError:
        return False


def _ambiguous(uri: str) -> VideoError:
    return VideoError(
        f"{redact(uri)}: may be read in two ways; write / # ? @ % of a user or password as %2F %23 %3F %40 %25, "
        "and @ in a path as %40"
    )
