"""The farm of the demo: photos of three walks over five paddocks, in a farm file."""

import json
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from herbage import steps
from herbage.farm.farm import Farm
from herbage.files import write_atomic
from herbage.photos.drawing import Light, draw_sward, photo_exif
from herbage.remarks import log_remarks
from herbage.results.paddock_assignment import FOLDER
from herbage.targets import QUADRAT_AREA_M2

log = logging.getLogger("herbage")

WALKS = tuple(datetime(2025, 9, 1, 9) + timedelta(days=21 * number) for number in range(3))
PHOTOS_PER_PADDOCK = 4
WEBP: dict[str, Any] = {"quality": 90, "method": 2}
"""Nearly as sharp as the JPEGs of the demo: the estimates follow the texture of a photo."""

SHARES = {"green": 0.74, "dead": 0.12, "clover": 0.14}
VARIATION = 0.15
"""How far the weight of a quadrat is from the mean of its paddock at most, as a fraction of it."""

PRE_GRAZING, RESIDUAL = 2800.0, 1500.0
"""The targets of the farm, kg DM/ha."""

ORIGIN = -38.21, 145.94
"""Latitude and longitude of the farm's south-west corner."""

METRES_PER_DEGREE = 111_200.0


@dataclass(frozen=True)
class DrawnPaddock:
    """A paddock: its cover in kg DM/ha at each walk, and its corners in metres to the east and north of ORIGIN."""

    name: str
    cover_kg_per_ha: tuple[float, float, float]
    corners_m: tuple[tuple[float, float], ...]

    @property
    def ring(self) -> Float[np.ndarray, "corner 2"]:
        """Longitude and latitude of the corners."""
        latitude, longitude = ORIGIN
        per_degree = METRES_PER_DEGREE * np.array([np.cos(np.radians(latitude)), 1])
        return np.array((longitude, latitude)) + np.array(self.corners_m) / per_degree


PADDOCKS = (
    DrawnPaddock("Dairy", (1500, 2000, 3250), ((0, 0), (180, 10), (170, 190), (0, 190))),
    DrawnPaddock("Creek", (2300, 2900, 1150), ((180, 10), (345, 0), (330, 185), (170, 190))),
    DrawnPaddock("Hill", (1000, 1400, 2600), ((345, 0), (520, 20), (500, 205), (330, 185))),
    DrawnPaddock("Long", (1300, 1800, 3000), ((0, 190), (170, 190), (210, 400), (0, 390))),
    DrawnPaddock("Orchard", (900, 1250, 2400), ((170, 190), (330, 185), (500, 205), (450, 370), (210, 400))),
)
"""Neighbours with common corners; all polygons are convex.

The swards grow by 15 to 30 kg DM/ha per day until the second walk and by 55 to 60 until the third. Creek is grazed
between these two.
"""


def make_farm(out: Path, model: Path, *, store: Path, track: steps.Track) -> None:
    """Draw the walks, and write paddocks.geojson, walks/, walk-results/, farm.gpkg and season/ to `out`.

    Those of an earlier demo are replaced. Photos are assigned to the paddocks' polygons; without geopandas, by their
    folders, and the farm has no polygons.
    """
    log.info("Drawing %d swards of a farm", len(WALKS) * len(PADDOCKS) * PHOTOS_PER_PADDOCK)
    write_atomic(out / "paddocks.geojson", _geojson())
    draw_walks(out / "walks")
    path = out / "farm.gpkg"
    path.unlink(missing_ok=True)
    has_gis = find_spec("geopandas") is not None
    if has_gis:
        log_remarks(Farm(path).import_paddocks(out / "paddocks.geojson"))
    else:
        log.info("The farm has no polygons, which need geopandas: pip install 'herbage[gis]'")
    for walk in WALKS:
        day = f"{walk:%Y-%m-%d}"
        steps.predict(
            model,
            out / "walks" / day,
            out=out / "walk-results" / day,
            farm=path,
            paddocks=None if has_gis else FOLDER,
            store=store,
            overwrite=True,
            track=track,
        )
    steps.farm_report(path, out=out / "season", pre_grazing=PRE_GRAZING, residual=RESIDUAL, overwrite=True)


def draw_walks(folder: Path, *, seed: int = 2025) -> None:
    """Draw the photos of each walk as DAY/PADDOCK/NUMBER.webp, with EXIF time and GPS inside their paddock.

    They are WebP files, so that the photos that the demo trains on are its only JPEGs.
    """
    rng = np.random.default_rng(seed)
    for number, walk in enumerate(WALKS):
        light, taken = Light.draw(rng), walk
        for paddock in PADDOCKS:
            place = folder / f"{walk:%Y-%m-%d}" / paddock.name
            place.mkdir(parents=True, exist_ok=True)
            mean_g = paddock.cover_kg_per_ha[number] / 10 * QUADRAT_AREA_M2
            for photo in range(PHOTOS_PER_PADDOCK):
                grams = mean_g * rng.uniform(1 - VARIATION, 1 + VARIATION)
                sward = draw_sward(rng, light, **{part: share * grams for part, share in SHARES.items()})
                # A weighted mean of the corners is inside a convex polygon.
                longitude, latitude = (rng.dirichlet(np.full(len(paddock.ring), 2.0)) @ paddock.ring).tolist()
                exif = photo_exif(taken, (latitude, longitude))
                sward.image.save(place / f"{photo + 1}.webp", exif=exif, **WEBP)
                taken += timedelta(minutes=3)


def _geojson() -> str:
    """The paddocks as GeoJSON (RFC 7946)."""
    features = [
        {
            "type": "Feature",
            "properties": {"name": paddock.name},
            "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        }
        for paddock in PADDOCKS
        for ring in [paddock.ring.round(7).tolist()]
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, indent=1) + "\n"
