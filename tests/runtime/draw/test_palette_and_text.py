"""Colours are stable and distinct; text is drawn in full and only in letters that the font has."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from segrt.runtime.draw import text
from segrt.runtime.results.labels import palette


def test_class_colors_are_distinct():
    colors = [palette.class_color(index) for index in range(40)]
    assert len(set(colors)) == 40
    for first, second in pairwise(colors):
        assert np.abs(np.subtract(first, second)).sum() > 100


def test_common_classes_have_fitting_colors_whatever_their_place():
    sky, car = palette.label_color("sky", 0), palette.label_color("car", 1)
    assert sky[2] == max(sky)
    assert palette.label_color("Car", 5) == car
    assert palette.label_color("gizmo", 0) not in (sky, car)
    assert palette.label_color("sky-other-merged", 9) == sky
    assert palette.label_color("background", 3) == (0, 0, 0)


def test_shades_differ_from_each_other_but_stay_near_their_class():
    color = (40, 110, 240)
    shades = [palette.shade(color, index) for index in range(palette.SHADES)]
    assert shades[0] == color
    assert len(set(shades)) == palette.SHADES
    assert palette.shade(color, palette.SHADES) == color
    for shade in shades:
        assert shade[2] == max(shade)
        assert all(0 <= channel <= 255 for channel in shade)


def test_neighbours_of_one_class_get_different_shades():
    chosen = palette.instance_shades([2, 2, 2, 5], [0.10, 0.11, 0.12, 0.11])
    assert len(set(chosen[:3])) == 3


def test_an_objects_shade_does_not_depend_on_others_far_away():
    (alone,) = palette.instance_shades([2], [0.8])
    assert palette.instance_shades([2, 2, 2], [0.1, 0.8, 0.3])[1] == alone


def test_an_objects_shade_is_its_tracks_wherever_it_goes() -> None:
    assert palette.instance_shades([2, 2, 5], [0.1, 0.8, 0.3], [7, 8, 7]) == [2, 3, 2]
    assert palette.instance_shades([2, 2, 5], [0.9, 0.2, 0.7], [7, 8, 7]) == [2, 3, 2]
    assert palette.instance_shades([2, 2], [0.1, 0.8], [None, 8]) == [*palette.instance_shades([2], [0.1]), 3]
    assert palette.instance_shades([2], [0.8], [None]) == palette.instance_shades([2], [0.8])


def test_a_pill_grows_with_its_text_and_its_size():
    short, long = text.pill("car", "", 14, (9, 9, 200)), text.pill("car", "0.93", 14, (9, 9, 200))
    assert short.size[0] == long.size[0]
    assert short.size[1] < long.size[1]
    assert text.pill("car", "", 28, (9, 9, 200)).size[0] == pytest.approx(2 * short.size[0], abs=2)
    assert text.pill("car", "", 14, (9, 9, 200)) is short


def test_a_name_is_drawn_once_whatever_its_scores_and_a_score_once_for_all_names():
    first, second = text.pill("car 7", "0.93", 14, (9, 9, 200)), text.pill("car 7", "0.94", 14, (9, 9, 200))
    other = text.pill("person", "0.93", 14, (200, 9, 9))
    assert first.parts[0] is second.parts[0]
    assert first.parts[1] is other.parts[1]
    assert first.size == (first.parts[0].size[0], sum(part.size[1] for part in first.parts))


def test_a_pill_of_two_parts_is_one_dark_pill_with_round_ends():
    canvas = np.full((60, 200, 3), 250, np.uint8)
    pill = text.pill("car", "0.93", 20, (9, 9, 200))
    text.paste(canvas, [(pill, 10, 10)])
    (tall, wide), row = pill.size, 13  # above the letters
    assert (canvas[row, 20 : 10 + wide - 10] < 80).all(), "no gap where the parts meet"
    assert (canvas[10, [10, 9 + wide]] > 200).all(), "round at both ends"
    assert (canvas[10 + tall // 2, [11, 8 + wide]] < 200).all()
    changed = (canvas != 250).any(axis=2)
    assert changed.any(axis=0).sum() == wide


def test_a_sprite_is_cut_at_the_canvas_edge():
    sprite = text.pill("traffic light", "0.50", 16, (250, 200, 40))
    canvas = np.full((30, 40, 3), 200, np.uint8)
    for left, top in ((-20, -5), (30, 20), (500, 500), (-500, 0)):
        text.paste(canvas, [(sprite, left, top)])
    assert canvas.shape == (30, 40, 3)
    assert (canvas[25:, 35:] != 200).any()


def test_letters_without_a_glyph_are_spelled_or_marked():
    assert text.printable("640 × 480 · Zürich – Čech 車") == "640 x 480 · Zurich - Cech ?"


def test_drawing_is_imported_only_when_asked_for():
    code = "import sys; import segrt.runtime.draw; assert 'cv2' not in sys.modules and 'PIL' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
