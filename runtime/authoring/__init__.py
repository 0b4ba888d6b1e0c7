"""Writes bundles on a device: pairs, copies with other thresholds; and verifies them before they are put in place."""
