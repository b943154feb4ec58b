"""Finds the events of time frames from the times of their hits: nothing else tells which belong together."""

import numpy as np


class Events:
    """Groups of hits that are close in time. hit[i] are the hits of event i, as places in the slice."""

    def __init__(self, frames, sensor, detector, gap_ns, min_hits):
        # When each hit's particle left the collision, had it flown straight and with light.
        start = frames.time - detector.flight[sensor]
        order = np.lexsort((start, frames.frame))
        border = np.flatnonzero((np.diff(frames.frame[order]) != 0) | (np.diff(start[order]) > gap_ns)) + 1
        groups = np.split(order, border) if len(order) else []
        self.hits = [np.sort(g) for g in groups if len(g) >= min_hits]  # fewer cannot be a track: noise, or stragglers
        self.frame = np.array([frames.frame[g[0]] for g in self.hits], int)
        self.time = np.array([np.median(start[g]) for g in self.hits])

    def __len__(self):
        return len(self.hits)
