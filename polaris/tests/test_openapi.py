"""The OpenAPI document at /api/schema, and the page at /api/docs that shows it."""

import io
import re
from urllib.parse import urlsplit

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern, get_resolver
from drf_spectacular.validation import validate_schema

from polaris.errors import CATALOGUE
from schedules.filters import ActiveScheduleFilterSet, ScheduleFilterSet
from schedules.serializers import ScheduleInput, ScheduleSerializer
from schedules.states import ArmedStatus, ScheduleStatus
from tracking.filters import CallLogFilterSet
from tracking.states import CallStatus

JSON = "application/vnd.oai.openapi+json"
PAGING = {"limit", "offset"}
# Pages for people, and the document itself.
NOT_THE_API = re.compile(r"^$|^admin|^api/|^static")
OPERATIONS = {
    "/auth/token": {"post"},
    "/auth/token/refresh": {"post"},
    "/auth/logout": {"post"},
    "/schedule/": {"get", "post"},
    "/schedule/active": {"get"},
    "/schedule/{schedule_id}": {"get", "put", "patch", "delete"},
    "/schedule/preview": {"post"},
    "/schedule/{schedule_id}/preview": {"get"},
    "/schedule/{schedule_id}/occurrences": {"get"},
    "/schedule/{schedule_id}/history": {"get"},
    "/schedule/{schedule_id}/pause": {"post"},
    "/schedule/{schedule_id}/resume": {"post"},
    "/schedule/{schedule_id}/cancel": {"post"},
    "/schedule/tracking/logs": {"get"},
    "/schedule/tracking/logs/{log_id}": {"get"},
    "/schedule/tracking/stats": {"get"},
    "/webhook/call-status": {"post"},
    "/metrics": {"get"},
    "/health/live": {"get"},
    "/health/ready": {"get"},
}


@pytest.fixture
def anybody():
    """Who reads documents needs no account."""
    return Client(raise_request_exception=False)


@pytest.fixture
def document(anybody):
    """The document as a client gets it."""
    answer = anybody.get("/api/schema", headers={"Accept": JSON})
    assert answer.status_code == 200
    return answer.json()


def routes(patterns=None, prefix=""):
    """Every route of the project."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route
        elif not NOT_THE_API.match(route) or not route:
            yield from routes(pattern.url_patterns, route)


def test_the_document_is_generated_without_a_warning():
    call_command(
        "spectacular", "--validate", "--fail-on-warn", stdout=io.StringIO(), stderr=io.StringIO()
    )


def test_the_document_is_valid(document):
    validate_schema(document)


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_document_is_yaml_where_nothing_else_is_asked_for(anybody, slash):
    answer = anybody.get(f"/api/schema{slash}")

    assert answer.headers["Content-Type"].startswith("application/vnd.oai.openapi")
    assert answer.content.startswith(b"openapi: 3.")


def test_every_operation_of_the_contract_is_in_the_document(document):
    assert {path: set(methods) for path, methods in document["paths"].items()} == OPERATIONS


def test_every_route_of_the_api_is_in_the_document(document):
    told = {path.strip("/") for path in document["paths"]}

    served = {
        re.sub(r"<\w+:(\w+)>", r"{\1}", route).strip("/")
        for route in routes()
        if not NOT_THE_API.match(route)
    }

    assert served == told


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/schedule/", {*ScheduleFilterSet.get_filters(), *PAGING, "ordering"}),
        ("/schedule/active", {*ActiveScheduleFilterSet.base_filters, *PAGING, "ordering"}),
        ("/schedule/tracking/logs", {*CallLogFilterSet.base_filters, *PAGING, "ordering"}),
        ("/schedule/tracking/stats", {*CallLogFilterSet.base_filters}),
    ],
)
def test_a_list_tells_of_every_parameter_that_it_takes(document, path, parameters):
    told = document["paths"][path]["get"]["parameters"]

    assert {parameter["name"] for parameter in told} == parameters
    assert {parameter["in"] for parameter in told} == {"query"}


def test_the_bounds_of_a_page_are_told(document):
    told = document["paths"]["/schedule/"]["get"]["parameters"]

    schemas = {parameter["name"]: parameter["schema"] for parameter in told}
    assert schemas["limit"] == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
    assert schemas["offset"]["minimum"] == 0


def test_what_is_sent_and_what_is_shown_have_the_serializers_fields(document):
    schemas = document["components"]["schemas"]

    assert set(schemas["ScheduleInput"]["properties"]) == set(ScheduleInput().fields)
    assert schemas["ScheduleInput"]["required"] == ["phone", "scheduled_time"]
    assert "required" not in schemas["PatchedScheduleInput"]
    assert set(schemas["Schedule"]["properties"]) == set(ScheduleSerializer().fields)


@pytest.mark.parametrize("states", [ScheduleStatus, ArmedStatus, CallStatus])
def test_states_go_by_their_names(document, states):
    assert set(document["components"]["schemas"][states.__name__]["enum"]) == set(states.values)


def test_every_operation_tells_of_errors_in_the_contracts_format(document):
    error = document["components"]["schemas"]["Error"]
    assert error["properties"]["error_code"]["enum"] == sorted(CATALOGUE)
    for operations in document["paths"].values():
        for operation in operations.values():
            failures = {s: r for s, r in operation["responses"].items() if s >= "400"}
            assert {"406", "500"} <= set(failures)
            for failure in failures.values():
                schema = failure["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Error"}


@pytest.mark.parametrize(
    ("path", "method", "statuses"),
    [
        (
            "/auth/token",
            "post",
            {"200", "400", "401", "403", "406", "413", "415", "429", "500", "503"},
        ),
        ("/auth/logout", "post", {"200", "400", "401", "406", "413", "415", "500", "503"}),
        (
            "/schedule/",
            "post",
            {"200", "400", "401", "403", "406", "413", "415", "429", "500", "503"},
        ),
        ("/schedule/tracking/stats", "get", {"200", "400", "401", "403", "406", "500", "503"}),
        (
            "/schedule/{schedule_id}/pause",
            "post",
            {"200", "400", "401", "403", "404", "406", "409", "413", "415", "429", "500", "503"},
        ),
        (
            "/schedule/{schedule_id}/resume",
            "post",
            {"200", "401", "403", "404", "406", "409", "429", "500", "503"},
        ),
        ("/webhook/call-status", "post", {"204", "400", "403", "406", "413", "415", "500", "503"}),
    ],
)
def test_an_operation_tells_of_every_status_that_it_answers_with(document, path, method, statuses):
    assert set(document["paths"][path][method]["responses"]) == statuses


def test_every_path_under_schedule_asks_for_a_token_or_a_session(document):
    for path, operations in document["paths"].items():
        for operation in operations.values():
            locks = [] if path.startswith("/schedule") else [None, [{}]]
            locks = locks or [[{"jwtAuth": []}, {"cookieAuth": []}]]
            if path == "/metrics":
                locks = [[{"metricsToken": []}]]
            assert operation.get("security") in locks


# -- the page ------------------------------------------------------------------------------------


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_page_is_html(anybody, slash):
    answer = anybody.get(f"/api/docs{slash}")

    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")


def assets(page):
    return re.findall(r'(?:src|href)="([^"]+)"', page)


def test_the_page_takes_everything_from_this_server(anybody):
    page = anybody.get("/api/docs").content.decode()

    found = assets(page)
    assert len(found) >= 4
    for address in found:
        parts = urlsplit(address)
        assert (parts.scheme, parts.netloc) == ("", ""), address
        if parts.path.startswith("/static/"):
            assert finders.find(parts.path.removeprefix("/static/")), address
    script = anybody.get("/api/docs?script=").content.decode()
    assert "/api/schema" in script
    assert not re.findall(r"""["'](?:https?:)?//[^"']*["']""", page + script)


def test_a_browser_may_ask_what_the_page_can_do(anybody):
    answer = anybody.options("/api/docs")

    assert answer.status_code < 500


@pytest.mark.parametrize("path", ["/api/schema", "/api/docs"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "NONSENSE"])
def test_documents_are_only_read(anybody, path, method):
    answer = anybody.generic(method, path)

    assert (answer.status_code, answer.json()["error_code"]) == (405, "REQUEST_003")


@pytest.mark.parametrize("path", ["/api/schema", "/api/docs"])
@pytest.mark.parametrize("accept", ["application/xml", ";;;", "é"])
def test_a_form_that_documents_do_not_have_is_not_acceptable(anybody, path, accept):
    answer = anybody.get(path, headers={"Accept": accept})

    assert (answer.status_code, answer.json()["error_code"]) == (406, "REQUEST_005")
