"""Farms of drawn numbers: walks over paddocks of known cover, estimated with errors of known size."""

from dataclasses import replace
from datetime import date, datetime, time
from hashlib import sha256

import numpy as np

from herbage.farm.models import ErrorsRecord, ModelRecord
from herbage.farm.photos import PhotoIdentity
from herbage.model.estimate import Estimate
from herbage.model.paddock_error import MeanErrors
from herbage.photos.exif import PhotoFacts
from herbage.targets import SUMS, TARGETS

AREA_M2 = 0.21
G_PER_KG_PER_HA = AREA_M2 / 10
DAY = date(2025, 9, 1)


def a_model(*, seed=0, shared=2.0, own=4.0, groups=20, digest="a" * 64, targets=TARGETS, widened=1.0):
    """A model whose errors have these standard deviations in g per quadrat, measured on groups of 3 photos."""
    rng = np.random.default_rng(seed)
    estimated = np.full((3 * groups, 5), 40.0)
    error = np.repeat(rng.normal(0, shared, (groups, 5)), 3, axis=0) + rng.normal(0, own, estimated.shape)
    errors = MeanErrors.fit(estimated + error, estimated, np.repeat(np.arange(groups), 3))
    record = ErrorsRecord.of(replace(errors, widened=widened))
    return ModelRecord(digest=digest, name="field on texture", targets=targets, quadrat_area_m2=AREA_M2, alone=record)


def a_photo(name, kg_per_ha, *, day=DAY, at=time(10), place=(None, None), paddock=None, key=None, **more):
    """An estimate of so much cover, with its identity; without `at` its day was given."""
    grams = SUMS @ np.array([0.1, 0.3, 0.6]) * kg_per_ha * G_PER_KG_PER_HA
    taken = None if at is None else datetime.combine(day, at)
    facts = PhotoFacts(taken, *place)
    estimate = Estimate(
        name, grams=grams, low=grams * 0.5, high=grams * 1.5, quadrat_area_m2=AREA_M2, facts=facts, in_domain=True,
        training_photo=False, shape_differs=False, **more,
    ).rounded()  # fmt: skip
    return estimate, PhotoIdentity(key or sha256(name.encode()).hexdigest(), day, paddock)


def a_walk(day, covers, *, photos=4, spread=150.0, seed=0, **more):
    """Photos of paddocks of this cover, as {name: kg DM/ha}; their mean is the cover exactly."""
    rng = np.random.default_rng(seed)
    made = []
    for paddock, cover in covers.items():
        differences = rng.normal(0, spread, photos)
        for number, difference in enumerate(differences - differences.mean()):
            made.append(a_photo(f"{day}/{paddock}/{number}.jpg", cover + difference, day=day, paddock=paddock, **more))
    return made
