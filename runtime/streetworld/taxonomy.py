"""The classes of the street world: five of stuff, six of things, numbered from 1 as data sets do."""

from segrt.runtime.results.labels.label import Label

STUFF = ("sky", "building", "road", "pavement", "grass")
THINGS = ("car", "bus", "person", "cyclist", "traffic light", "dog")
CLASSES = STUFF + THINGS

# RGB. Stuff is muted so that things stand out; neighbours in the picture differ in lightness as well as in hue.
COLORS = {
    "sky": (135, 190, 235),
    "building": (120, 110, 125),
    "road": (95, 75, 115),
    "pavement": (225, 150, 205),
    "grass": (110, 165, 75),
    "car": (40, 105, 235),
    "bus": (245, 160, 30),
    "person": (230, 45, 65),
    "cyclist": (25, 195, 185),
    "traffic light": (250, 225, 60),
    "dog": (165, 85, 235),
}


def street_labels(names: tuple[str, ...] = CLASSES) -> tuple[Label, ...]:
    """Return the labels of `names` in this order; `dataset_id` is the class's number in `CLASSES`, counted from 1."""
    return tuple(
        Label(name=name, dataset_id=CLASSES.index(name) + 1, isthing=name in THINGS, color=COLORS[name])
        for name in names
    )
