"""Bundles that an inference server executes: pictures go to it, results come back."""
