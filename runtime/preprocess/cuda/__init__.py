"""Pictures brought to a network's input on the GPU, with the CPU's bits."""
