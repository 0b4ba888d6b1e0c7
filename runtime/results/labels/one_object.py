"""The one class of networks that segment what they are pointed at, whatever it is."""

from segrt.runtime.results.labels.label import Label

OBJECT_LABEL = Label("object", 1, True, (220, 60, 60))
LABELS = (OBJECT_LABEL,)
