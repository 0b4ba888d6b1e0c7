"""Enters what draws results, for results stand below it; whoever makes a result imports this."""

from segrt.runtime.results.viewing import DRAWERS

DRAWERS.add("overlay", "segrt.runtime.segmenter.plotting:plot")
