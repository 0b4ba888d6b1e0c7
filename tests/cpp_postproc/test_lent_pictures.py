"""Pictures of pasted masks whose memory is used again."""

import numpy as np

from segrt.runtime.postproc import paste_masks

SIZE = (700, 800)
MASKS = np.ones((3, 4, 4), np.float32)


def boxes(left):
    return np.array([[left, 10, left + 50, 90]] * 3, np.float32)


def test_memory_of_a_result_that_was_let_go_is_used_again_and_cleared():
    first = paste_masks(MASKS, boxes(300), SIZE)
    expected, address = paste_masks(MASKS, boxes(20), SIZE).copy(), first.ctypes.data
    first[:] = True  # a user's own marks must not come back
    del first
    again = paste_masks(MASKS, boxes(20), SIZE)
    seen = {again.ctypes.data, paste_masks(MASKS, boxes(20), SIZE).ctypes.data}
    assert address in seen
    np.testing.assert_array_equal(again, expected)


def test_memory_that_a_view_still_shows_is_left_alone():
    first = paste_masks(MASKS, boxes(300), SIZE)
    view, expected = first[1], first[1].copy()
    del first
    others = [paste_masks(MASKS, boxes(20), SIZE) for _ in range(3)]
    np.testing.assert_array_equal(view, expected)
    assert all(not np.shares_memory(view, other) for other in others)
