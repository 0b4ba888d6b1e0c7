"""The whole of `segrt archive`, from what a user asks for to the summary that is written."""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

import msgspec

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.prompt_members import refuse_prompts
from segrt.runtime.console.words import counted
from segrt.runtime.decode.rule_changes import RuleChanges
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.uri import scheme_of
from segrt.runtime.inference.cuda.presence import gpu_files
from segrt.runtime.inference.execution import Execution
from segrt.runtime.preprocess.channels import refuse_pictures
from segrt.runtime.scale.archive.archive_dataset import begin_dataset, new_record
from segrt.runtime.scale.archive.archive_job import ArchiveJob, BundleOpening
from segrt.runtime.scale.archive.archive_plan import ArchivePlan
from segrt.runtime.scale.archive.archive_sources import find_sources
from segrt.runtime.scale.archive.archive_store import ArchiveStore
from segrt.runtime.scale.archive.archiving import ArchiveRun, ArchiveTotals, Progress, tidy
from segrt.runtime.scale.archive.clip_worker import digest_of
from segrt.runtime.scale.archive.crew import Crew
from segrt.runtime.scale.archive.source_summary import write_summary
from segrt.runtime.segmenter import find_bundle


@dataclass(frozen=True)
class Request:
    """What a user asks for.

    address: of a Ray cluster, None for processes of this device. workers: None is one process, or all that the cluster
    has room for. gpus_per_worker: each worker's share of a GPU.
    """

    bundle: str
    sources: tuple[str, ...]
    out: str
    changes: RuleChanges
    execution: Execution
    clip_seconds: float = 60.0
    every: int = 1
    workers: int | None = None
    address: str | None = None
    gpus_per_worker: float = 0.0


@dataclass(frozen=True)
class Archived:
    """What was done, where, and what has interrupted it, if anything; `frames` are those that the dataset has then."""

    out: str
    totals: ArchiveTotals
    interrupted: KeyboardInterrupt | None = None
    frames: int = 0


def archived(request: Request, progress: Progress, say: Callable[[str], None]) -> Archived:
    """Archive what is missing; `say` is called with remarks.

    Raises SegrtError for what cannot be opened, found or written, before the work where that can be known.
    """
    bundle = find_bundle(request.bundle)
    refuse_prompts(bundle.manifest, request.bundle, "archive")
    job, crew_of = _job(request, bundle), _crew_kind(request)
    found = find_sources(request.sources)
    for file in found.files:
        if file.kind == "video":  # or each of its clips would fail by itself
            refuse_pictures(bundle.manifest.image_input, file.name)
            break
    if found.others:
        say(f"left out: {counted(found.others, 'file')} with the name of neither picture nor video")
    job = replace(job, run=secrets.token_hex(4))
    store = ArchiveStore(job.out, job.run)
    record = new_record(
        bundle, job.digest, bundle.variant(request.execution.precision).precision,
        _options(bundle, request.changes), clip_seconds=request.clip_seconds, every=request.every,
    )  # fmt: skip
    job = replace(job, token=begin_dataset(store, record).token)
    tidy(store)
    plan = ArchivePlan(store, found.files)
    totals, interrupted = ArchiveTotals(), None
    crew = crew_of(job)
    try:
        run = ArchiveRun(plan, store, crew, totals)
        run.run(progress)
    except KeyboardInterrupt as interruption:
        interrupted = interruption
    finally:
        crew.close()
        with suppress(SegrtError):  # what has ended the run is said; the next one begins with this
            tidy(store)
    return Archived(store.shown, totals, interrupted, 0 if interrupted else write_summary(store))


def _options(bundle: Bundle, changes: RuleChanges) -> dict[str, object]:
    """Return the decode rule's options in force, as JSON has them."""
    rule = changes.of(bundle.manifest.decode, bundle.where)
    options: dict[str, object] = msgspec.json.decode(msgspec.json.encode(rule))
    return options


def _job(request: Request, bundle: Bundle) -> ArchiveJob:
    """Return what workers are told, with paths that are the same in whatever folder they run."""
    name, how = request.bundle, request.execution
    if scheme_of(name) is None and Path(name).exists():
        name = os.path.abspath(name)  # noqa: PTH100 (links stay as they are)
    if not how.threads:
        each = 1 if request.address is not None else max(1, (os.cpu_count() or 1) // (request.workers or 1))
        how = replace(how, threads=each)
    if how.engines.engine_dir is not None:
        how = replace(how, engines=replace(how.engines, engine_dir=how.engines.engine_dir.absolute()))
    out = request.out if scheme_of(request.out) else os.path.abspath(request.out)  # noqa: PTH100
    opening = BundleOpening(name, how, request.changes)
    return ArchiveJob(opening, name, out, digest_of(bundle), "", request.clip_seconds, request.every)


def _crew_kind(request: Request) -> Callable[[ArchiveJob], Crew]:
    """Return what starts the workers; raise SegrtError for more of GPUs than there are."""
    share, count = request.gpus_per_worker, request.workers or 1
    if request.address is not None:
        from segrt.runtime.scale.archive.ray_crew import ClusterPlace, RayCrew, check_ray

        check_ray()
        cpus = float(request.execution.threads or 1)
        place = ClusterPlace(request.address, request.workers, cpus, share)
        return lambda job: RayCrew(job, place)
    from segrt.runtime.scale.archive.local_crew import LocalCrew

    gpus = None if not share else _gpus_of(share, count)
    return lambda job: LocalCrew(job, count, gpus)


def _gpus_of(share: float, count: int) -> tuple[str, ...]:
    """Return what CUDA calls the GPU of each worker; raise SegrtError for more than there are."""
    places, seen = [int(number * share + 1e-9) for number in range(count)], _visible_gpus()
    if max(places) >= len(seen):
        raise SegrtError(
            f"--gpus-per-worker {share:g}: {count} workers need {max(places) + 1} GPUs, but here are {len(seen)}; give "
            "fewer --workers or a smaller share"
        )
    return tuple(seen[place] for place in places)


def _visible_gpus() -> list[str]:
    """Return what CUDA calls the GPUs that this process may use: CUDA_VISIBLE_DEVICES, up to -1, or all."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not gpu_files() or visible is None:
        numbered = sum(name.startswith("/dev/nvidia") for name in gpu_files())
        return [str(number) for number in range(max(numbered, 1 if gpu_files() else 0))]
    return list(takewhile(lambda name: name not in ("", "-1"), (name.strip() for name in visible.split(","))))
