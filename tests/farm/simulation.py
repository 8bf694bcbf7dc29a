"""Drawn seasons of known cover: training errors, photos of paddocks, and errors that visits or paddocks share."""

from dataclasses import replace
from datetime import timedelta

import numpy as np

from herbage.farm import geopackage, schema
from herbage.farm.models import ErrorsRecord, read_models
from herbage.farm.paddocks import Paddocks
from herbage.farm.photos import AddOptions, add_photos
from herbage.farm.season import Season
from herbage.farm.visits import read_visits
from herbage.model.paddock_error import MeanErrors
from tests.farm.walks import AREA_M2, DAY, a_model, a_photo

SHARED, OWN = 0.10, 0.20
"""Standard deviations of the error that photos of a place and day share, and of a photo's own, in units of the spread."""
UNIT_G = 40.0
KG = 10 / AREA_M2


def estimated_g(weighed_g, error):
    """The estimate whose error is `error` times its spread, which is the estimate plus UNIT_G."""
    return np.maximum((weighed_g - error * UNIT_G) / (1 + error), 0.0)


def a_trained_model(rng, number, *, groups=25, photos=3):
    """A model whose errors were measured on so many groups."""
    weighed = rng.uniform(20, 60, (groups, photos))
    weighed *= UNIT_G / weighed.mean()
    error = SHARED * rng.normal(size=(groups, 1)) + OWN * rng.normal(size=(groups, photos))
    columns = [np.repeat(of.reshape(-1, 1), 5, axis=1) for of in (weighed, estimated_g(weighed, error))]
    errors = MeanErrors.fit(*columns, np.repeat(np.arange(groups), photos))
    return a_model(digest=f"{number:064x}").model_copy(update={"alone": ErrorsRecord.of(errors)})


def a_season(rng, number, covers, errors, *, photos=4, days=21):
    """Photos of a farm; `covers` and the shared `errors` are (paddock, visit), in kg DM/ha and standard deviations."""
    made = []
    for (paddock, visit), cover in np.ndenumerate(covers):
        weighed = cover / KG * (1 + 0.15 * rng.normal(size=photos))
        error = SHARED * errors[paddock, visit] + OWN * rng.normal(size=photos)
        for n, grams in enumerate(estimated_g(weighed, error)):
            day = DAY + timedelta(days=days * visit)
            name = f"{number}/{paddock}/{visit}/{n}.jpg"
            made.append(a_photo(name, grams * KG, day=day, paddock=f"{number}/{paddock}"))
    return made


def seasons(path, made, *, level=0.9):
    """A season of each (photos, model), all from one farm file."""
    with geopackage.writing(path) as connection:
        schema.create(connection)
        for photos, model in made:
            add_photos(connection, path, photos, model, AddOptions())
    with geopackage.reading(path) as connection:
        paddocks, models = Paddocks.read(connection, path), read_models(connection)
        visits = read_visits(connection, models, level)
    for number in range(len(made)):
        own = {of: one for of, one in paddocks.by_id.items() if one.name.startswith(f"{number}/")}
        of_own = {own[of].name: visits[of] for of in own}
        by_name = {one.name: replace(one, id=one.name) for one in own.values()}
        named = {name: [replace(visit, paddock_id=name) for visit in of_own[name]] for name in of_own}
        yield Season(Paddocks(by_name), models, named, level)
