"""Who made a pack: Ed25519 (RFC 8032) over `pack.json`, with keys that openssl or ssh-keygen make.

    openssl genpkey -algorithm ed25519 -out key.pem && openssl pkey -in key.pem -pubout -out key.pub
    ssh-keygen -t ed25519 -f key          # key and key.pub

`pack.sig` is the bare signature, so openssl can check it too:
`openssl pkeyutl -verify -rawin -pubin -inkey key.pub -in pack.json -sigfile pack.sig`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from segrt.runtime.errors import CheckFailed, SegrtError
from segrt.runtime.files.reading import open_regular

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE_SIZE = 64
_MAX_KEY = 1 << 16
_MAKE = "make one with `openssl genpkey -algorithm ed25519` or `ssh-keygen -t ed25519`"


def read_private_key(path: Path, password: str | None = None) -> "Ed25519PrivateKey":
    """Return the private key in the PEM or OpenSSH file at `path`; raise SegrtError when it is none."""
    _need_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

    data = _read(path)
    load = load_ssh_private_key if b"BEGIN OPENSSH" in data else load_pem_private_key
    try:
        key = load(data, password.encode() if password else None)
    except TypeError:
        what = "has no password, but one was given" if password else "needs its password"
        raise SegrtError(f"{path}: {what}; set or unset SEGRT_KEY_PASSWORD") from None
    except UnsupportedAlgorithm as error:
        raise SegrtError(f"{path}: cannot be used ({error}); {_MAKE}") from None
    except ValueError:
        wrong = "its password is not the one in SEGRT_KEY_PASSWORD, or it " if password else ""
        raise SegrtError(f"{path}: {wrong}is no private key in PEM or OpenSSH format; {_MAKE}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SegrtError(f"{path}: is no Ed25519 key; {_MAKE}")
    return key


def read_public_key(path: Path) -> "Ed25519PublicKey":
    """Return the public key in the PEM or OpenSSH file at `path`; raise SegrtError when it is none."""
    _need_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key, load_ssh_public_key

    data = _read(path)
    if b"PRIVATE KEY" in data:
        raise SegrtError(f"{path}: is a private key; give the public one (`openssl pkey -pubout`, or the .pub file)")
    try:
        key = load_ssh_public_key(data.strip()) if data.startswith(b"ssh-") else load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise SegrtError(f"{path}: is no public key in PEM or OpenSSH format; {_MAKE}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise SegrtError(f"{path}: is no Ed25519 key; {_MAKE}")
    return key


def raw_public_key(path: Path) -> str:
    """Return the public key in the file at `path` as 64 hexadecimal digits; raise SegrtError when it is none."""
    return read_public_key(path).public_bytes_raw().hex()


def raw_key_of(key: "Ed25519PrivateKey") -> str:
    """Return the public part of a private key as 64 hexadecimal digits."""
    return key.public_key().public_bytes_raw().hex()


def sign(index: bytes, key: "Ed25519PrivateKey") -> bytes:
    """Return the signature of a pack's index, or of another statement, 64 bytes; equal input gives equal bytes."""
    return key.sign(index)


def check_signature(where: str, index: bytes, signature: bytes | None, key_file: Path) -> None:
    """Raise CheckFailed unless `signature` is that of the key in `key_file` for a pack's index; `where` names it."""
    key = read_public_key(key_file)
    from cryptography.exceptions import InvalidSignature

    if signature is None:
        raise CheckFailed(f"{where}: is not signed, but {key_file} asks for it; use a pack made with --sign")
    try:
        key.verify(signature, index)
    except InvalidSignature:
        raise CheckFailed(
            f"{where}: is signed, but not with the key of {key_file}; use a pack of its owner, or the right key"
        ) from None


def _read(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            data = file.read(_MAX_KEY + 1)
    except OSError as error:
        raise SegrtError(f"{path}: cannot be read ({error.strerror}); give the file of a key") from None
    if len(data) > _MAX_KEY:
        raise SegrtError(f"{path}: is too large for a key; {_MAKE}")
    return data


def _need_cryptography() -> None:
    try:
        import cryptography  # noqa: F401 (is it there?)
    except ImportError:
        raise SegrtError("signatures need the package cryptography; pip install 'segrt[deploy]'") from None
