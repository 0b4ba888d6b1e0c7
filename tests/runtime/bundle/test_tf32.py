"""Precision tf32: the fp32 file of any bundle, executed otherwise, under limits of its own."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from segrt.runtime import open_bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.network_files import network_file
from segrt.runtime.bundle.pack.reader import Pack
from segrt.runtime.bundle.pack.writer import write_pack
from segrt.runtime.errors import BackendError, BundleError, SegrtError
from segrt.runtime.profiling.candidate import matrix


def test_every_bundle_with_fp32_has_it_under_wider_limits(tiny: SimpleNamespace) -> None:
    bundle = read_bundle(tiny.bundle("merge_queries"))
    fp32, tf32 = bundle.variant("fp32"), bundle.variant("tf32")
    assert (tf32.precision, tf32.file, tf32.parity) == ("tf32", fp32.file, None)
    assert (fp32.tolerance.agreement, tf32.tolerance.agreement) == (0.995, 0.99)
    assert tf32.tolerance.heads.keys() == fp32.tolerance.heads.keys() != set()
    for name, head in tf32.tolerance.heads.items():
        assert head.absolute > fp32.tolerance.heads[name].absolute
        assert head.rows == fp32.tolerance.heads[name].rows
    assert network_file(bundle, tf32).precision == "tf32"
    assert bundle.precisions == ("fp32", "tf32")
    assert [variant.precision for variant in bundle.manifest.variants] == ["fp32"]


def test_classes_stay_equal_but_for_the_share_that_may_differ(tiny: SimpleNamespace) -> None:
    bundle = read_bundle(tiny.bundle("class_map"))
    (head,) = bundle.variant("tf32").tolerance.heads.values()
    assert (head.absolute, head.relative) == (0, 0)
    assert head.outliers == pytest.approx(0.01)


def test_on_the_cpu_it_is_refused_in_one_line_and_never_computed_as_fp32(tiny: SimpleNamespace) -> None:
    folder = tiny.bundle("argmax")
    for options in ({"backend": "onnxruntime"}, {"device": "cpu"}, {}):
        with pytest.raises(BackendError, match="precision tf32 needs an NVIDIA GPU, and this is the CPU") as caught:
            open_bundle(folder, precision="tf32", threads=1, **options)
        assert "\n" not in str(caught.value)


def test_a_bundle_without_fp32_has_none(tiny: SimpleNamespace) -> None:
    import msgspec

    bundle = read_bundle(tiny.bundle("argmax"))
    halved = msgspec.structs.replace(bundle.variant(), precision="fp16")
    other = type(bundle)(bundle.folder, msgspec.structs.replace(bundle.manifest, variants=(halved,)))
    with pytest.raises(BundleError, match="has no variant of precision 'tf32'; it has fp16"):
        other.variant("tf32")


def test_profiles_compare_it_and_packs_carry_the_file_that_it_needs(tiny: SimpleNamespace, tmp_path: Path) -> None:
    folder = tiny.bundle("argmax")
    candidates = matrix([str(folder)], ["fp32", "tf32"])
    assert [candidate.precision for candidate in candidates] == ["fp32", "tf32"]
    with pytest.raises(SegrtError, match="has none of these, only fp32, tf32"):
        matrix([str(folder)], ["int8"])
    written = write_pack(read_bundle(folder), tmp_path / "one.segrt", precisions=["tf32"])
    assert written.variants == ("fp32",)
    with Pack(written.path) as pack:
        pack.check()
