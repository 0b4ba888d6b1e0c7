"""A release in the making: the bundle unpacked beside the running one, its engine built and its golden frames run here.

It gets its name, and so becomes one that may be switched to, only after all of that.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from segrt.runtime.deploy.device import environments
from segrt.runtime.deploy.device.durable_files import rename, sync_tree, write_file
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import Place, write_json
from segrt.runtime.deploy.device.incoming import need_space
from segrt.runtime.deploy.device.journal import Journal, now
from segrt.runtime.deploy.device.managers import shorten

_PATIENCE = 3600
_TENSORRT = "networks on the GPU with TensorRT"  # as `segrt doctor` names it
_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_SPECIAL = re.compile(r'["\\`$]')


def release_id(request: dict[str, Any], stream: list[str] | None) -> str:
    """Return the name of the release that a request asks for: equal requests have equal names."""
    wanted = request["environment"]
    content = [
        request["pack"]["sha256"],
        wanted.get("path") or wanted["key"],
        stream,
        request["options"],
        request["unit"],
    ]
    slug = re.sub(r"[^A-Za-z0-9-]+", "-", request["pack"]["bundle"])[:40].strip("-") or "bundle"
    return f"{slug}-{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:10]}"


def pack_is_known(place: Place, sha256: str) -> str | None:
    """Return a release that was made of the pack with that hash."""
    for path in sorted(place.releases.glob("*/release.json")) if place.releases.is_dir() else []:
        described = place.describe(path.parent.name)
        if described and described.get("pack") == sha256:
            return path.parent.name
    return None


def make(place: Place, release: str, request: dict[str, Any], stream: list[str] | None, journal: Journal) -> None:
    """Make the release of a request; raise Failure, with nothing changed but caches, when a step fails."""
    if request["environment"].get("path") is None:
        journal.step("environment")
    environment = environments.ensure(place, request["environment"])
    if request["unit"] and os.geteuid() == 0:
        _check_reach(environment)
    folder = place.releases / f".{release}.partial"
    folder.mkdir()
    segrt = Segrt(place, environment)
    journal.step("unpack")
    _unpack(place, segrt, request, folder)
    given = request["environment"].get("path") is not None
    (folder / "env").symlink_to(environment if given else f"../../../envs/{environment.name}")
    bundle = str(folder / "bundle")
    options = request["options"]
    if _asks_for_engine(segrt, options, journal):
        _build(segrt, bundle, options, journal)
    journal.step("verify")
    (folder / "verify.txt").write_text(_verify(segrt, bundle, options))
    _profile(segrt, bundle, options, journal)
    if stream is not None:
        write_file(folder / "run", run_script(place, stream, options).encode(), 0o755)
        if request["unit"]:
            write_file(folder / "service.unit", request["unit"].encode())
    described = {
        "bundle": request["pack"]["bundle"], "pack": request["pack"]["sha256"], "variants": request["pack"]["variants"],
        "segrt": segrt.version(), "stream": stream, "options": options, "made": now(),
    }  # fmt: skip
    write_json(folder / "release.json", described)
    sync_tree(folder)
    rename(folder, place.releases / release)


class Segrt:
    """The segrt of an environment, run at low priority, so that what streams keeps streaming."""

    def __init__(self, place: Place, environment: Path) -> None:
        self._program = str(environment / "bin/segrt")
        self._cache = str(place.cache)
        self._commands: str | None = None

    def run(self, *arguments: str, nice: int = 19) -> "subprocess.CompletedProcess[str]":
        """Run a command and return what came of it."""
        environment = {**os.environ, "SEGRT_CACHE": self._cache, "NO_COLOR": "1"}
        try:
            return subprocess.run(
                ["nice", "-n", str(nice), self._program, *arguments],
                capture_output=True, text=True, timeout=_PATIENCE, check=False, env=environment,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Failure(f"segrt {arguments[0]}: took more than {_PATIENCE // 60} minutes on the device") from None
        except OSError as error:
            raise Failure(f"{self._program}: cannot be started ({error.strerror}); deploy with a wheel again") from None

    def has(self, command: str) -> bool:
        """Whether this segrt has a command."""
        if self._commands is None:
            self._commands = self.run("--help").stdout
        return re.search(rf"^ +{command} ", self._commands, re.MULTILINE) is not None

    def version(self) -> str:
        """Return its version."""
        return (self.run("--version").stdout.split() or ["?"])[-1]


def _check_reach(environment: Path) -> None:
    """Raise Failure when the service's user, who is not root, cannot get at the environment's Python."""
    python = (environment / "bin/python").resolve()
    for folder in (*environment.resolve().parents, *python.parents):
        if not folder.stat().st_mode & 0o001:
            raise Failure(
                f"the service's user cannot reach {python}, for {folder} is closed to others; let python3 be the "
                "system's, or choose another --root"
            )


def _unpack(place: Place, segrt: Segrt, request: dict[str, Any], folder: Path) -> None:
    pack = place.incoming / request["pack"]["sha256"]
    known = pack_is_known(place, request["pack"]["sha256"])
    if not pack.is_file() and known:  # another release of the same pack: its files are never changed, so share them
        shutil.copytree(place.releases / known / "bundle", folder / "bundle", copy_function=os.link)
        return
    if not pack.is_file():
        raise Failure("the pack is not on the device any more; run with --resume to copy it again")
    need_space(place.root, pack.stat().st_size)
    arguments = ["unpack", str(pack), "--out", str(folder / "bundle")]
    if request["verify_key"]:
        write_file(folder / "verify-key.pub", request["verify_key"].encode())
        arguments += ["--verify-key", str(folder / "verify-key.pub")]
    done = segrt.run(*arguments)
    if done.returncode:
        raise Failure(f"the pack was refused: {_line(done)}")


def _asks_for_engine(segrt: Segrt, options: dict[str, Any], journal: Journal) -> bool:
    """Note what the doctor finds missing; return whether networks run on TensorRT here, which needs an engine."""
    wanted = options["build"] and options["backend"] != "onnxruntime" and segrt.has("build")
    if not segrt.has("doctor"):
        return bool(wanted and options["backend"] == "tensorrt")
    journal.step("doctor")
    done = segrt.run("doctor", "--json")
    try:
        features = json.loads(done.stdout)["features"]
        for feature in features:
            if feature["state"] == "missing":
                commands = "; ".join(remedy["command"] for remedy in feature["remedies"][:1])
                journal.note(
                    f"missing: {feature['name']} ({feature['detail']})" + (f", try: {commands}" * bool(commands))
                )
        works = any(feature["name"] == _TENSORRT and feature["state"] == "works" for feature in features)
    except (ValueError, LookupError, TypeError):
        journal.note(f"the doctor was not understood: {_line(done)}")
        works = options["backend"] == "tensorrt"
    return bool(wanted and works)


def _build(segrt: Segrt, bundle: str, options: dict[str, Any], journal: Journal) -> None:
    """Build the engine for this device, at low priority."""
    journal.step("build")
    chosen = ["--precision", options["precision"]] if options["precision"] else []
    done = segrt.run("build", bundle, *chosen)
    if done.returncode:
        raise Failure(f"the engine cannot be built here: {_line(done)}", done.stdout + done.stderr)


def _verify(segrt: Segrt, bundle: str, options: dict[str, Any]) -> str:
    chosen = ["--precision", options["precision"]] if options["precision"] else []
    done = segrt.run("verify", bundle, "--backend", options["backend"], *chosen)
    if done.returncode == 1:
        raise Failure(f"golden frames differ on this device: {_line(done)}", done.stdout)
    if done.returncode:
        raise Failure(f"the bundle cannot be verified on this device: {_line(done)}", done.stdout)
    return done.stdout


def _profile(segrt: Segrt, bundle: str, options: dict[str, Any], journal: Journal) -> None:
    if not options["budget"]:
        return
    if not segrt.has("profile"):
        raise Failure(f"the budget {options['budget']} cannot be checked: segrt on the device has no `profile`")
    journal.step("profile")
    chosen = ["--precision", options["precision"]] if options["precision"] else []
    arguments = [bundle, "--backend", options["backend"], *chosen, "--frames", str(options["frames"]), "--no-cold"]
    done = segrt.run("profile", *arguments, "--budget", options["budget"], nice=0)
    if done.returncode:
        raise Failure(f"the budget {options['budget']} is not met: {_line(done)}", done.stdout)


def run_script(place: Place, stream: list[str], options: dict[str, Any]) -> str:
    """Return the script that starts a release's stream."""
    extra = ["--backend", options["backend"]] if options["backend"] != "auto" else []
    extra += ["--precision", options["precision"]] if options["precision"] else []
    words = " ".join(map(shell_word, [*stream, *extra]))
    return (
        "#!/bin/sh\n# Starts this release; written by `segrt deploy`.\n"
        'here=$(cd -- "$(dirname -- "$0")" && pwd -P) || exit 1\n'
        f'export SEGRT_CACHE="${{SEGRT_CACHE:-{place.cache}}}"\n'
        f'exec "$here/env/bin/segrt" stream "$here/bundle" {words}\n'
    )


def shell_word(text: str) -> str:
    """Return `text` as a word for sh in which only ${NAME} is alive: the service's variables fill in such places."""
    parts, end = [], 0
    for match in _VARIABLE.finditer(text):
        parts += [_SPECIAL.sub(r"\\\g<0>", text[end : match.start()]), match.group()]
        end = match.end()
    return '"' + "".join([*parts, _SPECIAL.sub(r"\\\g<0>", text[end:])]) + '"'


def _line(done: "subprocess.CompletedProcess[str]") -> str:
    printed = [line for line in done.stdout.splitlines() if line.strip()]
    said = shorten(done.stderr) or shorten("\n".join(printed[-1:])) or f"exit code {done.returncode}"
    return said.removeprefix("segrt: error: ")
