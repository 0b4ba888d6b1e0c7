"""Builds segrt: maps the rooms of this repository to packages and compiles the C++ post-processing.

Everything static stands in pyproject.toml. Here is only what it cannot say: that `export/` is `segrt.export` and
`runtime/` is `segrt.runtime` (a namespace without a root `__init__.py`), and how the extension is compiled.
"""

from pathlib import Path

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext, naive_recompile
from setuptools import find_packages, setup

ROOMS = {"segrt.export": "export", "segrt.runtime": "runtime"}
CORE = Path("cpp_postproc")

packages = [
    name for room, folder in ROOMS.items() for name in [room, *(f"{room}.{sub}" for sub in find_packages(folder))]
]

extension = Pybind11Extension(
    "segrt.runtime._postproc",
    sorted(str(path) for path in CORE.glob("*.cpp")),
    depends=sorted(str(path) for path in CORE.glob("*.h")),
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

ParallelCompile("SEGRT_BUILD_JOBS", default=0, needs_recompile=naive_recompile).install()

setup(
    packages=packages,
    package_dir=ROOMS,
    ext_modules=[extension],
    cmdclass={"build_ext": build_ext},
)
