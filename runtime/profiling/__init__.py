"""Latency of bundles: measured in turn, stage by stage, with an interval for each median, by technique."""
