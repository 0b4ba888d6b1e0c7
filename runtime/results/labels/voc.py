"""Pascal VOC's background and 20 things, with VOCdevkit's ids.

The colours are segrt's own: VOC's grey car and dark greens cannot be told from the street they stand on.
"""

from segrt.runtime.results import Label

# name, id in the label pictures, isthing, RGB
LABELS = (
    Label("background", 0, False, (0, 0, 0)),
    Label("aeroplane", 1, True, (209, 242, 68)),
    Label("bicycle", 2, True, (225, 50, 190)),
    Label("bird", 3, True, (92, 204, 160)),
    Label("boat", 4, True, (204, 127, 92)),
    Label("bottle", 5, True, (94, 92, 204)),
    Label("bus", 6, True, (20, 190, 190)),
    Label("car", 7, True, (40, 110, 240)),
    Label("cat", 8, True, (225, 140, 90)),
    Label("chair", 9, True, (255, 238, 140)),
    Label("cow", 10, True, (205, 140, 255)),
    Label("dining table", 11, True, (140, 255, 171)),
    Label("dog", 12, True, (200, 120, 50)),
    Label("horse", 13, True, (255, 205, 90)),
    Label("motorbike", 14, True, (170, 60, 230)),
    Label("person", 15, True, (232, 62, 82)),
    Label("potted plant", 16, True, (92, 204, 183)),
    Label("sheep", 17, True, (204, 150, 92)),
    Label("sofa", 18, True, (66, 29, 191)),
    Label("train", 19, True, (20, 140, 150)),
    Label("tv monitor", 20, True, (191, 29, 87)),
)
