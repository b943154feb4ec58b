"""Tracks by ACTS: triplet seeds in the pixels, combinatorial Kalman filter, ambiguity resolution."""

import acts
import acts.examples as ex
import numpy as np
from acts import UnitConstants as u

from detector import FIELD_TESLA, PIXELS, QUIET, SIGMA

MIN_PT = 0.4  # GeV, of tracks
MIN_HITS = 6  # of a track


class HitReader(ex.IReader):
    """Puts the hits of one event into the event store."""

    def __init__(self):
        super().__init__("HitReader", QUIET)
        self.events, self.columns = [], ()
        self.sensors = {}
        self.out = ex.WriteDataHandle(self, ex.MeasurementContainer, "out")
        self.out.initialize("measurements")

    def availableEvents(self):
        return 0, len(self.events)

    def read(self, ctx):
        hits = self.events[ctx.eventNumber]
        measurements = ex.MeasurementContainer()
        measurements.reserve(len(hits))
        for geo, x, y in zip(*(c[hits].tolist() for c in self.columns)):
            if geo not in self.sensors:
                sensor = acts.GeometryIdentifier(geo)
                self.sensors[geo] = sensor, [s * s for s in SIGMA[sensor.volume]]
            sensor, variances = self.sensors[geo]
            measurements.emplaceMeasurement(sensor, [0, 1], [x, y], variances)
        self.out(ctx, measurements)  # moves them: they are not ours any more
        return ex.ProcessCode.SUCCESS


class AllHits(ex.IAlgorithm):
    """Names all measurements as those to be used, which seeding and filter want to be told."""

    def __init__(self):
        super().__init__("AllHits", QUIET)
        self.inp = ex.ReadDataHandle(self, ex.MeasurementContainer, "in")
        self.inp.initialize("measurements")
        self.out = ex.WriteDataHandle(self, ex.MeasurementSubset, "out")
        self.out.initialize("measurement_subset")

    def execute(self, ctx):
        measurements = self.inp(ctx.eventStore)
        self.out(ctx, ex.MeasurementSubset(measurements, range(len(measurements))))
        return ex.ProcessCode.SUCCESS


class TrackSink(ex.IAlgorithm):
    """Copies the tracks out of the event store, which dies with the event."""

    def __init__(self):
        super().__init__("TrackSink", QUIET)
        self.inp = ex.ReadDataHandle(self, ex.ConstTrackContainer, "in")
        self.inp.initialize("tracks")
        self.events = {}

    def execute(self, ctx):
        tracks = self.inp(ctx.eventStore)
        used, residuals = [], []
        for track in tracks:
            hits = []
            for state in track.trackStatesReversed:
                if not state.typeFlags.isMeasurement:
                    continue
                link = ex.IndexSourceLink.fromSourceLink(state.uncalibratedSourceLink)
                hits.append(link.index())
                # Asking a state for what it does not have is a segmentation fault.
                if state.hasSmoothed and link.geometryId().volume in PIXELS:
                    residuals.append(state.effectiveCalibrated[0] - state.smoothed[0])
            used.append(hits)
        self.events[ctx.eventNumber] = (
            used, residuals, np.array(tracks.parameters).reshape(-1, 6), np.array(tracks.chi2), np.array(tracks.ndf), np.array(tracks.nHoles))
        return ex.ProcessCode.SUCCESS


class Tracks:
    """Columns, one value per track; hits[i] are those of track i, as places in the slice."""

    def __init__(self, events, found):
        used, residuals, parameters, chi2, ndf, holes = zip(*found) if found else ((),) * 6
        self.event = np.repeat(np.arange(len(used)), [len(x) for x in used]).astype(int)
        self.hits = [events.hits[i][h] for i, of_event in enumerate(used) for h in of_event]
        # At the closest approach to the beam: d0, z0, phi, theta, q/p, t.
        d0, z0, phi, theta, qop, _ = np.concatenate([np.zeros((0, 6)), *parameters]).T
        self.d0, self.z0, self.phi, self.charge = d0, z0, phi, np.sign(qop).astype(int)
        self.pt, self.eta = np.abs(np.sin(theta) / qop), -np.log(np.tan(theta / 2))
        self.chi2, self.holes = np.concatenate([[], *chi2]), np.concatenate([[], *holes]).astype(int)
        self.ndf = np.concatenate([[], *ndf]).astype(int) - 5  # ACTS counts the coordinates only
        self.nhit = np.array([len(h) for h in self.hits], int)
        self.pixel_residual = np.concatenate([[], *residuals])

    def __len__(self):
        return len(self.event)


class Tracker:
    """Everything that is the same for all slices. Readers and algorithms in Python are never freed by ACTS, so they are made
    once and given other data; a Sequencer is made for each slice, which takes a millisecond."""

    def __init__(self, detector):
        self.detector = detector
        self.reader, self.sink = HitReader(), TrackSink()
        self.algorithms = [AllHits(), *self._algorithms(), self.sink]

    def find(self, frames, events):
        self.reader.events, self.reader.columns, self.sink.events = events.hits, (frames.geo, frames.loc0, frames.loc1), {}
        if len(events):
            s = ex.Sequencer(events=len(events), numThreads=1, logLevel=QUIET, trackFpes=False)
            s.addReader(self.reader)
            for algorithm in self.algorithms:
                s.addAlgorithm(algorithm)
            s.run()
        return Tracks(events, [self.sink.events[i] for i in range(len(events))])

    def _algorithms(self):
        geometry, field = self.detector.geometry, self.detector.field
        common = {"level": QUIET, "trackingGeometry": geometry}
        yield ex.SpacePointMaker(
            **common, inputMeasurements="measurement_subset", outputSpacePoints="spacepoints",
            geometrySelection=[acts.GeometryIdentifier(volume=v) for v in PIXELS], stripGeometrySelection=[])
        yield ex.GridTripletSeedingAlgorithm(
            level=QUIET, inputSpacePoints="spacepoints", outputSeeds="seeds", bFieldInZ=FIELD_TESLA * u.T, minPt=MIN_PT * u.GeV,
            cotThetaMax=7.4, impactMax=3, deltaRMin=1, deltaRMax=60, deltaRMinTop=1, deltaRMaxTop=60, deltaRMinBottom=1,
            deltaRMaxBottom=60, rMin=0, rMax=200, zMin=-2000, zMax=2000, collisionRegionMin=-250, collisionRegionMax=250,
            sigmaScattering=5, radLengthPerSeed=0.1, maxSeedsPerSpM=1)
        yield ex.TrackParamsEstimationAlgorithm(
            **common, magneticField=field, inputSeeds="seeds", outputSeeds="estimatedseeds", outputTrackParameters="estimatedparameters",
            initialSigmas=[1 * u.mm, 1 * u.mm, 1 * u.degree, 1 * u.degree, 0.1 / u.GeV, 1 * u.ns], initialVarInflation=[1.0] * 6,
            particleHypothesis=acts.ParticleHypothesis.pion)
        yield ex.TrackFindingAlgorithm(
            **common, magneticField=field, findTracks=ex.TrackFindingAlgorithm.makeTrackFinderFunction(geometry, field, QUIET),
            measurementSelectorCfg=acts.MeasurementSelector.Config([(acts.GeometryIdentifier(), ([], [15.0], [25.0], [1]))]),
            inputMeasurements="measurement_subset", inputInitialTrackParameters="estimatedparameters", inputSeeds="estimatedseeds",
            outputTracks="ckf_tracks", seedDeduplication=True, stayOnSeed=True, twoWay=True,
            trackSelectorCfg=acts.TrackSelector.Config(pt=(MIN_PT * u.GeV, 1e9), minMeasurements=MIN_HITS, maxHoles=3))
        yield ex.GreedyAmbiguityResolutionAlgorithm(
            level=QUIET, inputTracks="ckf_tracks", outputTracks="tracks", maximumSharedHits=2, nMeasurementsMin=MIN_HITS,
            maximumIterations=100000)
