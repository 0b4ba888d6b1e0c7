"""Cityscapes' 19 evaluated classes in the order of their train ids, with the ids of the label pictures."""

from segrt.runtime.results import Label

# name, id in the label pictures, isthing, RGB
LABELS = (
    Label("road", 7, False, (128, 64, 128)),
    Label("sidewalk", 8, False, (244, 35, 232)),
    Label("building", 11, False, (70, 70, 70)),
    Label("wall", 12, False, (102, 102, 156)),
    Label("fence", 13, False, (190, 153, 153)),
    Label("pole", 17, False, (153, 153, 153)),
    Label("traffic light", 19, False, (250, 170, 30)),
    Label("traffic sign", 20, False, (220, 220, 0)),
    Label("vegetation", 21, False, (107, 142, 35)),
    Label("terrain", 22, False, (152, 251, 152)),
    Label("sky", 23, False, (70, 130, 180)),
    Label("person", 24, True, (220, 20, 60)),
    Label("rider", 25, True, (255, 0, 0)),
    Label("car", 26, True, (0, 0, 142)),
    Label("truck", 27, True, (0, 0, 70)),
    Label("bus", 28, True, (0, 60, 100)),
    Label("train", 31, True, (0, 80, 100)),
    Label("motorcycle", 32, True, (0, 0, 230)),
    Label("bicycle", 33, True, (119, 11, 32)),
)
