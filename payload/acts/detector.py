"""The detector that is simulated and reconstructed: the Generic detector of ACTS in a field of 2 T."""

import acts
import acts.examples as ex
import numpy as np
from acts import UnitConstants as u

# NAME stands in the files made for it; a payload that finds another one there knows that the sensors are not its own.
NAME = "acts-generic"
FIELD_TESLA = 2.0

PIXELS = (7, 8, 9)
SHORT_STRIPS = (12, 13, 14)
LONG_STRIPS = (16, 17, 18)

# Resolution of a hit (mm) along the two axes of its sensor, by volume.
SIGMA = {
    **dict.fromkeys(PIXELS, (0.015, 0.015)),
    **dict.fromkeys(SHORT_STRIPS, (0.043, 1.2)),
    **dict.fromkeys(LONG_STRIPS, (0.072, 2.0)),
}

# ACTS says on its standard output what it has to say; only its errors are of interest.
QUIET = acts.logging.ERROR


class Detector:
    """Geometry and field. Building it takes a few tenths of a second: once is enough."""

    def __init__(self):
        self._detector = ex.GenericDetector(ex.GenericDetector.Config(logLevel=QUIET))  # the geometry lives as long as this
        self.geometry = self._detector.trackingGeometry()
        self.field = acts.ConstantBField(acts.Vector3(0, 0, FIELD_TESLA * u.T))
        surfaces = sorted((g.value, s) for g, s in self.geometry.geoIdSurfaceMap().items() if g.sensitive)
        # The sensors in the order of their numbers, and how long light takes to the middle of each (ns).
        self.sensors = np.array([g for g, _ in surfaces], "u8")
        context = acts.GeometryContext.dangerouslyDefaultConstruct()
        middles = np.array([[s.center(context)[i] for i in range(3)] for _, s in surfaces])
        self.flight = np.linalg.norm(middles, axis=1) / 299.792458
