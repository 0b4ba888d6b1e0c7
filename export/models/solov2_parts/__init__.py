"""SOLOv2, written from the paper (X. Wang et al., "SOLOv2: Dynamic and Fast Instance Segmentation", NeurIPS 2020).

Modules are named as mmdetection's, so that its published weights load.
"""
