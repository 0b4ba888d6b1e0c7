"""Any network of segmentation_models_pytorch: smp:ARCHITECTURE/ENCODER, or smp:FOLDER that its save_pretrained wrote.

It has no entries: `smp_entry` reads one off the name when it is given.
"""

from segrt.export.family import Model

MODELS: tuple[Model, ...] = ()
