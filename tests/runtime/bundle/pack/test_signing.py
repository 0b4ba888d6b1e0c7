"""A signature says whose pack it is: with keys of openssl and ssh-keygen, on the command line as a user meets it."""

import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.pack.reader import Pack
from segrt.runtime.bundle.pack.writer import write_pack
from segrt.runtime.cli import main
from segrt.runtime.errors import CheckFailed, SegrtError

Keys = Callable[[str], tuple[Path, Path]]


@pytest.fixture
def segrt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command line: (exit code, standard output, standard error)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["segrt", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


def test_a_signed_pack_is_taken_with_the_right_key_alone(
    small_pack: Path, make_keys: Keys, tmp_path: Path, segrt: Callable[..., tuple[int, str, str]]
) -> None:
    (private, public), (_, stranger) = make_keys("mine"), make_keys("other")
    signed = tmp_path / "signed.segrt"
    code, out, _ = segrt("pack", tmp_path / "bundle-argmax", "--out", signed, "--sign", private, "--verify-key", public)
    assert (code, "tiny-argmax fp32 with 1 golden frame, signed" in out) == (0, True)
    assert segrt("unpack", signed, "--out", tmp_path / "a", "--verify-key", public)[0] == 0
    code, _, err = segrt("unpack", signed, "--out", tmp_path / "b", "--verify-key", stranger)
    assert (code, err.count("\n")) == (1, 1)
    assert f"signed.segrt: is signed, but not with the key of {stranger}; use a pack of its owner" in err
    code, _, err = segrt("unpack", small_pack, "--out", tmp_path / "b", "--verify-key", public)
    assert (code, "small.segrt: is not signed, but" in err) == (1, True)
    assert not (tmp_path / "b").exists()
    assert segrt("unpack", signed, "--check")[0] == 0
    assert segrt("unpack", signed)[0] == 2
    code, _, _ = segrt("pack", tmp_path / "bundle-argmax", "--out", tmp_path / "c.segrt", "--sign", private,
                       "--verify-key", stranger)  # fmt: skip
    assert (code, (tmp_path / "c.segrt").exists()) == (1, False)


def test_signed_packs_are_equal_too(small_pack: Path, make_keys: Keys, tmp_path: Path) -> None:
    private, _ = make_keys("mine")
    bundle = read_bundle(tmp_path / "bundle-argmax")
    packs = [write_pack(bundle, tmp_path / name, key=private).path.read_bytes() for name in ("a.segrt", "b.segrt")]
    assert packs[0] == packs[1]
    assert packs[0] != small_pack.read_bytes()


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen: apt-get install openssh-client")
def test_keys_of_ssh_keygen_sign(tiny: SimpleNamespace, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "open")], check=True)
    with Pack(write_pack(read_bundle(tiny.bundle("argmax")), tmp_path / "s.segrt", key=tmp_path / "open").path) as pack:
        pack.check_signature(tmp_path / "open.pub")


def test_a_key_may_have_a_password(tiny: SimpleNamespace, make_keys: Keys, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    private, public = make_keys("mine")
    key = serialization.load_pem_private_key(private.read_bytes(), None)
    locked = tmp_path / "locked"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"sesame"),
        )
    )
    bundle = read_bundle(tiny.bundle("argmax"))
    with Pack(write_pack(bundle, tmp_path / "s.segrt", key=locked, password="sesame").path) as pack:
        pack.check_signature(public)
    with pytest.raises(SegrtError, match="locked: needs its password; set or unset SEGRT_KEY_PASSWORD"):
        write_pack(bundle, tmp_path / "x.segrt", key=tmp_path / "locked")
    with pytest.raises(SegrtError, match="locked: its password is not the one in SEGRT_KEY_PASSWORD"):
        write_pack(bundle, tmp_path / "x.segrt", key=tmp_path / "locked", password="wrong")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_openssl_agrees_with_the_signature(tiny: SimpleNamespace, make_keys: Keys, tmp_path: Path) -> None:
    private, public = make_keys("mine")
    signed = write_pack(read_bundle(tiny.bundle("argmax")), tmp_path / "s.segrt", key=private).path
    with zipfile.ZipFile(signed) as file:
        file.extractall(tmp_path / "x", ["pack.json", "pack.sig"])
    command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", public,
               "-in", tmp_path / "x/pack.json", "-sigfile", tmp_path / "x/pack.sig"]  # fmt: skip
    assert b"Verified Successfully" in subprocess.run(command, check=True, capture_output=True).stdout


def test_wrong_keys_are_named(small_pack: Path, make_keys: Keys, tmp_path: Path) -> None:
    private, public = make_keys("mine")
    signed = write_pack(read_bundle(tmp_path / "bundle-argmax"), tmp_path / "s.segrt", key=private).path
    (tmp_path / "junk").write_text("junk")
    bundle = read_bundle(tmp_path / "bundle-argmax")
    with Pack(signed) as pack:
        with pytest.raises(SegrtError, match=r"mine\.pem: is a private key; give the public one"):
            pack.check_signature(private)
        with pytest.raises(SegrtError, match="junk: is no public key in PEM or OpenSSH format; make one with"):
            pack.check_signature(tmp_path / "junk")
        with pytest.raises(SegrtError, match="absent: cannot be read"):
            pack.check_signature(tmp_path / "absent")
    with pytest.raises(SegrtError, match=r"mine\.pub: is no private key in PEM or OpenSSH format"):
        write_pack(bundle, tmp_path / "x.segrt", key=public)
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

    other = generate_private_key(SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "ec.pem").write_bytes(other)
    with pytest.raises(SegrtError, match=r"ec\.pem: is no Ed25519 key"):
        write_pack(bundle, tmp_path / "x.segrt", key=tmp_path / "ec.pem")
    with pytest.raises(CheckFailed, match="is not signed"), Pack(small_pack) as pack:
        pack.check_signature(public)


def test_an_openssh_key_may_have_a_password(tiny: SimpleNamespace, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    pytest.importorskip("bcrypt", reason="comes with the extra deploy, as cryptography[ssh]")
    if shutil.which("ssh-keygen") is None:
        pytest.skip("needs ssh-keygen")
    key = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "sesame", "-f", key], check=True)
    written = write_pack(read_bundle(tiny.bundle("argmax")), tmp_path / "s.segrt", key=key, password="sesame")
    with Pack(written.path) as pack:
        pack.check_signature(tmp_path / "id.pub")


def test_unpack_wants_a_folder_or_a_check_alone(
    small_pack: Path, tmp_path: Path, segrt: Callable[..., tuple[int, str, str]]
) -> None:
    code, _, err = segrt("unpack", small_pack, "--check", "--out", tmp_path / "x")
    assert (code, err) == (2, "segrt: error: --check writes nothing, but --out says where to; give one of them\n")
    code, _, err = segrt("unpack", small_pack)
    assert (code, "say where to unpack with --out DIR, or give --check" in err) == (2, True)
