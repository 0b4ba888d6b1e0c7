"""From heads to results: one file for each decode rule, with its thresholds and its decoder; `decoders` lists them."""
