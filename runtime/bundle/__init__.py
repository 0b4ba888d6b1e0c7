"""The bundle: an immutable folder with one deployable model.

`manifest` says what a bundle holds, `parse` reads it strictly, `check` finds contradictions, `bundle` opens the folder,
`golden` and `agreement` are its self-check, `writer` makes a new one.
"""
