"""Requests made up from the OpenAPI document: no 5xx, and no answer that it does not tell of.

API_EXAMPLES (15) is how many are made up for each operation and role; the seed is fixed unless it
is given."""

import os
from functools import cache

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import nothing
from schemathesis.checks import CheckFunction
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from polaris.accounts import grants
from polaris.accounts.tokens import issue
from polaris.tests.test_openapi import OPERATIONS
from polaris.throttling.models import Tally
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking.tests.factories import CallLogFactory

EXAMPLES = int(os.environ.get("API_EXAMPLES", "15"))
CHECKS: list[CheckFunction] = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
ROLES = ("anonymous", "client", "agent", "staff")
AGENT = "agent_1"

pytestmark = pytest.mark.django_db


@pytest.fixture
def document(db):
    """The document, of an application that leaves the test's own connection open."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield _read()
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@cache
def _read():
    return schemathesis.openapi.from_wsgi("/api/schema", get_wsgi_application())


@pytest.fixture
def headers(request, client_user, operator):
    """The token of a role."""
    users = {"client": client_user, "agent": client_user, "staff": operator}
    if request.param == "anonymous":
        return {}
    agent = AGENT if request.param == "agent" else ""
    if agent:
        grants.grant(user=client_user, agent_instance_id=agent, granted_by=operator)
    token = issue(user=users[request.param], agent=agent).access_token
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def ids(client_user):
    """Rows that the client owns: made-up ids would find nothing but 404."""
    schedule = CallScheduleFactory(created_by=f"user_{client_user.pk}", agent_instance_id=AGENT)
    ActiveScheduleFactory(schedule=schedule)
    log = CallLogFactory(schedule=schedule, agent_instance_id=AGENT)
    return {"schedule_id": schedule.pk, "log_id": log.pk}


def _sound(operation):
    return operation.as_strategy(generation_mode=GenerationMode.POSITIVE)


def _unsound(operation):
    """What breaks the document's own schema; nothing, where nothing can break it."""
    try:
        return operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    except Unsatisfiable:
        return nothing()


@pytest.mark.parametrize("headers", ROLES[1:], indirect=True)
def test_the_token_of_a_role_opens_what_is_asked_for(client, headers, ids):
    """Else all that is made up would only be refused."""
    for path in (f"/schedule/{ids['schedule_id']}", f"/schedule/tracking/logs/{ids['log_id']}"):
        assert client.get(path, headers=headers).status_code == 200


@pytest.mark.parametrize("headers", ROLES, indirect=True)
@pytest.mark.parametrize(
    ("path", "method"),
    [(path, method) for path, methods in OPERATIONS.items() for method in sorted(methods)],
)
def test_every_answer_is_one_that_the_document_tells_of(document, headers, ids, path, method):
    operation = document[path][method.upper()]

    @examples(
        max_examples=EXAMPLES,
        derandomize="API_EXAMPLES" not in os.environ,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(_sound(operation) | _unsound(operation))
    def ask(case):
        Tally.objects.all().delete()
        for name in case.path_parameters or {}:
            if len(str(case.path_parameters[name])) % 2:
                case.path_parameters[name] = ids[name]
        answer = case.call(headers=headers)
        case.validate_response(answer, checks=CHECKS)

    ask()
