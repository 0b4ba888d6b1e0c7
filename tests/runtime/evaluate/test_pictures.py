"""The pictures of an evaluation show what they must: differences in their colours, a matrix, a bar per class."""

import numpy as np
import pytest
from click.testing import CliRunner

from segrt.runtime.bundle.locating import embedded_names
from segrt.runtime.cli.eval import evaluate
from segrt.runtime.evaluate.report_pictures import bars_picture, confusion_picture, difference
from segrt.runtime.files.images import read_image
from segrt.runtime.results import Label, SemanticResult

LABELS = (Label("road", 1, False, (10, 200, 30)), Label("car", 2, True, (200, 20, 220)))


def test_the_difference_colours_wrong_missed_and_right_pixels_apart():
    image = np.full((8, 12, 3), 120, np.uint8)
    true = np.zeros((8, 12), np.uint8)
    found = true.copy()
    true[:, :3] = 255
    found[:, :3] = 1
    found[:, 3:6] = 1
    found[:, 6:9] = 255
    canvas = difference(image, SemanticResult(true, LABELS), SemanticResult(found, LABELS)).astype(int)
    void, wrong, missed, right = (canvas[4, x] for x in (1, 4, 7, 10))
    assert (void == right).all()
    assert right.max() - right.min() <= 1
    assert wrong[2] > wrong[1] + 80
    assert missed[2] > missed[0] + 80
    assert missed[1] > wrong[1] + 40


def test_the_confusion_matrix_is_green_on_its_diagonal_and_red_beside_it():
    picture = confusion_picture(np.array([[900, 100, 0], [300, 600, 100]]), LABELS).astype(int)
    green = (picture[..., 1] > picture[..., 2] + 50) & (picture[..., 1] > picture[..., 0] + 20)
    red = picture[..., 2] > picture[..., 1] + 25
    cell = 42 * 42
    assert 1.5 * cell < green.sum() < 2.1 * cell
    assert 1.5 * cell < red.sum() < 3.1 * cell


def test_a_bar_is_as_long_as_its_figure():
    per_class = {"road": {"pq": 0.75}, "car": {"pq": 0.25}, "dog": {"pq": None}}
    picture = bars_picture("PQ by class", per_class, "pq", LABELS)
    lengths = [int((picture == label.color[::-1]).all(axis=2).sum(axis=1).max()) for label in LABELS]
    assert lengths == [420, 140]


@pytest.mark.skipif("street-panoptic" not in embedded_names(), reason="the embedded bundles are not here")
def test_the_command_draws_a_sheet_of_the_worst_images(tmp_path):
    arguments = ["street-panoptic", "--annotations", "street://?frames=3&size=96x160", "--pictures", str(tmp_path)]
    outcome = CliRunner().invoke(evaluate, [*arguments, "--worst", "2", "--as", "all"], catch_exceptions=False)
    assert outcome.exit_code == 0
    names = {path.name.removeprefix("street-panoptic-") for path in tmp_path.iterdir()}
    techniques = ("semantic", "instance", "panoptic")
    assert names == {"worst.png", "confusion.png", *(f"{technique}-classes.png" for technique in techniques)}
    sheet = read_image(tmp_path / "street-panoptic-worst.png")
    assert sheet.shape[1] == 1800
    assert 500 < sheet.shape[0] < 900
