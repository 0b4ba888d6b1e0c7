"""Labelled data sets: COCO, folders of label pictures, the street world."""
