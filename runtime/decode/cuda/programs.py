"""The decode rules that the GPU can work on, and the program of each."""

from segrt.runtime.decode.cuda.program import Program
from segrt.runtime.registry import Registry

_ROOM = "segrt.runtime.decode.cuda"

PROGRAMS: Registry[type[Program]] = Registry("program of a decode rule", {"argmax": f"{_ROOM}.argmax:ArgmaxProgram"})
