"""Small packs, and keys to sign them with."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.pack.writer import write_pack


@pytest.fixture
def small_pack(tiny: SimpleNamespace, tmp_path: Path) -> Path:
    """A pack of a bundle with one golden frame, some kilobytes."""
    return write_pack(read_bundle(tiny.bundle("argmax")), tmp_path / "small.segrt").path


@pytest.fixture
def make_keys(tmp_path: Path) -> Callable[[str], tuple[Path, Path]]:
    """Makes Ed25519 key pairs: name → (private PEM file, public PEM file)."""
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    def make(name: str) -> tuple[Path, Path]:
        key = Ed25519PrivateKey.generate()
        private, public = tmp_path / f"{name}.pem", tmp_path / f"{name}.pub"
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        public.write_bytes(
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        return private, public

    return make
