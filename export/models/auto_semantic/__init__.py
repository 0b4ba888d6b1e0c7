"""Any `AutoModelForSemanticSegmentation` of Hugging Face transformers: hf:ORGANISATION/NAME, or hf:FOLDER.

It has no entries: `hub_entry` reads one off the network's own files when its name is given. Known to export: BEiT,
Data2Vec, DPT, MobileNetV2, MobileViT, MobileViTV2, SegFormer, UPerNet.
"""

from segrt.export.family import Model

MODELS: tuple[Model, ...] = ()
