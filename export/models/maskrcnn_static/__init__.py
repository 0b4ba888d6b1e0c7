"""torchvision's Mask R-CNN with static shapes alone: no NonZero, NonMaxSuppression or RoiAlign, for TensorRT.

The layers are the source network's own; anchors, selection, suppression and pooling are written anew.
"""
