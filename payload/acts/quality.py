"""Holds what was found against what was simulated."""

import numpy as np

# What should have been found: charged particles in this range that left enough hits.
MIN_PT, MAX_ETA = 0.5, 2.5
# An event is found when one is within this time of it.
EVENT_TIME_NS = 10


class Quality:
    def __init__(self, truth, events, tracks, min_hits):
        particle, purity = majority(truth.hit_particle, tracks.hits)
        left = np.bincount(truth.hit_particle[truth.hit_particle >= 0], minlength=len(truth.pt))
        wanted = (truth.charge != 0) & (truth.pt > MIN_PT) & (np.abs(truth.eta) < MAX_ETA) & (left >= min_hits)
        good = (particle >= 0) & (purity > 0.5)
        found = np.bincount(particle[good], minlength=len(truth.pt))
        event, _ = majority(truth.hit_event, events.hits)
        residual = events.time - truth.event_time[event] if len(event) else np.zeros(0)
        self.particle, self.purity = np.where(good, particle, -1), purity
        self.pt_residual = tracks.pt[good] / truth.pt[particle[good]] - 1
        self.event_residual = residual
        self.counts = {
            "true_events": len(truth.event_time),
            "true_events_found": len(np.unique(event[np.abs(residual) < EVENT_TIME_NS])),
        }
        if len(truth.pt):  # some producers know their events only
            self.counts |= {
                "true_tracks": int(wanted.sum()),
                "true_tracks_found": int((found[wanted] > 0).sum()),
                "tracks_fake": int((~good).sum()),
                "tracks_twice": int(np.maximum(found - 1, 0).sum()),
            }


def majority(owner, groups):
    """Of each group of hits the owner of most of them, -1 when that is nobody, and its share."""
    most, share = np.full(len(groups), -1), np.zeros(len(groups))
    if len(groups) == 0:
        return most, share
    size = np.array([len(hits) for hits in groups])
    base = owner.max(initial=-1) + 2  # owners are from -1
    pairs, n = np.unique(np.repeat(np.arange(len(groups)), size) * base + owner[np.concatenate(groups)] + 1, return_counts=True)
    group = pairs // base
    order = np.lexsort((n, group))
    last = order[np.append(np.diff(group[order]) != 0, True)]  # of each group the pair with the most hits
    most[group[last]], share[group[last]] = pairs[last] % base - 1, n[last] / size[group[last]]
    return most, share
