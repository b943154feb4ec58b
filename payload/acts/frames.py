"""Reads the time frames of a slice, and checks all that could be wrong with them before ACTS sees it."""

import json
import os

import awkward as ak
import google_crc32c
import numpy as np
import uproot

from detector import NAME
from failure import CORRUPT, INVALID, MISSING, RANGE, Failure


class Frames:
    """Frames first to last of a file: columns over all of their hits, sorted by time within each frame."""

    def __init__(self, path, first, last):
        if not os.path.isfile(path):
            raise Failure(MISSING, f"{path}: there is no such file")
        try:
            with uproot.open(path) as f:
                self._read(f, path, first, last)
        except Failure:
            raise
        except Exception as e:  # of a damaged file uproot raises anything
            raise Failure(CORRUPT, f"{path}: {type(e).__name__}: {e}") from e

    def _read(self, f, path, first, last):
        if "geometry" not in f or "hits" not in f:
            raise Failure(CORRUPT, f"{path} is no time-frame file")
        geometry = json.loads(str(f["geometry"]))
        if geometry["name"] != NAME:
            raise Failure(INVALID, f"{path} is of the detector {geometry['name']}, not {NAME}")
        tree = f["hits"]
        if not 0 <= first <= last < tree.num_entries:
            raise Failure(RANGE, f"frames {first} to {last} of {path}: it holds 0 to {tree.num_entries - 1}")
        missing = {"tf", "nhit", "crc", "time", "geo", "loc0", "loc1"} - set(tree.keys())
        if missing:
            raise Failure(INVALID, f"{path}: the hits have no {', '.join(sorted(missing))}")
        data = tree.arrays(entry_start=first, entry_stop=last + 1)
        self.numbers = np.arange(first, last + 1)
        if (ak.to_numpy(data["tf"]) != self.numbers).any():
            raise Failure(CORRUPT, f"{path} is damaged: its frames are not numbered")
        self.nhit = ak.to_numpy(data["nhit"])
        flat = {name: ak.to_numpy(ak.flatten(data[name])) for name in data.fields if data[name].ndim == 2}
        check_sums(path, data, flat)
        frame = np.repeat(np.arange(len(self.nhit)), self.nhit)
        order = np.lexsort((flat["time"], frame))
        self.frame = frame[order]
        self.time, self.geo, self.loc0, self.loc1 = (flat[k][order] for k in ("time", "geo", "loc0", "loc1"))
        if not (np.isfinite(self.loc0).all() and np.isfinite(self.loc1).all()):
            raise Failure(INVALID, f"{path}: hits at positions that are no numbers")  # tracks would be lost silently
        self.truth = Truth(f["truth"], first, last, order) if "truth" in f else None


def check_sums(path, data, flat):
    """Nothing in ROOT notices a wrong byte: every frame has a checksum (docs/time-frame-files.md)."""
    names = ["time", *sorted(set(flat) - {"time"})]
    start = 0
    for tf, n, want in zip(*(ak.to_numpy(data[k]) for k in ("tf", "nhit", "crc"))):
        text = b"".join(np.array(x, "<u4").tobytes() for x in (tf, n))
        for name in names:
            values = flat[name][start:start + n]
            text += (b"" if name == "time" else name.encode()) + values.astype(values.dtype.newbyteorder("<")).tobytes()
        if google_crc32c.value(text) != want:
            raise Failure(CORRUPT, f"{path} is damaged: frame {tf} has the wrong checksum")
        start += n


class Truth:
    """What was simulated: used to measure how good the reconstruction is, and for nothing else."""

    def __init__(self, tree, first, last, order):
        data = tree.arrays(entry_start=first, entry_stop=last + 1)
        ntrk, nevt = ak.to_numpy(data["ntrk"]), ak.to_numpy(data["nevt"])

        def flat(name):
            return ak.to_numpy(ak.flatten(data[name]))

        def shifted(name, counts):
            """References to a frame's particles or collisions, as such to those of the slice."""
            start = np.concatenate([[0], np.cumsum(counts)[:-1]])
            refs = data[name]
            return ak.to_numpy(ak.flatten(ak.where(refs < 0, -1, refs + start)))

        self.pt, self.eta, self.charge = flat("trk_pt"), flat("trk_eta"), flat("trk_charge")
        self.event_frame, self.event_time = np.repeat(np.arange(len(nevt)), nevt), flat("evt_time")
        # Of each hit its particle and its collision.
        self.hit_particle = shifted("hit_trk", ntrk)[order]
        self.hit_event = shifted("hit_evt", nevt)[order]
