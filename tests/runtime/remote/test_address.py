"""Addresses of served models are read strictly; what is wrong in one is said in one line."""

import pytest

from segrt.runtime.errors import BackendError, BundleError
from segrt.runtime.remote.address import read_address
from segrt.runtime.segmenter import find_bundle


def test_an_address_says_where_and_how() -> None:
    plain = read_address("triton://cameras.example/street")
    assert (plain.authority, plain.model, plain.version) == ("cameras.example:8001", "street", None)
    query = "version=3&timeout=2.5&patience=0&in_flight=8&encoding=png&shared_memory=0"
    full = read_address(f"triton://[::1]:9001/my%20model?{query}")
    assert (full.authority, full.model, full.version) == ("[::1]:9001", "my model", 3)
    assert (full.timeout, full.patience, full.in_flight) == (2.5, 0.0, 8)
    assert (full.encoding, full.shared_memory) == ("png", False)
    assert full.shown.endswith(query), "nothing of it is a secret"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("triton://", "has no host"),
        ("triton:///street", "has no host"),
        ("triton://host:8001", "names no model"),
        ("triton://host:8001/a/b", "the model's name alone"),
        ("triton://host:port/a", "has no port"),
        ("triton://host:0/a", "has no host"),
        ("triton://host:99999/a", "has no port"),
        ("triton://user:secret@host/a", "has a user"),
        ("triton://host/a?timeout=0", "timeout must be a number from 0.1 to 3600"),
        ("triton://host/a?version=0", "version must be a whole number from 1"),
        ("triton://host/a?encoding=webp", "encoding must be raw, png, jpeg"),
        ("triton://host/a?shared_memory=perhaps", "must be 1 or 0"),
        ("triton://host/a?tls=1", "there is no option 'tls'"),
    ],
)
def test_a_wrong_address_is_refused_in_one_line(text: str, part: str) -> None:
    with pytest.raises(BackendError) as refusal:
        read_address(text)
    assert part in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_other_schemes_are_no_bundles() -> None:
    with pytest.raises(BundleError, match=r"'http' are not known; give a folder or triton://"):
        find_bundle("http://host/model")


def test_without_the_client_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "tritonclient.grpc", None)
    monkeypatch.setitem(sys.modules, "tritonclient", None)
    with pytest.raises(BackendError, match=r"needs tritonclient.*pip install 'segrt\[triton\]'"):
        find_bundle("triton://127.0.0.1:1/street")
