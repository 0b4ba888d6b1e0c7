"""Edited frames: what stands behind the step sees the edited picture, what stands before it the camera's."""

from segrt.runtime.draw.picture_edits import PictureEdits, Plain
from segrt.runtime.stream.edits_step import EditsStep
from segrt.runtime.stream.loop import open_pipeline
from segrt.runtime.stream.step import Step


class Watching(Step):
    """Keeps the pictures that it is given."""

    def __init__(self, name):
        self.name = name
        self.seen = []

    def take(self, frame, result):
        """Keep it."""
        self.seen.append(frame.image.copy())
        return result


def test_clips_sinks_and_loops_get_the_edited_picture_and_trackers_the_camera_s(fakes):
    before, after = Watching("before"), Watching("after")
    edits = EditsStep(PictureEdits(background=Plain((1, 2, 3)), subject=frozenset()))
    with fakes.FakeSegmenter() as segmenter:
        pipeline = open_pipeline(
            segmenter, fakes.ListSource(3), policy="all", deliver=True, steps=[before, edits, after]
        )
        pipeline.start()
        frames = [frame for frame, _ in pipeline.results()]
        pipeline.join()
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert all((frame.image == (3, 2, 1)).all() for frame in frames)
    assert all((image == (3, 2, 1)).all() for image in after.seen)
    assert [image[0, 0, 0] for image in before.seen] == [0, 1, 2]
    assert len(before.seen) == len(after.seen) == 3
    assert "edited" in pipeline.recorder.metrics().stages
