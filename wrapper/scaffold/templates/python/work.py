"""The work of PAYLOAD_NAME on a slice."""

import os

# Exit statuses that say what a failure means (docs/payloads.md); any other one is a failure that may pass.
PERMANENT, DATA_MISSING, DATA_CORRUPT = 11, 20, 21


class Failure(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def work(path, first, last, folder):
    """The result for the frames first to last, both inclusive and counted from 0. Files are written into the folder.

    This is the place for your own work. With uproot the hits of the frames are
        uproot.open(path)["hits"].arrays(entry_start=first, entry_stop=last + 1)
    """
    try:
        with open(path, "rb") as f:
            data = f.read(1 << 16)
    except FileNotFoundError as e:
        raise Failure(DATA_MISSING, str(e)) from e
    if not data:
        raise Failure(DATA_CORRUPT, f"{path} is empty")
    with open(os.path.join(folder, "summary.txt"), "w") as out:
        out.write(f"frames {first} to {last}: looked at {len(data)} bytes\n")
    return {
        "counts": {"frames": last - first + 1, "bytes": len(data)},
        "histograms": [histogram("byte", "value of a byte", 16, 0, 256, data)],
        "outputs": [{"name": "summary.txt"}],
    }


def histogram(name, title, nbins, low, high, values):
    """Values in bins of equal width, as displays want them. The axis of a name is the same in every slice."""
    counts, inside, underflow, overflow = [0] * nbins, [], 0, 0
    for x in values:
        if x < low:
            underflow += 1
        elif x >= high:
            overflow += 1
        else:
            counts[min(int((x - low) / (high - low) * nbins), nbins - 1)] += 1
            inside.append(x)
    return {
        "name": name, "title": title, "nbins": nbins, "low": low, "high": high, "counts": counts,
        "underflow": underflow, "overflow": overflow, "entries": len(inside) + underflow + overflow,
        "sum_w": len(inside), "sum_wx": sum(inside), "sum_wx2": sum(x * x for x in inside),
    }
