"""The embedded models do their job on streets they have not seen. Needs nothing but the installed runtime."""

import numpy as np
import pytest

from segrt.runtime import open_bundle
from segrt.runtime.authoring.verification import verify
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.results import InstanceResult, PanopticResult, SemanticResult
from segrt.runtime.streetworld import CLASSES, STUFF, StreetWorld
from segrt.runtime.streetworld.moments import drawn_time

SEEDS = range(700_000, 700_006)
NAMES = ("street-semantic", "street-instance", "street-panoptic")


@pytest.mark.parametrize("name", NAMES)
def test_bundle_passes_its_golden_frames_and_stays_small(name: str) -> None:
    with open_bundle(name, threads=1) as segmenter:
        checks = verify(segmenter)
    assert checks
    assert [check for check in checks if not check.passed] == []
    (variant,) = read_bundle(name).manifest.variants
    assert variant.file.size <= 3_000_000


@pytest.mark.parametrize("size", [(360, 640), (192, 320), (301, 203)])
def test_result_has_the_size_of_the_picture(size: tuple[int, int]) -> None:
    image = StreetWorld(700_000).render(0.0, size).image
    for name in NAMES:
        with open_bundle(name, threads=1) as segmenter:
            result = segmenter(image)
        assert result.timings is not None
        assert result.timings.total_ms > 0
        if isinstance(result, SemanticResult):
            assert result.class_map.shape == size
        elif isinstance(result, InstanceResult):
            assert result.masks.shape[1:] == size
        else:
            assert result.segment_ids.shape == size


def test_semantic_model_gets_most_pixels_right() -> None:
    right = total = 0
    with open_bundle("street-semantic", threads=1) as segmenter:
        for seed in SEEDS:
            view = StreetWorld(seed).render(drawn_time(seed), (192, 320))
            result = segmenter(view.image)
            assert isinstance(result, SemanticResult)
            truth = np.zeros_like(view.segment_ids)
            for segment in view.segments:
                truth[view.segment_ids == segment.id] = segment.class_id
            right += int((result.class_map == truth).sum())
            total += truth.size
    assert right / total > 0.95


def test_instance_model_finds_the_large_things() -> None:
    found = wanted = 0
    with open_bundle("street-instance", threads=1) as segmenter:
        for seed in SEEDS:
            view = StreetWorld(seed).render(drawn_time(seed), (192, 320))
            result = segmenter(view.image)
            assert isinstance(result, InstanceResult)
            names = [result.labels[int(class_id)].name for class_id in result.class_ids]
            for segment in view.segments:
                if segment.class_id < len(STUFF) or segment.area < 400:
                    continue
                wanted += 1
                truth = view.segment_ids == segment.id
                ious = [
                    (mask & truth).sum() / (mask | truth).sum()
                    for mask, name in zip(result.masks, names, strict=True)
                    if name == CLASSES[segment.class_id]
                ]
                found += max(ious, default=0.0) > 0.5
    assert wanted >= 10
    assert found / wanted > 0.8


def test_panoptic_model_covers_the_picture_with_segments() -> None:
    with open_bundle("street-panoptic", threads=1) as segmenter:
        for seed in SEEDS:
            view = StreetWorld(seed).render(drawn_time(seed), (360, 640))
            result = segmenter(view.image)
            assert isinstance(result, PanopticResult)
            assert (result.segment_ids > 0).mean() > 0.9
            assert {segment.id for segment in result.segments} == set(np.unique(result.segment_ids)) - {0}
            stuff = [segment.class_id for segment in result.segments if not segment.isthing]
            assert len(stuff) == len(set(stuff))
