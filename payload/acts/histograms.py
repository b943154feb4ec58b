"""Histograms as results carry them (docs/payloads.md), and as ROOT files do."""

import math

import numpy as np

# How finely values enter the sums, as tfpilot's own histograms have it: sums of such steps are exact, so that the merged
# histogram does not depend on how a run was sliced.
GRID_BITS = 20


class Histogram:
    def __init__(self, name, title, unit, nbins, low, high, values, log_y=False):
        x = np.asarray(values, float)
        step = math.ldexp(1, math.frexp(max(abs(low), abs(high)))[1] - GRID_BITS)
        square_step = step * step * (1 << GRID_BITS)
        inside = x[(x >= low) & (x < high)]
        bins = np.minimum((nbins * ((inside - low) / (high - low))).astype(int), nbins - 1)
        self.name = name
        self.edges = np.linspace(low, high, nbins + 1)
        self.counts = np.bincount(bins, minlength=nbins)
        self.wire = {
            "name": name, "title": title, "unit": unit, "log_y": log_y, "nbins": nbins, "low": low, "high": high,
            "counts": self.counts.tolist(), "underflow": int((x < low).sum()), "overflow": int((x >= high).sum()),
            "nan": int(np.isnan(x).sum()), "entries": len(x), "sum_w": len(inside),
            "sum_wx": float((np.rint(inside / step) * step).sum()),
            "sum_wx2": float((np.rint(inside * inside / square_step) * square_step).sum()),
        }
