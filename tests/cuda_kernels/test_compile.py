"""NVRTC takes every kernel, for every GPU that is named, and computes as IEEE says."""

import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[2] / "cpp_postproc" / "cuda" / "compile_ptx.py"
spec = importlib.util.spec_from_file_location("compile_ptx", PATH)
assert spec is not None
assert spec.loader is not None
compile_ptx = importlib.util.module_from_spec(spec)
spec.loader.exec_module(compile_ptx)

OLDEST, BETWEEN, NEWEST = "sm_75", ("sm_80", "sm_87", "sm_89", "sm_90", "sm_100"), "sm_120"

NAMES = [path.stem for path in compile_ptx.sources()]


@pytest.fixture(scope="module")
def nvrtc():
    try:
        found = compile_ptx.find_nvrtc(newest=True)
    except compile_ptx.CompileError as error:
        pytest.skip(str(error))
    if found.version < (12, 9):
        pytest.skip(f"NVRTC {found.version} does not know the newest GPUs")
    return found


@pytest.mark.parametrize("number", range(len(compile_ptx.sources())), ids=lambda number: NAMES[number])
def test_compiles_for_every_gpu(nvrtc, number):
    """For the oldest and the newest; each of those between has some of the kernels, whose texts ask for no GPU."""
    source = compile_ptx.sources()[number]
    for gpu in (OLDEST, BETWEEN[number % len(BETWEEN)], NEWEST):
        assert nvrtc.ptx(source, gpu)


def test_no_kernel_asks_for_which_gpu_it_is_compiled():
    texts = [path.read_text() for path in compile_ptx.FOLDER.glob("*.*") if path.suffix in (".cu", ".h")]
    assert len(texts) > len(NAMES)
    assert not any("__CUDA_ARCH" in text for text in texts)


@pytest.mark.parametrize("source", compile_ptx.sources(), ids=lambda path: path.stem)
def test_nothing_is_approximate(nvrtc, source):
    text = nvrtc.ptx(source).decode()
    assert ".entry" in text
    assert "approx" not in text
    assert ".ftz" not in text
    assert "mad.f32" not in text


def test_a_kernel_that_does_not_compile_is_told_in_the_compilers_words(nvrtc, tmp_path):
    source = tmp_path / "wrong.cu"
    source.write_text("__global__ void f() { nothing(); }")
    with pytest.raises(compile_ptx.CompileError, match=r'wrong\.cu.*identifier "nothing" is undefined'):
        nvrtc.ptx(source)
