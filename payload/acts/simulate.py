#!/usr/bin/env python3
"""Simulates events for `daq --replay`: particle gun, Fatras on the Generic detector of ACTS, smeared hits.

The file has the trees `hits` and `truth` with one entry per event, as docs/time-frame-files.md says. A hit is a sensor
(`geo`, the identifier of ACTS) and a position on it (`loc0`, `loc1`, mm); its time is that of flight since the collision.
With --noise, every hit gets a number of others beside it on its own sensor, which no particle made.
"""

import argparse
import json
import os
import sys
import tempfile

import acts
import acts.examples as ex
import acts.examples.hepmc3 as hepmc3
import acts.examples.json as exjson
import awkward as ak
import numpy as np
import uproot
from acts import UnitConstants as u

from detector import FIELD_TESLA, NAME, QUIET, SIGMA, Detector

CHUNK = 500  # events in memory at once, and in a basket of the file

HIT = {"time": "float32", "geo": "uint64", "loc0": "float32", "loc1": "float32"}
PARTICLE = {"trk_pt": "float32", "trk_eta": "float32", "trk_phi": "float32", "trk_charge": "int32"}
VERTEX = ("evt_x", "evt_y", "evt_z")


def main():
    a = arguments()
    # What ACTS prints belongs to its errors; the one line on stdout is ours.
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    detector = Detector()
    random = ex.RandomNumbers(seed=a.seed)
    hits = particles = 0
    part = f"{a.out}.part"
    try:
        with uproot.recreate(part) as f:
            f["geometry"] = json.dumps({"name": NAME, "field_tesla": FIELD_TESLA})
            trees = make_trees(f)
            for first in range(0, a.events, CHUNK):
                n = min(CHUNK, a.events - first)
                events = simulate(detector, random, a, first, n)
                if a.noise:
                    add_noise(events, a, np.random.default_rng((a.seed, first)))
                write(trees, events)
                hits += sum(len(e.hits) for e in events)
                particles += sum(len(e.particles) for e in events)
        os.replace(part, a.out)
    finally:
        if os.path.exists(part):
            os.unlink(part)
    json.dump({"file": a.out, "bytes": os.path.getsize(a.out), "events": a.events, "particles": particles, "hits": hits}, report)
    report.write("\n")


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("out", help="the file to write")
    p.add_argument("--events", type=int, default=1000)
    p.add_argument("--particles", type=int, default=6, help="particles of an event")
    p.add_argument("--pdg", default="eMuon", help="which: a name of acts.PdgParticle, such as ePionPlus")
    p.add_argument("--pt", type=float, nargs=2, default=(0.5, 10.0), metavar=("MIN", "MAX"), help="transverse momentum, GeV")
    p.add_argument("--eta", type=float, default=2.5, help="uniform in pseudorapidity up to here")
    p.add_argument("--noise", type=int, default=0, help="noise hits beside each true one, on its sensor")
    p.add_argument("--noise-spread", type=float, default=0.3, help="how far from it (sigma), mm")
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    for name, ok in (("events", a.events > 0), ("particles", a.particles > 0), ("pt", 0 < a.pt[0] < a.pt[1]), ("eta", 0 < a.eta <= 4),
                     ("noise", a.noise >= 0), ("noise-spread", a.noise_spread > 0), ("seed", a.seed >= 0)):
        if not ok:
            p.error(f"--{name}: out of range")
    if not hasattr(acts.PdgParticle, a.pdg):
        p.error(f"--pdg {a.pdg}: acts.PdgParticle has no such name")
    folder = os.path.dirname(a.out) or "."
    if not os.path.isdir(folder):
        p.error(f"{a.out}: there is no folder {folder}")
    return a


class Event:
    """Rows in the order of HIT and PARTICLE; hit_trk names the particle of each hit, -1 for none."""

    def __init__(self, vertex, particles, hits, hit_trk):
        self.vertex, self.particles, self.hits, self.hit_trk = vertex, particles, hits, hit_trk


class Collect(ex.IAlgorithm):
    """Copies what was simulated out of the event store, which dies with the event."""

    INPUTS = (
        (ex.MeasurementContainer, "measurements"), (ex.SimHitContainer, "simhits"), (ex.SimParticleContainer, "particles_simulated"),
        (ex.MeasurementParticlesMap, "measurement_particles"), (ex.MeasurementSimHitsMap, "measurement_simhits"),
    )

    def __init__(self):
        super().__init__("Collect", QUIET)
        self.events = {}
        self.handles = []
        for kind, key in self.INPUTS:
            h = ex.ReadDataHandle(self, kind, "in_" + key)
            h.initialize(key)
            self.handles.append(h)

    def execute(self, ctx):
        measurements, simhits, simulated, particle_of, simhit_of = (h(ctx.eventStore) for h in self.handles)
        index, particles, vertex = {}, [], (0.0, 0.0, 0.0)
        times = [h.time for h in simhits]
        for p in simulated:
            if p.charge == 0:
                continue
            if not particles:
                vertex = tuple(p.fourPosition[i] for i in range(3))
            index[barcode(p.particleId)] = len(particles)
            px, py, pz = (p.fourMomentum[i] for i in range(3))
            pt = float(np.hypot(px, py))
            particles.append((pt, float(np.arcsinh(pz / pt)) if pt else 0.0, float(np.arctan2(py, px)), int(np.sign(p.charge))))
        hits, hit_trk = [], []
        for i in range(len(measurements)):
            position = measurements[i].fullParameters
            hits.append((times[simhit_of.valuesFor(i)[0]] / u.ns, measurements[i].geometryId.value, position[0], position[1]))
            hit_trk.append(index.get(barcode(particle_of.valuesFor(i)[0]), -1))
        self.events[ctx.eventNumber] = Event(vertex, particles, hits, hit_trk)
        return ex.ProcessCode.SUCCESS


def barcode(b):
    return b.vertexPrimary, b.vertexSecondary, b.particle, b.generation, b.subParticle


def simulate(detector, random, a, first, n):
    """The events first to first+n-1. An event depends on its number and the seed only."""
    s = ex.Sequencer(skip=first, events=n, numThreads=1, logLevel=QUIET, trackFpes=False)
    gun = ex.ParametricParticleGenerator(
        p=(a.pt[0] * u.GeV, a.pt[1] * u.GeV), pTransverse=True, eta=(-a.eta, a.eta), etaUniform=True, numParticles=a.particles,
        pdg=getattr(acts.PdgParticle, a.pdg), randomizeCharge=True)
    vertex = ex.GaussianVertexGenerator(mean=acts.Vector4(0, 0, 0, 0), stddev=acts.Vector4(0.02, 0.02, 30, 0))
    s.addReader(ex.EventGenerator(level=QUIET, randomNumbers=random, outputEvent="gun", generators=[
        ex.EventGenerator.Generator(multiplicity=ex.FixedMultiplicityGenerator(n=1), vertex=vertex, particles=gun)]))
    s.addAlgorithm(hepmc3.HepMC3InputConverter(
        level=QUIET, inputEvent="gun", outputParticles="particles", outputVertices="vertices", mergePrimaries=False))
    s.addAlgorithm(ex.FatrasSimulation(
        level=QUIET, inputParticles="particles", outputParticles="particles_simulated", outputSimHits="simhits", randomNumbers=random,
        trackingGeometry=detector.geometry, magneticField=detector.field, generateHitsOnSensitive=True, emScattering=True,
        emEnergyLossIonisation=True, emEnergyLossRadiation=True, emPhotonConversion=True))
    s.addAlgorithm(ex.DigitizationAlgorithm(ex.DigitizationAlgorithm.Config(
        digitizationConfigs=smearing(), surfaceByIdentifier=detector.geometry.geoIdSurfaceMap(), randomNumbers=random,
        inputSimHits="simhits", outputMeasurements="measurements", outputMeasurementParticlesMap="measurement_particles",
        outputMeasurementSimHitsMap="measurement_simhits", outputParticleMeasurementsMap="particle_measurements",
        outputSimHitMeasurementsMap="simhit_measurements"), QUIET))
    sink = Collect()
    s.addAlgorithm(sink)
    s.run()
    return [sink.events[e] for e in range(first, first + n)]


def smearing():
    """The resolutions as ACTS wants to read them: from a file."""
    def gauss(index, sigma):
        return {"index": index, "mean": 0.0, "stddev": sigma, "type": "Gauss"}

    text = json.dumps({
        "acts-geometry-hierarchy-map": {"format-version": 0, "value-identifier": "digitization-configuration"},
        "entries": [{"volume": v, "value": {"smearing": [gauss(0, s[0]), gauss(1, s[1])]}} for v, s in SIGMA.items()],
    })
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        f.write(text)
        f.flush()
        return exjson.readDigiConfigFromJson(f.name)


def add_noise(events, a, rng):
    """Noise on sensors that were hit is what makes pattern recognition hard; on the others hardly anybody looks at it."""
    for e in events:
        noise = []
        for time, geo, x, y in e.hits:
            for dx, dy in rng.normal(0, a.noise_spread, (a.noise, 2)):
                noise.append((time, geo, x + dx, y + dy))
        e.hits += noise
        e.hit_trk += [-1] * len(noise)


def make_trees(f):
    def record(fields):
        return "var * {" + ", ".join(f"{k}: {t}" for k, t in fields.items()) + "}"

    counters = {"hit": "nhit", "trk": "ntrk", "ref": "nref"}
    names = {"counter_name": counters.__getitem__, "field_name": lambda _, inner: inner}
    # mktree, because assigning a dict writes an RNTuple.
    return (f.mktree("hits", {"hit": record(HIT)}, **names),
            f.mktree("truth", {**dict.fromkeys(VERTEX, "float32"), "trk": record(PARTICLE), "ref": record({"hit_trk": "int32"})}, **names))


def write(trees, events):
    hits, truth = trees
    nhit, nparticle = [len(e.hits) for e in events], [len(e.particles) for e in events]
    hits.extend({"hit": columns([r for e in events for r in e.hits], HIT, nhit)})
    vertices = np.array([e.vertex for e in events], "float32")
    truth.extend({
        **{name: vertices[:, i] for i, name in enumerate(VERTEX)},
        "trk": columns([r for e in events for r in e.particles], PARTICLE, nparticle),
        "ref": columns([(t,) for e in events for t in e.hit_trk], {"hit_trk": "int32"}, nhit),
    })


def columns(rows, fields, counts):
    values = list(zip(*rows)) or [()] * len(fields)
    return ak.zip({k: ak.unflatten(np.array(v, t), counts) for (k, t), v in zip(fields.items(), values)})


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
