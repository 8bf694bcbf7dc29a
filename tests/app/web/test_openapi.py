"""The API against its own description: every response conforms to OpenAPI, and none is a server error."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from herbage.app.web.api import make_app
from herbage.app.web.guard import Limits
from herbage.farm.farm import Farm
from herbage.model.estimate import COLUMNS
from herbage.results.rows import EXAMPLE, Prediction

schemathesis = pytest.importorskip("schemathesis")

CHECKS = (
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
)


@pytest.fixture(scope="module")
def app(quick_model):
    return make_app(quick_model, quick_model.open_backbone(), limits=Limits(photos=5, photo_bytes=100_000))


OPERATIONS = {
    "GET /healthz", "GET /api/model", "POST /api/predictions", "GET /api/maps/{name}", "POST /api/maps/{name}/overlay",
    "POST /api/files/predictions.csv", "POST /api/files/photos.geojson", "POST /api/paddocks",
    "POST /api/files/paddocks.csv", "POST /api/files/walk.json", "GET /api/farm", "POST /api/farm", "GET /season.html",
}  # fmt: skip
OF_A_FARM = {"GET /api/farm", "POST /api/farm", "GET /season.html"}


def operations_of(app):
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    found = [result.ok() for result in schema.get_all_operations()]
    return {f"{one.method.upper()} {one.path}": one for one in found}


@pytest.fixture(scope="module")
def operations(app):
    return operations_of(app)


@pytest.fixture(scope="module")
def operations_with_a_farm(quick_model, tmp_path_factory):
    farm = Farm(tmp_path_factory.mktemp("farm") / "farm.gpkg")
    return operations_of(make_app(quick_model, quick_model.open_backbone(), farm=farm))


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        *(("POSITIVE", name) for name in sorted(OPERATIONS)),
        *(("NEGATIVE", name) for name in sorted(OPERATIONS) if name.startswith("POST")),
    ],
)
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # schemathesis does
def test_every_request_is_answered_as_described(operations, name, mode):
    assert set(operations) == OPERATIONS
    assert check(operations[name], mode)


@pytest.mark.parametrize(
    ("mode", "name"), [*(("POSITIVE", name) for name in sorted(OF_A_FARM)), ("NEGATIVE", "POST /api/farm")]
)
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
def test_every_request_to_a_farm_is_answered_as_described(operations_with_a_farm, name, mode):
    assert 404 not in check(operations_with_a_farm[name], mode) or name == "GET /season.html"


def check(operation, mode):
    """Send requests of this mode; returns the codes of the answers, which are as described."""
    strategy = operation.as_strategy(generation_mode=schemathesis.GenerationMode[mode])
    codes = []

    @given(case=strategy)
    @settings(
        max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate]
    )
    def send(case):
        response = case.call()
        codes.append(response.status_code)
        assert response.status_code < 500, response.text
        case.validate_response(response, checks=CHECKS)

    send()
    return codes


def test_rows_of_the_api_are_rows_of_the_table():
    assert list(Prediction.model_fields) == [*COLUMNS, "level", "quadrat_area_m2", "map", "photo_sha256", "model"]
    assert {key: EXAMPLE[key] for key in COLUMNS} == Prediction(**EXAMPLE).cells()
