"""The model families that can be exported: one file each, and the table of models."""
