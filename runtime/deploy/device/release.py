"""Makes a release: unpacks the bundle beside the running one, builds its engine and runs its golden frames here.

Only then does it get its name, and so become one that may be switched to.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from segrt.runtime.deploy.device import environments
from segrt.runtime.deploy.device.durable_files import rename, sync_tree, write_file
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.file_hashes import IndexedFile, difference, files_of
from segrt.runtime.deploy.device.folders import ServiceFolders, write_record
from segrt.runtime.deploy.device.incoming import need_space
from segrt.runtime.deploy.device.journal import Journal, now
from segrt.runtime.deploy.device.json_conversion import load_json, to_json
from segrt.runtime.deploy.device.kept_records import InstallOptions, ReleaseRecord
from segrt.runtime.deploy.device.protocol import InstallRequest
from segrt.runtime.deploy.device.recheck import INDEX
from segrt.runtime.deploy.device.run_script import run_script
from segrt.runtime.deploy.device.segrt_program import Segrt, why_failed
from segrt.runtime.deploy.device.trust import Admission

_TENSORRT = "networks on the GPU with TensorRT"  # as `segrt doctor` names it


def release_id(request: InstallRequest, admission: Admission | None = None) -> str:
    """Return the name of the release that a request asks for: equal requests, admitted equally, have equal names."""
    environment = request.environment.path or request.environment.key
    content = to_json([request.pack.sha256, environment, request.stream, request.options, request.unit])
    content += [admission.digest] if admission else []
    slug = re.sub(r"[^A-Za-z0-9-]+", "-", request.pack.bundle)[:40].strip("-") or "bundle"
    return f"{slug}-{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:10]}"


def release_of_pack(folders: ServiceFolders, sha256: str) -> str | None:
    """Return a release of the pack with that hash whose bundle is as it was made, None where there is none."""
    for path in sorted(folders.releases.glob("*/release.json")) if folders.releases.is_dir() else []:
        record = folders.record_of(path.parent.name)
        if record and record.pack == sha256 and _bundle_is(path.parent, record.files):
            return path.parent.name
    return None


def make(
    folders: ServiceFolders, release: str, request: InstallRequest, journal: Journal, admission: Admission | None = None
) -> None:
    """Make the release of a request; raise Failure, with nothing changed but caches, when a step fails."""
    if request.environment.path is None:
        journal.step("environment")
    environment = environments.ensure(folders, request.environment)
    if request.unit and os.geteuid() == 0:
        _check_reach(environment)
    folder = folders.releases / f".{release}.partial"
    folder.mkdir()
    segrt = Segrt(folders, environment)
    if admission:
        _check_version(segrt, admission)
        write_file(folder / INDEX, admission.text.encode())
    journal.step("unpack")
    _unpack(folders, segrt, request, folder)
    made_here = request.environment.path is None
    (folder / "env").symlink_to(f"../../../envs/{environment.name}" if made_here else environment)
    bundle, options = str(folder / "bundle"), request.options
    if _needs_engine(segrt, options, journal):
        _build(segrt, bundle, options, journal)
    journal.step("verify")
    (folder / "verify.txt").write_text(_verify(segrt, bundle, options))
    _profile(segrt, bundle, options, journal)
    if request.stream is not None:
        _check_fills_in(segrt, request.stream)
        write_file(folder / "run", run_script(folders, request.stream, options).encode(), 0o755)
        if request.unit:
            write_file(folder / "service.unit", request.unit.encode())
    pack = request.pack
    record = ReleaseRecord(
        pack.bundle, pack.sha256, pack.variants, segrt.version(), request.stream, options, now(),
        request.environment.extras, _files_to_keep(folder),
        admission.digest if admission else None, admission.index.counter if admission else None,
        environments.files_digest(environment) if admission and made_here else None,
    )  # fmt: skip
    write_record(folder / "release.json", record)
    sync_tree(folder)
    rename(folder, folders.releases / release)


def _check_version(segrt: Segrt, admission: Admission) -> None:
    version = segrt.version()
    if version != admission.index.segrt:
        named = admission.index.segrt
        raise Failure(
            f"the environment has segrt {version}, but the index names {named}; sign it anew with `segrt sign --segrt "
            f"{version}`"
        )


def _check_fills_in(segrt: Segrt, stream: Sequence[str]) -> None:
    """Raise Failure when ${NAME} is in the arguments of a stream, and its segrt would not fill it in."""
    if any("${" in word for word in stream) and "${NAME}" not in segrt.run("stream", "--help").stdout:
        raise Failure(f"segrt {segrt.version()} does not fill in ${{NAME}} by itself; give a newer one, with --wheels")


def _files_to_keep(folder: Path) -> tuple[IndexedFile, ...]:
    return files_of(folder, but_for=("env", "verify.txt", "verify-key.pub", INDEX))


def _bundle_is(release: Path, files: tuple[IndexedFile, ...]) -> bool:
    """Whether the bundle of a release has exactly those of `files` that are a bundle's, and there are such."""
    expected = [
        IndexedFile(file.path.removeprefix("bundle/"), file.size, file.sha256)
        for file in files
        if file.path.startswith("bundle/")
    ]
    return bool(expected) and difference(release / "bundle", expected) is None


def _check_reach(environment: Path) -> None:
    """Raise Failure when the service's user, who is not root, cannot get at the environment's Python."""
    python = (environment / "bin/python").resolve()
    for folder in (*environment.resolve().parents, *python.parents):
        if not folder.stat().st_mode & 0o001:
            raise Failure(
                f"the service's user cannot reach {python}, for {folder} is closed to others; let python3 be the "
                "system's, or choose another --root"
            )


def _unpack(folders: ServiceFolders, segrt: Segrt, request: InstallRequest, folder: Path) -> None:
    pack = folders.incoming / request.pack.sha256
    known = release_of_pack(folders, request.pack.sha256)
    if not pack.is_file() and known:  # another release of the same pack: its files are never changed, so share them
        shutil.copytree(folders.releases / known / "bundle", folder / "bundle", copy_function=os.link)
    elif not pack.is_file():
        raise Failure("the pack is not on the device any more; run with --resume to copy it again")
    else:
        _extract(folders, segrt, request, folder)
    differs = difference(folder / "bundle", request.pack.files) if request.pack.files else None
    if differs:
        raise Failure(f"what was unpacked is not what is in the pack: {differs}; run with --resume")


def _extract(folders: ServiceFolders, segrt: Segrt, request: InstallRequest, folder: Path) -> None:
    pack = folders.incoming / request.pack.sha256
    need_space(folders.root, pack.stat().st_size)
    arguments = ["unpack", str(pack), "--out", str(folder / "bundle")]
    if request.verify_key:
        write_file(folder / "verify-key.pub", request.verify_key.encode())
        arguments += ["--verify-key", str(folder / "verify-key.pub")]
    done = segrt.run(*arguments)
    if done.returncode:
        raise Failure(f"the pack was refused: {why_failed(done)}")


def _needs_engine(segrt: Segrt, options: InstallOptions, journal: Journal) -> bool:
    """Note what the doctor finds missing; return whether networks run on TensorRT here, which needs an engine."""
    wanted = options.build and options.backend != "onnxruntime" and segrt.has("build")
    if not segrt.has("doctor"):
        return wanted and options.backend == "tensorrt"
    journal.step("doctor")
    done = segrt.run("doctor", "--json")
    try:
        features = load_json(done.stdout)["features"]
        for feature in features:
            if feature["state"] == "missing":
                commands = "; ".join(remedy["command"] for remedy in feature["remedies"][:1])
                journal.note(
                    f"missing: {feature['name']} ({feature['detail']})" + (f", try: {commands}" * bool(commands))
                )
        works = any(feature["name"] == _TENSORRT and feature["state"] == "works" for feature in features)
    except (ValueError, LookupError, TypeError):
        journal.note(f"the doctor was not understood: {why_failed(done)}")
        works = options.backend == "tensorrt"
    return wanted and works


def _build(segrt: Segrt, bundle: str, options: InstallOptions, journal: Journal) -> None:
    """Build the engine for this device, at low priority."""
    journal.step("build")
    done = segrt.run("build", bundle, *_precision(options))
    if done.returncode:
        raise Failure(f"the engine cannot be built here: {why_failed(done)}", done.stdout + done.stderr)


def _verify(segrt: Segrt, bundle: str, options: InstallOptions) -> str:
    done = segrt.run("verify", bundle, "--backend", options.backend, *_precision(options))
    if done.returncode == 1:
        raise Failure(f"golden frames differ on this device: {why_failed(done)}", done.stdout)
    if done.returncode:
        raise Failure(f"the bundle cannot be verified on this device: {why_failed(done)}", done.stdout)
    return done.stdout


def _profile(segrt: Segrt, bundle: str, options: InstallOptions, journal: Journal) -> None:
    if not options.budget:
        return
    if not segrt.has("profile"):
        raise Failure(f"the budget {options.budget} cannot be checked: segrt on the device has no `profile`")
    journal.step("profile")
    arguments = [bundle, "--backend", options.backend, *_precision(options), "--frames", str(options.frames)]
    done = segrt.run("profile", *arguments, "--no-cold", "--budget", options.budget, nice=0)
    if done.returncode:
        raise Failure(f"the budget {options.budget} is not met: {why_failed(done)}", done.stdout)


def _precision(options: InstallOptions) -> list[str]:
    return ["--precision", options.precision] if options.precision else []
