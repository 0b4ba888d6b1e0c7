"""No secret is ever shown, wherever it stands in an address, a pipeline, a command line or another library's error."""

import re
import string
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from segrt.runtime.cli.stream import stream
from segrt.runtime.files.harmless import HARMLESS, HARMLESS_OPTIONS, HARMLESS_PROPERTIES
from segrt.runtime.files.uri import redact, redact_arguments, redact_error

# Letters that occur in nothing else of what is put together below, so that finding one means that it was shown.
LETTERS = "QXZJYK"
SPECIAL = "!$%&'()*+,;=:@/?#[]~^\\\"| \n.-_é"
any_secrets = st.builds(
    "".join,
    st.lists(st.one_of(st.text(LETTERS, min_size=1, max_size=6), st.sampled_from(SPECIAL)), min_size=2),
).filter(lambda text: sum(letter in LETTERS for letter in text) >= 4)
schemes = st.sampled_from(["rtsp", "rtsps", "http", "https", "mqtt", "mqtts", "RTSP", "nosuch"])
hosts = st.sampled_from(["cam", "192.0.2.10", "cam.example:554", "[2001:db8::1]:554", ""])
paths = st.sampled_from(["", "/", "/stream1", "/a/b.sdp", "/yard/gate"])
words = st.text(string.ascii_letters + string.digits + "_-.", min_size=1, max_size=20)
secret_names = st.one_of(
    st.sampled_from(
        [
            "user",
            "p",
            "loginpas",
            "admin_password",
            "jwt",
            "session",
            "passphrase",
            "pwd",
            "usr",
            "sig",
            "X-Amz-Signature",
        ]
    ),
    words,
).filter(lambda name: name.lower() not in HARMLESS | HARMLESS_PROPERTIES and not set(name) & set(LETTERS))
harmless_options = st.sampled_from(
    [
        "width=640",
        "height=480",
        "fps=25",
        "seed=1",
        "frames=10",
        "size=1280x720",
        "channel=1",
        "subtype=0",
        "format=mjpeg",
    ]
)


def shown_letters(text):
    return [letter for letter in text if letter in LETTERS]


@st.composite
def addresses(draw):
    """Return (address with a secret in it, the secret, what must stay readable)."""
    secret, name = draw(any_secrets), draw(secret_names)
    option = draw(harmless_options)
    quoted = quote(secret, safe="")
    host, path = draw(hosts), draw(paths)
    place = draw(
        st.sampled_from(
            [
                "password",
                "user",
                "raw password",
                "query",
                "raw query",
                "fragment",
                "path parameter",
                "path",
                "port",
                "bare",
            ]
        )
    )
    address = {
        "password": f"://admin:{quoted}@{host}{path}?{option}",
        "user": f"://{quoted}@{host}{path}?{option}",
        "raw password": f"://admin:{secret}@{host}{path}?{option}",
        "query": f"://{host}{path}?{option}&{name}={quoted}",
        "raw query": f"://{host}{path}?{option}&{name}={secret}",
        "fragment": f"://{host}{path}?{option}#{quoted}",
        "path parameter": f"://{host}/a;{name}={quoted}/b?{option}",
        "path": f"://{host}/{name}={quoted}_{option}/b?{option}",
        "port": f"://admin:{quoted}/x?{option}",
        "bare": f"://{host}{path}?{option}&{quoted}",
    }[place]
    return draw(schemes) + address, place, secret, option


@settings(max_examples=250, deadline=None)
@given(addresses())
def test_no_secret_of_an_address_is_shown(drawn):
    address, place, secret, option = drawn
    shown = redact(address)
    assert secret not in shown
    if place != "raw query":  # there a secret may look like the end of one option and the begin of another
        assert shown_letters(shown) == []
    if not (place.startswith("raw") and set(secret) & set("@?#")):
        assert option in shown
    assert redact(shown) == shown


@settings(max_examples=120, deadline=None)
@given(addresses(), st.sampled_from(["{} failed", "Could not open resource {}: refused", "'{}': no route", "<{}>"]))
def test_no_secret_comes_back_in_an_error(drawn, template):
    address, place, secret, _ = drawn
    for said in (address, secret, quote(secret, safe="")):
        text = redact_error(template.format(said), address)
        assert " ".join(secret.split()) not in text
        if place != "raw query" and not re.search(r"\s", secret):
            assert max(map(len, re.findall(f"[{LETTERS}]+", text)), default=0) < 4


@settings(max_examples=120, deadline=None)
@given(any_secrets, secret_names, st.booleans())
@example('a" QXZJ', "user-pw", True)
def test_no_secret_of_a_pipeline_is_shown(secret, name, spaced):
    quoted = '"' + secret.replace("\\", "\\\\").replace('"', '\\"') + '"'
    equals = " = " if spaced else "="
    pipeline = (
        f"gst:rtspsrc location=rtsp://admin:{quote(secret, safe='')}@cam/x {name}{equals}{quoted} latency=100 ! "
        "rtph264depay ! avdec_h264 ! video/x-raw(memory:NVMM),width=640,framerate=30/1 ! appsink name=segrt"
    )
    shown = redact(pipeline)
    assert shown_letters(shown) == []
    for part in (
        "rtspsrc",
        "@cam/x",
        "latency=100",
        "! avdec_h264 !",
        "width=640,framerate=30/1",
        "appsink name=segrt",
    ):
        assert part in shown
    assert redact(shown) == shown


@settings(max_examples=80, deadline=None)
@given(any_secrets.filter(lambda text: not text.startswith("--")))
def test_no_secret_of_a_command_line_is_shown(secret):
    quoted = quote(secret, safe="")
    words = [
        "street-panoptic", f"rtsp://admin:{quoted}@cam/x", "--sink", f"mqtt://me:{quoted}@h/t", "--token", secret,
        f"--token={secret}", f"--nosuch={secret}", f"PASSWORD={secret}", f"--sink=http://0.0.0.0:8080/?token={quoted}",
        "--every", "2", "--rle",
    ]  # fmt: skip
    shown = redact_arguments(words)
    assert shown_letters("".join(shown)) == []
    assert shown[:2] == ["street-panoptic", "rtsp://***@cam/x"]
    assert shown[-3:] == ["--every", "2", "--rle"]
    assert len(shown) == len(words)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://h/live?user=admin&p=x1", "rtsp://h/live?user=***&p=***"),
        ("rtsp://h/cam?loginuse=a&loginpas=b", "rtsp://h/cam?loginuse=***&loginpas=***"),
        ("rtsp://h/user=admin_password=tlJwpbo6_channel=1_stream=0.sdp?real_stream", "rtsp://h/user=***?***"),
        ("rtsp://h/user=admin&password=a&channel=1&stream=0.sdp?", "rtsp://h/user=***&password=***&channel=1&stream=0.sdp?"),
        ("http://h/a;jsessionid=1A/b?jwt=e.y.J&width=640", "http://h/a;jsessionid=***?jwt=***&width=640"),
        ("http://h/x?session=1&passphrase=2#3", "http://h/x?session=***&passphrase=***#***"),
        ("http://h/x?width=http://a:b@h/", "http://***"),
        ("rtsp://h/cam/realmonitor?channel=1&subtype=0", "rtsp://h/cam/realmonitor?channel=1&subtype=0"),
        ("street://?seed=1&fps=25&size=640x360&weather=rain", "street://?seed=1&fps=25&size=640x360&weather=rain"),
        ("v4l2:///dev/video0?format=mjpeg&rate=30", "v4l2:///dev/video0?format=mjpeg&rate=30"),
        ("mqtts://me:x@h:8883/a/b?ca=/etc/ssl/my-ca.pem", "mqtts://***@h:8883/a/b?ca=/etc/ssl/my-ca.pem"),
        ("rtsp://${USER}:${PASSWORD}@h/x?token=${TOKEN}", "rtsp://${USER}:${PASSWORD}@h/x?token=${TOKEN}"),
        ("rtsp://${USER}:x1@h/x", "rtsp://***@h/x"),
        ("rtsp:/admin:x1@h/x", "***@h/x"),
        ("admin:x1@h/x", "***@h/x"),
        ("h/x?password=a", "h/x?password=***"),
        ("folder/what?.png", "folder/what?.png"),
        ("runs/lr=0.1/clip.mp4", "runs/lr=0.1/clip.mp4"),
        ("gst:rtspsrc user-id=a user-pw=b c ! appsink", "gst:rtspsrc user-id=*** user-pw=*** *** ! appsink"),
        ("gst:souphttpsrc cookies=\"a b\" location=http://h/?k=1", "gst:souphttpsrc cookies=*** location=http://h/?k=***"),
        ('gst:udpsrc caps="application/x-rtp,views=1,key=1"', 'gst:udpsrc caps="application/x-rtp,views=1,key=***"'),
        ("rtsp://admin:x1?@h/x", "rtsp://***"),
        ("rtmp://a.rtmp.youtube.com/live2/abcd-secret-key", "rtmp://a.rtmp.youtube.com/live2/***"),
        ("RTMPS://me:x1@h:443/a/b/key/?token=x", "RTMPS://***@h:443/a/b/***/?token=***"),
        ("rtmp://h/app/${KEY}", "rtmp://h/app/${KEY}"),
        ("rtmp://h/app/ke=y1", "rtmp://h/app/***"),
        ("rtmp://h/app/k@ey1", "rtmp://***"),
        ("gst:x ! rtmpsink location=rtmp://h/app/key1", "gst:x ! rtmpsink location=rtmp://h/app/***"),
    ],
)  # fmt: skip
def test_what_stays_readable(address, shown):
    assert redact(address) == shown


def test_every_option_of_a_stream_but_the_token_may_be_shown():
    options = {
        name for option in stream.params for name in (*option.opts, *option.secondary_opts) if name.startswith("--")
    }
    assert options - HARMLESS_OPTIONS == {"--token"}
    assert HARMLESS_OPTIONS - options <= {"--help"}


def test_a_stream_key_in_a_path_is_not_said():
    address = "rtmp://a.rtmp.youtube.com/live2/abcd-secret-key"
    assert redact_error(f"{address} : abcd-secret-key is refused", address) == (
        "rtmp://a.rtmp.youtube.com/live2/*** : *** is refused"
    )
    assert "secret" not in redact_error(f"cannot open '{address}'")
    assert "secret" not in " ".join(redact_arguments(["--sink", address, f"--sink={address}"]))


def test_a_short_secret_is_masked_as_a_word_only():
    assert redact_error("a user 'a' cannot read data", "rtsp://a:b@h/x") == "*** user '***' cannot read data"
