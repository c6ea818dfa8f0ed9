"""Whether the server does what its OpenAPI document says, asked by schemathesis."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection

from finelens.web.app import create_app
from finelens.web.limits import Limits
from finelens.web.site import Site

OPERATIONS = (
    "POST /v1/predict", "GET /v1/model", "GET /v1/top/{class_name}", "GET /v1/items/{item}",
    "GET /v1/report", "GET /healthz", "GET /metrics",
)  # fmt: skip

WITHOUT_INPUT = ("GET /healthz", "GET /metrics")


@pytest.fixture(scope="module")
def schema(trained, serve_live):
    with serve_live(create_app(Site([trained], limits=Limits()))) as (host, port):
        yield schemathesis.openapi.from_url(f"http://{host}:{port}/openapi.json")


def test_the_document_holds_every_route(schema):
    labels = {result.ok().label for result in schema.get_all_operations()}
    assert labels == set(OPERATIONS)


@pytest.mark.parametrize("label", OPERATIONS)
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_as_the_document_says(schema, label, mode):
    operation = next(
        result.ok() for result in schema.get_all_operations() if result.ok().label == label
    )
    if mode is GenerationMode.NEGATIVE and label in WITHOUT_INPUT:
        pytest.skip("it takes nothing that could be wrong")

    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        # any bytes at all are an input to predict, if only to be told what is wrong with them
        case.call_and_validate(excluded_checks=[negative_data_rejection])

    ask()
