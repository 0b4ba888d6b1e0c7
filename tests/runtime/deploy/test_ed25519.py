"""The device verifies Ed25519 signatures as RFC 8032 and OpenSSL do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segrt.runtime.deploy.device.ed25519 import is_key, verify

cryptography = pytest.importorskip("cryptography")

ORDER = 2**252 + 27742317777372353535851937790883648493
# RFC 8032, section 7.1: public key, message, signature.
VECTORS = {
    "empty": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe"
            "24655141438e7a100b"
        ),
    ),
    "one byte": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302a"
            "eeb00d291612bb0c00"
        ),
    ),
    "two bytes": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed2"
            "8dc027beceea1ec40a"
        ),
    ),
    "a hash": (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        (
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce8"
            "0e2a9ac94fa54ca49f"
        ),
        (
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac1"
            "7ad9bef1177331a704"
        ),
    ),
}
SMALL_ORDER = (
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
)


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_of_the_rfc(name: str) -> None:
    key, message, signature = (bytes.fromhex(text) for text in VECTORS[name])
    assert verify(key, message, signature)
    assert is_key(key)
    assert not verify(key, message + b"\0", signature)
    for position in range(0, 64, 7):
        changed = bytearray(signature)
        changed[position] ^= 1 << position % 8
        assert not verify(key, message, bytes(changed))


def judged_by_cryptography(key: bytes, message: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def signed(seed: bytes, message: bytes) -> tuple[bytes, bytes]:
    """A public key, and the signature of its private part for `message`."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.from_private_bytes(seed)
    return private.public_key().public_bytes_raw(), private.sign(message)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=300))
def test_what_cryptography_signs_is_accepted(seed: bytes, message: bytes) -> None:
    key, signature = signed(seed, message)
    assert verify(key, message, signature)
    assert is_key(key)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    seed=st.binary(min_size=32, max_size=32),
    message=st.binary(max_size=40),
    bit=st.integers(0, 32 * 8 + 64 * 8 - 1),
    piece=st.sampled_from([0, 1, ORDER - 1, ORDER, 2**255 - 20, 2**255 - 1, 2**256 - 1]),
    how=st.sampled_from(["bit", "R", "S", "S + order", "message", "other key"]),
)
def test_what_was_changed_is_judged_as_by_cryptography(seed, message: bytes, bit: int, piece: int, how: str) -> None:
    key, signature = signed(seed, message)
    if how == "bit":
        both = bytearray(key + signature)
        both[bit // 8] ^= 1 << bit % 8
        key, signature = bytes(both[:32]), bytes(both[32:])
    elif how == "R":
        signature = piece.to_bytes(32, "little") + signature[32:]
    elif how == "S":
        signature = signature[:32] + piece.to_bytes(32, "little")
    elif how == "S + order":
        factor = int.from_bytes(signature[32:], "little") + ORDER
        signature = signature[:32] + factor.to_bytes(32, "little")
    elif how == "message":
        message += b"\0"
    else:
        key, _ = signed(bytes(32), b"")
    assert verify(key, message, signature) is judged_by_cryptography(key, message, signature)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(key=st.binary(max_size=40), message=st.binary(max_size=8), signature=st.binary(max_size=80))
def test_any_bytes_are_judged_without_an_error(key: bytes, message: bytes, signature: bytes) -> None:
    assert verify(key, message, signature) is False
    is_key(key)


def test_a_signature_has_one_form() -> None:
    key, message, signature = (bytes.fromhex(text) for text in VECTORS["one byte"])
    factor = int.from_bytes(signature[32:], "little") + ORDER
    assert not verify(key, message, signature[:32] + factor.to_bytes(32, "little"))
    assert not verify(key, message, signature + b"\0")
    assert not verify(key[:31], message, signature)


@pytest.mark.parametrize("text", SMALL_ORDER)
def test_a_key_that_anybody_can_sign_for_is_none(text: str) -> None:
    assert not is_key(bytes.fromhex(text))


def test_bytes_that_are_no_point_are_no_key() -> None:
    assert not is_key(b"\x02" + bytes(31))
    assert not is_key(b"\xff" * 32), "y is not below the prime"
    assert not verify(b"\xff" * 32, b"", bytes(64))
