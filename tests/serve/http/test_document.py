"""The OpenAPI document against the face that it describes, by requests made up from it."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.serve.http.conftest import PASSWORD, ranking

N_REQUESTS = 80


@schemathesis.serializer("message/rfc822")
def as_sent(_, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    with ranking(tmp_path_factory.mktemp("document")) as running:
        yield schemathesis.openapi.from_url(f"http://127.0.0.1:{running.port}/openapi.json")


@given(data=st.data())
@settings(
    max_examples=N_REQUESTS,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_the_face_does_as_its_document_says(document, data):
    case = data.draw(document.as_strategy())
    # An empty body is a body by the document, and teaches nothing by the face.
    case.call_and_validate(
        headers={"Password": PASSWORD}, excluded_checks=[positive_data_acceptance]
    )
