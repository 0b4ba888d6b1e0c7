"""CUDA from Python, as far as segrt needs it: memory, streams, events, graphs, and errors that say what happened.

`interface` is what the rest of segrt sees, `cuda_python` and `pycuda_driver` implement it, `choice` takes the one that
is installed, `presence` looks for a GPU without loading anything, `cuda_errors` says what a failed call means.
"""
