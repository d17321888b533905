"""The description of the server, and the server held to it by requests nobody thought of."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

EXAMPLES = 40
"""For each operation."""
PROMISES = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture
def lucky(make_doubler):
    """Return a doubler that fails on no number."""

    class Lucky(make_doubler):
        def predict(self, requests):
            return [[2 * value for value in request] for request in requests]

    return Lucky()


def described(app, send):
    return {
        (method.upper(), path)
        for path, operations in send(app, "GET", "/openapi.json").json()["paths"].items()
        for method in operations
        if method != "parameters"
    }


@pytest.mark.parametrize("is_multi_model", [False, True])
def test_every_route_is_described_and_nothing_else(make_app, send, is_multi_model):
    app = make_app(is_multi_model=is_multi_model)
    routes = {(method, route.path) for route in app.routes for method in route.methods}
    assert described(app, send) == {(method, path) for method, path in routes if method != "HEAD"}


def test_the_types_of_the_model_are_those_of_its_description(make_app, send):
    paths = send(make_app(), "GET", "/openapi.json").json()["paths"]
    post = paths["/invocations"]["post"]
    assert list(post["requestBody"]["content"]) == ["application/json", "application/jsonlines"]
    assert set(post["responses"]) == {
        *("200", "204", "400", "405", "406", "408", "413", "415", "431", "500", "503")
    }


@pytest.mark.parametrize("is_multi_model", [False, True], ids=["one model", "many models"])
def test_no_generated_request_breaks_a_promise(make_app, live, lucky, is_multi_model):
    with live(make_app(lucky, is_multi_model=is_multi_model)) as port:
        schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")
        operations = [result.ok() for result in schema.get_all_operations()]
        assert len(operations) >= 4
        for operation in operations:
            _hold(operation)


def _hold(operation):
    @given(case=operation.as_strategy())
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    def run(case):
        case.call_and_validate(checks=PROMISES)

    run()
