"""Rule `merge_members` on the GPU: each member decodes in its own queue, what they found is merged on the host.

The instances come down as run lengths, and the order in which they claim pixels is one after another: the core's words
of 64 pixels are quicker than what a GPU would make of it, and the host waits for both networks anyway.
"""

from abc import ABC, abstractmethod
from typing import Any, cast

import numpy.typing as npt

from segrt.runtime.decode.cuda.program import Heads, Program, UnfitHeadsError
from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.decode.decoders import PROGRAMS, find_decoder
from segrt.runtime.decode.merge_members import member_contexts, member_heads, merged
from segrt.runtime.decode.rule import Context
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.member_inputs import MemberGeometry
from segrt.runtime.results import PanopticResult, Result


class MergeMembersProgram(Program):
    """See `segrt.runtime.decode.merge_members`. Both members' queues must be synchronised before `result`."""

    def __init__(self, heads: Heads, geometry: Geometry, context: Context, workspace: Workspace) -> None:
        super().__init__(heads, geometry, context, workspace)
        places = cast("MemberGeometry", geometry).members
        self._parts = [
            _part(member_heads(member, heads), places[member.name], own, workspace)
            for member, own in zip(context.members, member_contexts(context), strict=True)
        ]

    def enqueue(self) -> None:
        """See `Program`."""
        for part in self._parts:
            part.enqueue()

    def download(self) -> None:
        """See `Program`."""
        for part in self._parts:
            part.download()

    def result(self) -> PanopticResult:
        """See `Program`."""
        semantic, objects = (part.result() for part in self._parts)
        return merged(semantic, objects, self.context)


class _Part(ABC):
    """The decoding of one member."""

    @abstractmethod
    def enqueue(self) -> None:
        """Put the member's kernels into its queue."""

    @abstractmethod
    def download(self) -> None:
        """Put the copy of what they made to the host there."""

    @abstractmethod
    def result(self) -> Result:
        """Return the member's result."""


class _OnGpu(_Part):
    def __init__(self, program: Program) -> None:
        self._program = program

    def enqueue(self) -> None:
        self._program.enqueue()

    def download(self) -> None:
        self._program.download()

    def result(self) -> Result:
        return self._program.result()


class _OnCpu(_Part):
    """Downloads the heads of a member whose rule has no kernels for them."""

    def __init__(self, heads: Heads, geometry: Geometry, context: Context, workspace: Workspace) -> None:
        self._heads, self._geometry, self._context, self._workspace = heads, geometry, context, workspace
        self._here: dict[str, npt.NDArray[Any]] = {
            role: workspace.pinned(head.dtype, *head.shape) for role, head in heads.items()
        }

    def enqueue(self) -> None:
        """Do nothing: there are no kernels."""

    def download(self) -> None:
        for role, head in self._heads.items():
            self._workspace.download(self._here[role], head)

    def result(self) -> Result:
        return find_decoder(self._context.decode, "cpu")(self._here, self._geometry, self._context)


def _part(heads: Heads, geometry: Geometry, context: Context, workspace: Workspace) -> _Part:
    own = workspace.beside(next(iter(heads.values())).queue)
    rule = context.decode.rule_name
    if rule in PROGRAMS:
        program: type[Program] = PROGRAMS.load(rule)
        why = program.why_not_rule(context.decode) or program.why_not(
            {role: head.dtype for role, head in heads.items()}
        )
        if why is None:
            try:
                return _OnGpu(program(heads, geometry, context, own))
            except UnfitHeadsError:
                own.close()
    return _OnCpu(heads, geometry, context, own)
