"""Builds segrt: maps the rooms of this repository to packages, compiles the C++ post-processing and the CUDA kernels.

Everything static stands in pyproject.toml. Here is only what it cannot say: that `export/` is `segrt.export` and
`runtime/` is `segrt.runtime` (a namespace without a root `__init__.py`), and how C++ and CUDA are compiled.
"""

import os
import platform
import runpy
import sys
from pathlib import Path
from typing import Any

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import find_packages, setup

ROOMS = {"segrt.export": "export", "segrt.runtime": "runtime"}
CORE = Path("cpp_postproc")
SOURCES = [*CORE.glob("*.cpp"), *CORE.glob("kernels/*.cpp")]
HEADERS = [*CORE.glob("*.h"), *CORE.glob("kernels/*.h")]

# The inner loops are compiled once per instruction set and chosen at run time; nothing else needs a newer processor.
# The flags of kernels/avx2.cpp are in kernels/avx2.flags, where the Makefile of the core's own checks reads them too.
FLAGS_OF_FILE = {path.with_suffix(".cpp"): path.read_text().split() for path in CORE.glob("kernels/*.flags")}


class BuildWithKernels(build_ext):
    """Adds the flags of single files, which setuptools has no place for, and the CUDA kernels.

    `SEGRT_OBJECTS` names a folder where object files stay: the next build compiles what has changed since.
    """

    def finalize_options(self) -> None:
        """Choose the folder of object files; Python's version is part of it, for they hold its headers."""
        super().finalize_options()
        if kept := os.environ.get("SEGRT_OBJECTS"):
            self.build_temp = str(Path(kept) / str(sys.implementation.cache_tag))

    def run(self) -> None:
        """Compile C++, then the CUDA kernels; without NVRTC segrt is built without them, which `segrt doctor` tells."""
        super().run()
        root = Path() if self.inplace else Path(self.build_lib) / "segrt"
        cuda = runpy.run_path(str(CORE / "cuda" / "compile_ptx.py"))
        try:
            cuda["compile_all"](root / "runtime" / "inference" / "cuda" / "ptx")
        except cuda["CompileError"] as error:
            self.warn(f"without CUDA kernels: {error}")

    def build_extensions(self) -> None:
        """Compile as usual, each file with its own flags as well."""
        if platform.machine() in ("x86_64", "AMD64"):
            compile_one = self.compiler._compile

            def compile_with_flags(
                obj: str, src: str, ext: str, cc_args: list[str], extra_postargs: list[str], pp_opts: list[str]
            ) -> Any:
                extra = [*extra_postargs, *FLAGS_OF_FILE.get(Path(src), [])]
                return compile_one(obj, src, ext, cc_args, extra, pp_opts)

            self.compiler._compile = compile_with_flags
        super().build_extensions()


def needs_recompile(obj: str, src: str) -> bool:
    """Whether an object file is older than its source, a header or the flags."""
    if not Path(obj).exists():
        return True
    inputs = [Path(src), Path("setup.py"), *HEADERS, *CORE.glob("kernels/*.flags")]
    return Path(obj).stat().st_mtime < max(path.stat().st_mtime for path in inputs)


packages = [
    name for room, folder in ROOMS.items() for name in [room, *(f"{room}.{sub}" for sub in find_packages(folder))]
]

extension = Pybind11Extension(
    "segrt.runtime._postproc",
    sorted(map(str, SOURCES)),
    depends=sorted(map(str, HEADERS)),
    include_dirs=[str(CORE)],
    cxx_std=20,
    # No contraction: every instruction set must give the same bits, fused only where the source says std::fma.
    extra_compile_args=[
        "-O3",
        "-Wall",
        "-Wextra",
        "-Wconversion",
        "-ffp-contract=off",
        "-fno-math-errno",
        "-fno-trapping-math",
        "-fvisibility=hidden",
        "-pthread",
    ],
    extra_link_args=["-pthread"],
)

ParallelCompile("SEGRT_BUILD_JOBS", default=0, needs_recompile=needs_recompile).install()

setup(
    packages=packages,
    package_dir=ROOMS,
    ext_modules=[extension],
    cmdclass={"build_ext": BuildWithKernels},
)
