#!/usr/bin/env python3
"""Reconstructs the time frames of a slice with ACTS: events from the times of hits, and the tracks of each.

Without arguments it is a payload of kind command (docs/payloads.md): it works on the slice that the variables describe.
With --serve it stays: it says {"ready": true} when it is, and answers every request, a line of JSON on stdin, with a line on
stdout. The section on acts in docs/payloads.md has the keys.
"""

import argparse
import errno
import json
import os
import sys
import time
import traceback

import awkward as ak
import numpy as np
import uproot

from detector import Detector
from events import Events
from failure import FAILED, INVALID, NO_SPACE, Failure
from frames import Frames
from histograms import Histogram
from quality import Quality
from tracking import MIN_HITS, Tracker

OUTPUT = "tracks.root"
INTS = {"trk_evt", "trk_charge", "trk_ndf", "trk_nhit", "trk_nhole", "trk_particle"}


class Reconstruction:
    """What is the same for all slices, built once."""

    def __init__(self, gap_ns):
        self.gap_ns = gap_ns
        self.detector = Detector()
        self.tracker = Tracker(self.detector)

    def run(self, path, first, last, folder):
        """The result of a slice, and what it says to people; the tracks go to a file in the folder."""
        started = time.perf_counter()
        frames = Frames(path, first, last)
        sensor = np.searchsorted(self.detector.sensors, frames.geo)
        known = self.detector.sensors[np.minimum(sensor, len(self.detector.sensors) - 1)] == frames.geo
        if not known.all():  # some of them would be a segmentation fault
            raise Failure(INVALID, f"{path}: {(~known).sum()} hits on sensors that the detector does not have")
        events = Events(frames, sensor, self.detector, self.gap_ns, MIN_HITS)
        tracks = self.tracker.find(frames, events)
        quality = Quality(frames.truth, events, tracks, MIN_HITS) if frames.truth else None
        histograms = make_histograms(frames, events, tracks, quality)
        write(os.path.join(folder, OUTPUT), frames, events, tracks, quality, histograms)
        counts = {
            "frames": len(frames.numbers), "hits": len(frames.time), "events": len(events), "tracks": len(tracks),
            "hits_in_no_event": len(frames.time) - sum(map(len, events.hits)), **(quality.counts if quality else {}),
        }
        result = {"counts": counts, "histograms": [h.wire for h in histograms], "outputs": [{"name": OUTPUT}]}
        return result, summary(counts, time.perf_counter() - started)


def make_histograms(frames, events, tracks, quality):
    def per(owner, n):
        return np.bincount(owner, minlength=n)

    out = [
        Histogram("track_pt", "track pT", "GeV", 50, 0, 12.5, tracks.pt),
        Histogram("track_eta", "track η", "", 60, -3, 3, tracks.eta),
        Histogram("track_phi", "track φ", "rad", 72, -np.pi, np.pi, tracks.phi),
        Histogram("track_z0", "track z0", "mm", 100, -200, 200, tracks.z0),
        Histogram("track_hits", "hits of a track", "", 25, -0.5, 24.5, tracks.nhit),
        Histogram("track_chi2", "track χ²/ndf", "", 50, 0, 5, tracks.chi2 / np.maximum(tracks.ndf, 1)),
        Histogram("pixel_residual", "hit − track in the pixels", "µm", 60, -60, 60, 1000 * tracks.pixel_residual),
        Histogram("events_per_frame", "events per time frame", "", 100, -0.5, 99.5, per(events.frame, len(frames.numbers))),
        Histogram("tracks_per_event", "tracks per event", "", 50, -0.5, 49.5, per(tracks.event, len(events))),
    ]
    if quality:
        out += [
            Histogram("pt_residual", "pT / true pT − 1", "", 100, -0.1, 0.1, quality.pt_residual),
            Histogram("event_time_residual", "event time − true time", "ns", 100, -10, 10, quality.event_residual),
        ]
    return out


def write(path, frames, events, tracks, quality, histograms):
    n = len(frames.numbers)
    first_of_frame = np.searchsorted(events.frame, np.arange(n))
    frame = events.frame[tracks.event]
    per_event = np.bincount(tracks.event, minlength=len(events))
    evt = {"evt_time": events.time, "evt_nhit": np.array([len(h) for h in events.hits], "i4"), "evt_ntrk": per_event.astype("i4")}
    trk = {
        "trk_evt": tracks.event - first_of_frame[frame], "trk_pt": tracks.pt, "trk_eta": tracks.eta, "trk_phi": tracks.phi,
        "trk_charge": tracks.charge, "trk_d0": tracks.d0, "trk_z0": tracks.z0, "trk_chi2": tracks.chi2, "trk_ndf": tracks.ndf,
        "trk_nhit": tracks.nhit, "trk_nhole": tracks.holes,
    }
    if quality:
        trk |= {"trk_particle": quality.particle, "trk_purity": quality.purity}
    trk = {k: v.astype("i4" if k in INTS else "f4") for k, v in trk.items()}

    def jagged(columns, owner):
        counts = np.bincount(owner, minlength=n)
        return ak.zip({k: ak.unflatten(v, counts) for k, v in columns.items()})

    def record(columns):
        return "var * {" + ", ".join(f"{k}: {v.dtype.name}" for k, v in columns.items()) + "}"

    # Under a temporary name, so that a file of this name is always whole.
    try:
        with uproot.recreate(path + ".part") as f:
            tree = f.mktree("tracks", {"tf": "int32", "evt": record(evt), "trk": record(trk)},
                            counter_name=lambda outer: {"evt": "nevt", "trk": "ntrk"}[outer], field_name=lambda _, inner: inner)
            tree.extend({"tf": frames.numbers.astype("i4"), "evt": jagged(evt, events.frame), "trk": jagged(trk, frame)})
            for h in histograms:
                f[h.name] = (h.counts, h.edges)
        os.replace(path + ".part", path)
    except OSError as e:
        raise Failure(NO_SPACE if e.errno in (errno.ENOSPC, errno.EDQUOT) else FAILED, f"writing {path}: {e}") from e


def summary(counts, seconds):
    text = f"{counts['events']} events, {counts['tracks']} tracks in {seconds:.2f} s"
    if counts.get("true_tracks"):
        text += f"; efficiency {100 * counts['true_tracks_found'] / counts['true_tracks']:.1f} %"
        text += f", fakes {100 * counts['tracks_fake'] / max(counts['tracks'], 1):.1f} %"
        text += f", events found {100 * counts['true_events_found'] / counts['true_events']:.1f} %"
    return text


def answer(reconstruction, request):
    """What becomes of a request: status as of kind command, and the result or a message."""
    req_id = request.get("req_id") if isinstance(request, dict) else None
    try:
        try:
            args = request["input"], int(request["first"]), int(request["last"]), request["dir"]
        except (KeyError, TypeError, ValueError) as e:
            raise Failure(INVALID, f"a request needs input, first, last and dir: {type(e).__name__}: {e}") from e
        result, said = reconstruction.run(*args)
        if req_id is not None:
            result["req_id"] = req_id
        return {"req_id": req_id, "status": 0, "message": said, "result": result}
    except Failure as e:
        return {"req_id": req_id, "status": e.status, "message": str(e)}
    except Exception as e:  # the next slice may be better
        traceback.print_exc()
        return {"req_id": req_id, "status": FAILED, "message": str(Failure(FAILED, f"{type(e).__name__}: {e}"))}


def once(reconstruction):
    env = os.environ
    reply = answer(reconstruction, {"req_id": env["TFPILOT_REQ_ID"], "input": env["TFPILOT_INPUT"], "dir": os.getcwd(),
                                    "first": env["TFPILOT_FIRST"], "last": env["TFPILOT_LAST"]})
    if reply["status"]:
        print(reply["message"], file=sys.stderr)
        return reply["status"]
    print(reply["message"])
    with open(env["TFPILOT_RESULT"], "w") as f:
        json.dump(reply["result"], f)
    return 0


def serve(gap_ns):
    # ACTS prints on stdout, which is for replies: what others print goes to stderr from here on.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    started = time.perf_counter()
    reconstruction = Reconstruction(gap_ns)
    print(json.dumps({"ready": True, "seconds": round(time.perf_counter() - started, 3)}), file=replies)
    for line in sys.stdin:
        try:
            request = json.loads(line)
        except ValueError as e:
            request = str(e)
        started = time.perf_counter()
        reply = answer(reconstruction, request)
        print(json.dumps({**reply, "seconds": round(time.perf_counter() - started, 3)}), file=replies)
    return 0


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--serve", action="store_true", help="stay, and work on one slice after another")
    p.add_argument("--gap", type=float, default=50, metavar="NS", help="events end where no hit comes for so long (default %(default)s)")
    a = p.parse_args()
    if not a.gap > 0:
        p.error(f"--gap {a.gap}: must be more than 0")
    if a.serve:
        return serve(a.gap)
    if "TFPILOT_RESULT" not in os.environ:
        p.error("no slice: `wrapper run --payload acts.toml` runs this as a pilot does, --serve waits for requests")
    return once(Reconstruction(a.gap))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
