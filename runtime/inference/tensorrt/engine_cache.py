"""The engine cache: takes the plan that fits, or builds it and says why."""

import hashlib
import logging
import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from segrt.runtime.errors import BackendError
from segrt.runtime.files.atomic import make_folder, write_atomic
from segrt.runtime.files.cache import cache_folder
from segrt.runtime.files.reading import read_bytes
from segrt.runtime.inference.engine_policy import BuildOptions, EnginePolicy
from segrt.runtime.inference.network_file import NetworkFile, check_network
from segrt.runtime.inference.tensorrt.building import build
from segrt.runtime.inference.tensorrt.engine_record import EngineRecord, dump, is_sealed_here, read, sealed
from segrt.runtime.inference.tensorrt.fit import Wanted, why_unfit
from segrt.runtime.inference.tensorrt.flavor import Flavor
from segrt.runtime.inference.tensorrt.layer_precisions import network_precisions
from segrt.runtime.inference.tensorrt.lock import locked
from segrt.runtime.inference.tensorrt.parsing import parse
from segrt.runtime.inference.tensorrt.target import Here, refuse_tf32, targets_of
from segrt.runtime.inference.tf32 import TF32

log = logging.getLogger("segrt.tensorrt")


@dataclass(frozen=True, eq=False)
class Engine:
    """A plan that fits: where it lies, its bytes, its record. `reason` says why it was built just now, else ""."""

    path: Path
    plan: bytes | memoryview
    record: EngineRecord
    reason: str = ""


class EngineCache:
    """The engines of one network, for one flavour of TensorRT on one device."""

    def __init__(self, network: NetworkFile, flavor: Flavor, here: Here, policy: EnginePolicy) -> None:
        self.network, self.flavor, self.here, self.policy = network, flavor, here, policy
        self.folder = policy.engine_dir or default_folder(network.folder)
        batched = f".batch{network.batch}" if network.batch > 1 else ""
        self.path = self.folder / f"{network.name}.{network.precision}{batched}.{flavor.name}.engine"
        self.options: BuildOptions = msgspec.structs.replace(
            policy.options, batch=network.batch, tf32=network.precision == TF32
        )
        self.wanted = Wanted(
            network.sha256,
            self.options,
            flavor.name,
            flavor.version,
            targets_of(flavor, self.options, here),
            here,
        )

    def find(self) -> Engine | str:
        """Return the engine that lies there and fits, or why there is none."""
        if not self.path.exists():
            return "there is none yet"
        record = read(record_path(self.path))
        if isinstance(record, str):
            return record
        unfit = why_unfit(record, self.wanted)
        if unfit is not None:
            return unfit
        try:
            size = self.path.stat().st_size
            if size != record.plan_bytes:
                return f"is cut off: {size} of {record.plan_bytes} bytes"
            plan = read_bytes(self.path, record.plan_bytes)
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        if hashlib.sha256(plan).hexdigest() != record.plan_sha256:
            return "is not the plan that its JSON describes"
        if not self.policy.trust and not is_sealed_here(record):
            return "was not built on this device (a plan is code; --trust-engine runs it all the same)"
        return Engine(self.path, plan, record)

    def get(self, *, rebuild: bool = False) -> Engine:
        """Return the engine that fits; build it, with a line in the log, where there is none or with `rebuild`.

        Raises BackendError when it may not or cannot be built. Interrupted, it leaves what was there before.
        """
        if self.options.tf32:
            refuse_tf32(self.wanted.targets or (self.here.sm,))
        engine_or_reason = "it is to be built anew" if rebuild else self.find()
        if isinstance(engine_or_reason, Engine):
            return engine_or_reason
        if not self.policy.build:
            raise BackendError(
                f"{self.path}: {_no_engine(engine_or_reason)}, and building is turned off; "
                "leave out --no-build, or run `segrt build` first"
            )
        make_folder(self.folder)
        with ExitStack() as stack:
            stack.enter_context(locked(self.path.with_suffix(".lock")))
            if not rebuild:
                again = self.find()  # another process may have built it meanwhile
                if isinstance(again, Engine):
                    return again
                engine_or_reason = again
            log.info("building %s with %s: %s", self.path.name, self.flavor, _no_engine(engine_or_reason))
            return self._build(engine_or_reason)

    def replace_record(self, record: EngineRecord) -> EngineRecord:
        """Seal `record`, which tells more about the same plan, and write it; return it sealed."""
        record = sealed(record)
        write_atomic(record_path(self.path), dump(record))
        return record

    def _build(self, reason: str) -> Engine:
        start = time.monotonic()
        onnx = self.network.checked()
        parsed = parse(onnx, self.flavor)
        check_network(str(onnx), "input", self.network.inputs, parsed.inputs, complete=True)
        check_network(str(onnx), "head", self.network.heads, parsed.outputs, complete=False)
        options = self.options
        if self.flavor.is_rtx and self.here.has_gpu and not options.targets and self.wanted.targets == (self.here.sm,):
            options = msgspec.structs.replace(options, targets=self.wanted.targets)
        timing = self.folder / f"{self.flavor.name}-{self.flavor.version}-sm{self.here.sm}.timing"
        built = build(
            parsed,
            options,
            timing_cache=timing.read_bytes() if timing.is_file() else b"",
            progress=self.policy.progress,
            memory_mb=self.here.memory_mb,
        )
        record = EngineRecord(
            bundle=self.network.name,
            precision=self.network.precision,
            onnx_sha256=self.network.sha256,
            options=self.options,
            flavor=self.flavor.name,
            version=self.flavor.version,
            gpu=self.here.gpu,
            sm=self.here.sm,
            targets=self.wanted.targets,
            driver=self.here.driver,
            plan_bytes=built.plan.nbytes,
            plan_sha256=hashlib.sha256(built.plan).hexdigest(),
            workspace_mb=built.workspace_mb,
            seconds=round(time.monotonic() - start, 3),
            built_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            layers=network_precisions(parsed),
        )
        write_atomic(self.path, built.plan)
        record = self.replace_record(record)
        if built.timing_cache:
            write_atomic(timing, built.timing_cache)
        return Engine(self.path, built.plan, record, reason)


def default_folder(bundle: Path) -> Path:
    """Return the folder in segrt's cache for the engines of the bundle that lies at `bundle`."""
    place = hashlib.sha256(os.fsencode(bundle.resolve())).hexdigest()[:12]
    return cache_folder() / "engines" / place


def record_path(engine: Path) -> Path:
    """Return the path of the JSON beside an engine."""
    return engine.with_name(engine.name + ".json")


def runtime_cache_path(engine: Path) -> Path:
    """Return the path of TensorRT-RTX's runtime cache beside an engine."""
    return engine.with_name(engine.name + ".runtime")


def _no_engine(why: str) -> str:
    return why if why.startswith(("there is", "it is")) else f"the engine that is there {why}"
