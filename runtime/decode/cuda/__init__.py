"""Decoders for heads that lie on the GPU; the CPU's are beside the rules."""
