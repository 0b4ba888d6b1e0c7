"""Devices: homes behind a real OpenSSH server on loopback, each reached under a name of its own.

A device's segrt is either this machine's own, read-only, or a stand-in that unpacks for real and whose golden frames
and stream do what the bundle's name says ("cam-1" is fine, "crash-2" ends at once), so that ways of failing are quick
to take.
"""

import contextlib
import json
import os
import platform
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.pack.writer import write_pack
from segrt.runtime.cli import main

sys.path.insert(0, str(Path(__file__).resolve().parent))

STAND_IN = """#!{python} -IS
import json, os, socket, sys, time
words = sys.argv[1:]
if words[0] == "--version":
    print("segrt, version 9.9.9")
elif words[0] == "--help":
    print("Commands:\\n  unpack   x\\n  verify   x\\n  stream   x\\n" + {more!r})
elif words[0] == "doctor":
    print({doctor!r})
elif words == ["stream", "--help"]:
    print("${{NAME}}" if {fills_in!r} else "no variables")
elif words[0] == "unpack":
    os.execv({segrt!r}, [{segrt!r}, *words])
else:
    name = json.load(open(words[1] + "/manifest.json"))["name"]
    if words[0] == "verify" and "differs" in name:
        print("golden frame  found  allowed\\nthirds        0.5    0.99   DIFFERS")
        sys.exit("segrt: error: 1 of 2 golden checks differ on this device")
    if words[0] == "build":
        print("built at niceness", os.nice(0))
        open(os.environ["SEGRT_CACHE"] + "/engine.plan", "w").write(" ".join(words[2:]))
    if words[0] == "profile" and "slow" in name:
        print("p99 48.1 ms")
        sys.exit("segrt: error: p99 is 48.1 ms, more than " + words[-1])
    if words[0] == "verify" and "lingers" in name:
        time.sleep(1.5)
    if words[0] == "stream":
        if "crash" in name:
            sys.exit("segrt: error: camera: there is no such camera")
        address = os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1)
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.sendto(b"READY=1", address)
        print("segrt: words:", json.dumps(words[2:]), file=sys.stderr, flush=True)
        results = 0
        while True:
            results += "silent" not in name
            notify.sendto(b"WATCHDOG=1\\nSTATUS=%d results" % results, address)
            time.sleep(0.1)
"""


def _sshd() -> str:
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None or shutil.which("ssh") is None:
        pytest.skip("needs OpenSSH's server and client: apt-get install openssh-server openssh-client")
    return found


def _key(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)], check=True)
    return path.with_name(path.name + ".pub").read_text().strip()


class Camera:
    """A device: its home, and what is in it."""

    def __init__(self, name: str, home: Path) -> None:
        self.name, self.home = name, home
        self.root = home / "segrt"
        self.service = self.root / "segrt-stream"

    @property
    def current(self) -> str | None:
        """The bundle that `current` points to, from its own manifest."""
        try:
            return str(json.loads((self.service / "current/bundle/manifest.json").read_text())["name"])
        except OSError:
            return None

    def health(self) -> dict[str, Any]:
        """What the supervisor noted last."""
        try:
            return dict(json.loads((self.service / "health.json").read_text()))
        except (OSError, ValueError):
            return {}

    def history(self) -> list[dict[str, Any]]:
        """Every deployment and return that ended."""
        return [json.loads(line) for line in (self.service / "history.jsonl").read_text().splitlines()]

    def processes(self) -> list[int]:
        """The processes that live on this device, but for sshd's own."""
        mine, found = f"HOME={self.home}".encode(), []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if mine in (entry / "environ").read_bytes().split(b"\0"):
                        found.append(int(entry.name))
        return found

    def cut_power(self) -> None:
        """End everything at once, as a power cut does."""
        while found := self.processes():
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)

    def boot(self) -> None:
        """What cron does at boot."""
        program = self.root / "segrt-device"
        (self.service / "health.json").unlink(missing_ok=True)
        environment = {"HOME": str(self.home), "PATH": f"{self.home}/bin:/usr/bin:/bin"}
        command = ["setsid", "--fork", "python3", str(program), "supervise", "segrt-stream"]
        with (self.home / "boot.log").open("ab") as log:
            subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)

    def wait_until(self, true: Callable[[], Any], what: str, seconds: float = 20.0) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"{self.name}: not {what}; {self.health()}"
            time.sleep(0.02)


class Fleet:
    """An OpenSSH server, and devices behind it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "ssh_config"
        self.config.touch()
        self.cameras: dict[str, Camera] = {}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._sshd_path = _sshd()
        _key(folder / "host")
        (folder / "authorized").touch(mode=0o600)
        lines = (
            f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {folder}/host",
            f"AuthorizedKeysFile {folder}/authorized", "PidFile none", "StrictModes no", "UsePAM no",
            "PermitUserEnvironment yes", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
            "PermitRootLogin yes", "MaxStartups 100", "PrintMotd no", "PrintLastLog no",
        )  # fmt: skip
        (folder / "sshd_config").write_text("\n".join(lines) + "\n")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Let the server answer."""
        with (self.folder / "sshd.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._sshd_path, "-D", "-e", "-f", str(self.folder / "sshd_config")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.skip(f"sshd does not start here: {(self.folder / 'sshd.log').read_text()[-300:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Let the server answer no more."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def add(
        self, name: str, *, more: str = "", doctor: str = "", python: str | None = None, fills_in: bool = True
    ) -> Camera:
        """Put a new device behind the server, with a stand-in for segrt; `more` are further lines of its help.

        `doctor` is what the stand-in's doctor says, `python` a script in the place of python3, or "" for none; with
        `fills_in` segrt says that it fills in ${NAME}.
        """
        home = self.folder / name
        (home / "bin").mkdir(parents=True)
        (home / "env/bin").mkdir(parents=True)
        link = home / "bin/python3"
        if python is None:
            link.symlink_to(os.path.realpath(sys.executable))
        elif python:
            link.write_text(python)
            link.chmod(0o755)
        stand_in = home / "env/bin/segrt"
        stand_in.write_text(
            STAND_IN.format(
                python=os.path.realpath(sys.executable),
                segrt=f"{sys.prefix}/bin/segrt",
                more=more,
                doctor=doctor,
                fills_in=fills_in,
            )
        )
        stand_in.chmod(0o755)
        path = f"{home}/bin:/usr/bin:/bin" if python is None or python else f"{home}/bin"
        line = f'environment="HOME={home}",environment="PATH={path}" {_key(self.folder / f"{name}.key")}\n'
        with (self.folder / "authorized").open("a") as file:
            file.write(line)
        user = pwd.getpwuid(os.getuid()).pw_name
        with self.config.open("a") as file:
            file.write(
                f"Host {name}\n HostName 127.0.0.1\n Port {self.port}\n User {user}\n IdentitiesOnly yes\n"
                f" IdentityFile {self.folder}/{name}.key\n IdentityAgent none\n StrictHostKeyChecking accept-new\n"
                f" UserKnownHostsFile {self.folder}/known_hosts\n GlobalKnownHostsFile /dev/null\n LogLevel ERROR\n"
            )
        self.cameras[name] = Camera(name, home)
        return self.cameras[name]

    def close(self) -> None:
        """End the server and everything on the devices."""
        self.stop()
        for camera in self.cameras.values():
            camera.cut_power()


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Devices behind a real OpenSSH server."""
    folder = tmp_path / "fleet"
    folder.mkdir()
    made = Fleet(folder)
    yield made
    made.close()


@pytest.fixture
def make_pack(tiny: SimpleNamespace, tmp_path: Path) -> Callable[[str], Path]:
    """Makes packs of tiny bundles that differ in their name, which the stand-in follows."""
    template = tiny.bundle("argmax")

    def make(name: str, *, size: int = 0, **options: Any) -> Path:
        folder = tmp_path / f"bundle-{name}"
        if folder.exists():
            return tmp_path / f"{name}.segrt"
        shutil.copytree(template, folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["name"] = name
        if size:  # a larger file to copy: any bytes will do for the stand-in
            import hashlib

            data = hashlib.sha256(name.encode()).digest() * (size // 32)
            (folder / "model.fp32.onnx").write_bytes(data)
            manifest["variants"][0]["file"] |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return write_pack(read_bundle(folder), tmp_path / f"{name}.segrt", **options).path

    return make


class Done:
    """How a command ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def __repr__(self) -> str:
        return f"exit code {self.code}\n{self.out}\n{self.err}"

    def errors(self) -> list[str]:
        """The lines that say what went wrong, without the last one that counts."""
        lines = [line for line in self.err.splitlines() if line.startswith("segrt: error: ")]
        return [line.removeprefix("segrt: error: ") for line in lines[:-1]]


@pytest.fixture
def deploy(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Runs `segrt deploy` in this process, on the fleet, with the stand-in for segrt there."""

    def run(*arguments: object, environment: str | None = "~/env", grace: str = "5s", plain: bool = False) -> Done:
        words = ["segrt", "deploy", *map(str, arguments)]
        if not plain:
            words += ["--ssh-config", str(fleet.config), "--manager", "supervisor", "--grace", grace]
            words += ["--environment", environment] if environment else []
        monkeypatch.setattr("sys.argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfd.readouterr()
        return Done(int(ended.value.code or 0), captured.out, captured.err)

    return run


class Owner:
    """Who makes packs and signs them."""

    def __init__(self, make_pack: Callable[[str], Path], folder: Path) -> None:
        self._make_pack, self._folder = make_pack, folder
        self.key = self.make_key("mine")
        self.public = folder / "mine.pub"

    def make_key(self, name: str) -> Path:
        """Make an Ed25519 key, its public part (NAME.pub) beside it; return its file."""
        _key(self._folder / name)
        return self._folder / name

    def release(
        self, name: str, counter: int, *, key: Path | None = None, **changed: Any
    ) -> tuple[Path, str, str, Path]:
        """Sign a pack for devices with the stand-in's environment, `changed` being other values of the index.

        Returns the words that deploy it to cam1.
        """
        from segrt.runtime.deploy.index_writer import Target, release_index, signed_release

        pack = self._make_pack(name)
        out = self._folder / f"{name}-{counter}-{len(list(self._folder.glob('*.index')))}.index"
        index = release_index(pack, Target(machine=platform.machine()), counter, changed.pop("expires", None))
        index = replace(index, **{"segrt": "9.9.9", "environment": "~/env", **changed})
        out.write_bytes(signed_release(index, key or self.key, None))
        return pack, "cam1", "--index", out


@pytest.fixture
def owner(make_pack: Callable[[str], Path], tmp_path: Path) -> Owner:
    """Who makes packs and signs them."""
    pytest.importorskip("cryptography")
    return Owner(make_pack, tmp_path)


@pytest.fixture
def camera(fleet: Fleet, deploy: Callable[..., Done], owner: Owner) -> Camera:
    """A device that has pinned the owner's key with the release cam-1, counter 5."""
    made = fleet.add("cam1")
    stream = ("--stream", "street://?seed=1 --sink null")
    done = deploy(*owner.release("cam-1", 5), *stream, "--pin-key", owner.public, environment=None)
    assert (done.code, made.current) == (0, "cam-1"), done
    assert "pinned the key" in " ".join(done.out.split())
    return made
