"""Users and passwords with "/", "#", "?", "@" and "%" are taken where an address can be read in one way only."""

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segrt.runtime.errors import VideoError
from segrt.runtime.files.user_part import encode_user


@pytest.mark.parametrize(
    ("address", "user", "password", "host", "rest"),
    [
        ("rtsp://me:pa/ss@cam/live", "me", "pa/ss", "cam", "/live"),
        ("rtsp://me:pa#ss@cam:554/live", "me", "pa#ss", "cam", "/live"),
        ("rtsp://me:pa?ss@10.0.0.5/live?x=1", "me", "pa?ss", "10.0.0.5", "/live"),
        ("rtsp://me:p@ss@cam/live", "me", "p@ss", "cam", "/live"),
        ("rtsp://me:p/ss?w#r@d@[::1]:554/live", "me", "p/ss?w#r@d", "::1", "/live"),
        ("rtsp://me:100%@cam/live", "me", "100%", "cam", "/live"),
        ("rtsp://me:100%zz@cam/live", "me", "100%zz", "cam", "/live"),
        ("rtsp://me:a%2Fb@cam/live", "me", "a/b", "cam", "/live"),
        ("rtsp://me:a b@cam/live", "me", "a b", "cam", "/live"),
        ("rtsp://me@cam/live", "me", None, "cam", "/live"),
        ("https://me:pa/ss@cam.example:8443/video.mjpg", "me", "pa/ss", "cam.example", "/video.mjpg"),
    ],
)
def test_what_can_be_read_in_one_way_is_read_so(
    address: str, user: str, password: str | None, host: str, rest: str
) -> None:
    parts = urlsplit(encode_user(address))
    assert (parts.hostname, parts.path) == (host, rest)
    assert unquote(parts.username or "") == user
    assert (None if parts.password is None else unquote(parts.password)) == password
    assert encode_user(encode_user(address)) == encode_user(address)


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://cam/live",
        "rtsp://cam:554/live@main",
        "rtsp://cam/live?user=me&mail=a@b",
        "rtsp://me:secret@cam/live?mail=a@b",
        "rtsp://me:${PASSWORD}@cam/live",
        "cam.mp4",
        "no/scheme@all",
        "gst:rtspsrc location=rtsp://me:pa/ss@cam ! decodebin",
    ],
)
def test_other_addresses_are_left_as_they_are(address: str) -> None:
    assert unquote(encode_user(address)) == unquote(address)
    assert urlsplit(encode_user(address)).hostname == urlsplit(address).hostname


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://me:12/34@192.168.1.5/live",  # a host "me" with port 12, or a password "12/34"
        "rtsp://me/hidden:thing@cam.example/live",
        "rtsp://me:hidden@cam/live?mail=a@b.example",  # a password "hidden@cam/live?mail=a"?
        "rtsp://me:pa/ss%41@cam/live",  # "%41", or an "A"
        "rtsp://me:pa/ss@one/live@two",
        "rtsp://me:p@7/ss@192.168.1.5/live",
    ],
)
def test_what_may_mean_two_things_is_refused_in_one_line(address: str) -> None:
    with pytest.raises(
        VideoError, match=r"may be read in two ways; write / # \? @ % of a user or password as"
    ) as refused:
        encode_user(address)
    text = str(refused.value)
    assert "\n" not in text
    assert not any(secret in text for secret in ("12/34", "hidden", "thing", "pa/ss"))


@given(st.text(alphabet="aZ7/#?@:%!$ &", min_size=1, max_size=12))
def test_a_password_is_never_taken_for_another(password: str) -> None:
    try:
        parts = urlsplit(encode_user(f"rtsp://me:{password}@192.168.1.5:554/live"))
    except VideoError:
        return
    assert parts.hostname == "192.168.1.5"
    assert parts.path == "/live"
    assert unquote(parts.password or "") in (password, unquote(password))
