"""Clips of what a rule spoke of: a bounded memory of encoded packets, and the files made of it."""
