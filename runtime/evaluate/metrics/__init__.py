"""The metrics: IoU of classes, average precision of objects, panoptic quality. One file each."""
