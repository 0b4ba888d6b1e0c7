"""Latency, told truthfully: measured interleaved, with an interval for each median, stage by stage, by technique.

`measuring` runs the candidates, `statistics` makes figures of the samples, `records` is what the JSON holds, `report`
the page; `baseline`, `budget` and `pareto` answer questions about the figures.
"""
