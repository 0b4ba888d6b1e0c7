"""What executes networks: the interface of slots, a backend in one file or package each, and CUDA.

`tensors` says what inputs and heads are, `network_file` what a backend is opened from, `backend` what every backend
does; `backends` lists them and opens one. Nothing here knows bundles.
"""
