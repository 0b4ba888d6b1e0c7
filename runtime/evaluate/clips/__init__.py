"""Accuracy of tracked results on clips: video panoptic quality, segmentation and tracking quality, HOTA, IDF1, MOTA."""
