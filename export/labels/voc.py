"""Pascal VOC's background and 20 things, ids and colours as in VOCdevkit's segmentation classes."""

from segrt.runtime.results import Label

# name, id in the label pictures, isthing, RGB
LABELS = (
    Label("background", 0, False, (0, 0, 0)),
    Label("aeroplane", 1, True, (128, 0, 0)),
    Label("bicycle", 2, True, (0, 128, 0)),
    Label("bird", 3, True, (128, 128, 0)),
    Label("boat", 4, True, (0, 0, 128)),
    Label("bottle", 5, True, (128, 0, 128)),
    Label("bus", 6, True, (0, 128, 128)),
    Label("car", 7, True, (128, 128, 128)),
    Label("cat", 8, True, (64, 0, 0)),
    Label("chair", 9, True, (192, 0, 0)),
    Label("cow", 10, True, (64, 128, 0)),
    Label("dining table", 11, True, (192, 128, 0)),
    Label("dog", 12, True, (64, 0, 128)),
    Label("horse", 13, True, (192, 0, 128)),
    Label("motorbike", 14, True, (64, 128, 128)),
    Label("person", 15, True, (192, 128, 128)),
    Label("potted plant", 16, True, (0, 64, 0)),
    Label("sheep", 17, True, (128, 64, 0)),
    Label("sofa", 18, True, (0, 192, 0)),
    Label("train", 19, True, (128, 192, 0)),
    Label("tv monitor", 20, True, (0, 64, 128)),
)
