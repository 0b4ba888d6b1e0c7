"""From heads to results: one file for each technique, looked up by (rule, device) in `table`."""
