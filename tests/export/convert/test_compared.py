"""What is kept of the comparison with the framework: golden frames of pictures as they are."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxslim")

from tiny_family import RANDOM, STRETCH, TINY, tiny

from segrt.export.convert import parity
from segrt.export.convert.compared import compare
from segrt.export.graph.tracing import Traced
from segrt.export.precision.float32_reference import Float32Reference, session_runner


def test_golden_frames_are_not_of_pictures_brought_to_the_size_of_the_comparison(traced: Traced) -> None:
    import onnx

    exportable = tiny(resize=STRETCH)
    exportable = replace(exportable, limits=replace(exportable.limits, at=(480, 704)))
    pictures = parity.synthetic_pictures()
    done = compare(
        TINY,
        exportable,
        traced,
        RANDOM,
        pictures=pictures,
        dataset=None,
        say=lambda line: None,  # noqa: ARG005
        show=lambda report: None,  # noqa: ARG005
    )
    assert [frame.image.shape for frame in done.golden] == [picture.shape for picture in pictures[:2]]
    run = session_runner(onnx.load(str(traced.path)), done.network, 1)
    heads = [frame.heads for frame in done.golden if frame.heads is not None]
    reference = Float32Reference(done.network, [frame.image for frame in done.golden], run, heads)
    compared = reference.compare([run(feed) for feed in reference.feeds])
    assert compared.error < 1e-5
    assert compared.worst > 0.999
    assert all(len(np.unique(result.class_map)) > 1 for result in reference.results)  # type: ignore[union-attr]
