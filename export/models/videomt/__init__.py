"""VidEoMT (Norouzi et al., "Your ViT is Secretly Also a Video Segmentation Model") of transformers.

Instances of videos. It has no entries, for its class lists are those of video data sets: folders and repositories are
named, hf:tue-mps/videomt-dinov2-small-ytvis2019 for instance.
"""

from segrt.export.family import Model

MODELS: tuple[Model, ...] = ()
