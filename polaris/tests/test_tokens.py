"""POST /auth/token and POST /auth/token/refresh, and what a token opens."""

import base64
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

TOKEN, REFRESH, DOOR = "/auth/token", "/auth/token/refresh", "/schedule/"
CREDENTIALS = {"username": "client", "password": "a client's password"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def anybody(client_user):
    """A client without a token, for whom an exception is an answer."""
    return Client(raise_request_exception=False)


@pytest.fixture
def tokens(anybody):
    """A fresh pair."""
    return anybody.post(TOKEN, CREDENTIALS, "application/json").json()


def knock(anybody, authorization):
    return anybody.get(DOOR, headers={"Authorization": authorization})


def forge(**changes):
    """An access token with our signature and changed claims."""
    claims = {
        "token_type": "access",
        "exp": datetime.now(UTC) + timedelta(minutes=1),
        "iat": datetime.now(UTC),
        "jti": "0",
        "user_id": str(User.objects.get().pk),
    }
    return jwt.encode(claims | changes, settings.SECRET_KEY, algorithm="HS256")


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_username_and_password_give_an_access_and_a_refresh_token(anybody, slash):
    answer = anybody.post(TOKEN + slash, CREDENTIALS, "application/json")

    assert answer.status_code == 200
    assert set(answer.json()) == {"access", "refresh"}


def test_an_access_token_opens_the_api(anybody, tokens):
    assert knock(anybody, f"Bearer {tokens['access']}").status_code == 200


def test_signing_in_is_written_down(anybody, tokens):
    assert User.objects.get().last_login


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_refresh_token_gives_a_new_access_token(anybody, tokens, slash):
    answer = anybody.post(REFRESH + slash, {"refresh": tokens["refresh"]}, "application/json")

    assert (answer.status_code, set(answer.json())) == (200, {"access"})
    assert knock(anybody, f"Bearer {answer.json()['access']}").status_code == 200


@pytest.mark.parametrize(
    "credentials",
    [
        CREDENTIALS | {"password": "wrong"},
        CREDENTIALS | {"username": "nobody"},
        CREDENTIALS | {"username": "CLIENT"},
        CREDENTIALS | {"username": "x" * 100_000},
        CREDENTIALS | {"password": "x" * 100_000},
    ],
    ids=["password", "username", "case", "long username", "long password"],
)
def test_wrong_credentials_are_refused_without_saying_which(anybody, credentials):
    answer = anybody.post(TOKEN, credentials, "application/json")

    assert (answer.status_code, answer.json()["error_code"]) == (401, "AUTH_002")
    assert answer.json()["message"] == "No active account found with the given credentials"
    assert "Bearer" in answer.headers["WWW-Authenticate"]


def test_an_account_that_is_closed_cannot_sign_in(anybody):
    User.objects.update(is_active=False)

    answer = anybody.post(TOKEN, CREDENTIALS, "application/json")

    assert (answer.status_code, answer.json()["error_code"]) == (401, "AUTH_002")


@pytest.mark.parametrize(
    ("path", "body", "code", "field"),
    [
        (TOKEN, b"", "SCHEDULE_003", "username"),
        (TOKEN, b"{}", "SCHEDULE_003", "username"),
        (TOKEN, b"null", "SCHEDULE_003", "body"),
        (TOKEN, b"[]", "SCHEDULE_007", "body"),
        (TOKEN, b"{", "REQUEST_001", "body"),
        (TOKEN, b'{"username": "client"}', "SCHEDULE_003", "password"),
        (TOKEN, b'{"username": null, "password": "x"}', "SCHEDULE_003", "username"),
        (TOKEN, b'{"username": {}, "password": "x"}', "SCHEDULE_007", "username"),
        (TOKEN, b'{"username": "a\\u0000", "password": "x"}', "SCHEDULE_007", "username"),
        (TOKEN, b'{"username": "\\ud800", "password": "x"}', "SCHEDULE_007", "username"),
        (TOKEN, b'{"username": "x", "password": "\\ud800"}', "SCHEDULE_007", "password"),
        (REFRESH, b"{}", "SCHEDULE_003", "refresh"),
        (REFRESH, b'{"refresh": []}', "SCHEDULE_007", "refresh"),
        (REFRESH, b'{"refresh": "\\ud800.a.b"}', "SCHEDULE_007", "refresh"),
        (REFRESH, b'{"refresh": ' + b"[" * 100_000, "REQUEST_001", "body"),
    ],
)
def test_a_body_without_credentials_is_refused(anybody, path, body, code, field):
    answer = anybody.post(path, body, "application/json")

    assert (answer.status_code, answer.json()["error_code"]) == (400, code)
    assert answer.json()["details"]["field"] == field


@pytest.mark.parametrize("path", [TOKEN, REFRESH])
def test_tokens_are_asked_for_in_json(anybody, path):
    answer = anybody.post(path, "username=client", "application/x-www-form-urlencoded")

    assert (answer.status_code, answer.json()["error_code"]) == (415, "REQUEST_004")


@pytest.mark.parametrize("path", [TOKEN, REFRESH])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_tokens_are_asked_for_by_post(anybody, path, method):
    answer = anybody.generic(method, path)

    assert (answer.status_code, answer.json()["error_code"]) == (405, "REQUEST_003")


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


ODD_TOKENS = {
    "nothing": "",
    "a word": "x",
    "three words": "a.b.c",
    "dots": "..",
    "not ASCII": "é.é.é",
    "null": "\x00",
    "a header nested too deeply": f"{encoded(b'[' * 50_000)}.e30.x",
    "a payload nested too deeply": f"eyJhbGciOiJIUzI1NiJ9.{encoded(b'[' * 50_000)}.x",
    "a header that is no object": f"{encoded(b'[]')}.e30.x",
    "a header that is no UTF-8": f"{encoded(bytes([255]))}.e30.x",
    "a header with a surrogate": encoded(b'{"alg": "\\ud800"}') + ".e30.x",
    "an algorithm that is no text": encoded(b'{"alg": {}}') + ".e30.x",
    "an endless algorithm": encoded(b'{"alg": 1e999}') + ".e30.x",
    "a detached payload": encoded(b'{"alg": "HS256", "b64": false}') + ".e30.x",
    "no algorithm at all": encoded(b'{"alg": "none"}') + "." + encoded(b'{"user_id": "1"}') + ".",
}


@pytest.mark.parametrize("token", ODD_TOKENS.values(), ids=ODD_TOKENS)
def test_a_token_that_is_none_is_refused(anybody, token):
    answers = [
        knock(anybody, f"Bearer {token}"),
        anybody.post(REFRESH, json.dumps({"refresh": token or "x"}), "application/json"),
    ]

    for answer in answers:
        assert answer.status_code in {400, 401}
        assert answer.json()["error_code"] in {"AUTH_003", "SCHEDULE_007"}


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": datetime(2020, 1, 1, tzinfo=UTC)},
        {"token_type": "refresh"},
        {"token_type": None},
        {"user_id": "999999"},
        {"user_id": None},
    ],
    ids=["expired", "for refreshing", "of no type", "of nobody", "without a user"],
)
def test_a_token_that_is_no_key_of_ours_is_refused(anybody, claims):
    answer = knock(anybody, f"Bearer {forge(**claims)}")

    assert (answer.status_code, answer.json()["error_code"]) == (401, "AUTH_003")
    assert answer.json()["details"]["field"] == "Authorization"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_signed_with_another_key_is_refused(anybody):
    token = jwt.encode({"token_type": "access", "user_id": "1"}, "another key " * 4, "HS256")

    assert knock(anybody, f"Bearer {token}").json()["error_code"] == "AUTH_003"


def test_a_token_expires(anybody, tokens):
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=16)):
        answer = knock(anybody, f"Bearer {tokens['access']}")

    assert (answer.status_code, answer.json()["error_code"]) == (401, "AUTH_003")


def test_a_refresh_token_expires(anybody, tokens):
    with time_machine.travel(datetime.now(UTC) + timedelta(days=1, minutes=1)):
        answer = anybody.post(REFRESH, {"refresh": tokens["refresh"]}, "application/json")

    assert (answer.status_code, answer.json()["error_code"]) == (401, "AUTH_003")


def test_an_access_token_refreshes_nothing(anybody, tokens):
    answer = anybody.post(REFRESH, {"refresh": tokens["access"]}, "application/json")

    assert (answer.status_code, answer.json()["error_code"]) == (401, "AUTH_003")


@pytest.mark.parametrize("what", ["closed", "deleted"])
def test_the_tokens_of_an_account_that_is_gone_open_nothing(anybody, tokens, what):
    if what == "closed":
        User.objects.update(is_active=False)
    else:
        User.objects.all().delete()

    door = knock(anybody, f"Bearer {tokens['access']}")
    refresh = anybody.post(REFRESH, {"refresh": tokens["refresh"]}, "application/json")

    assert (door.status_code, door.json()["error_code"]) == (401, "AUTH_003")
    assert (refresh.status_code, refresh.json()["error_code"]) == (401, "AUTH_003")


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("Bearer", "AUTH_003"),
        ("Bearer a b", "AUTH_003"),
        ("Basic Y2xpZW50Og==", "AUTH_001"),
        ("Token x", "AUTH_001"),
        ("", "AUTH_001"),
    ],
)
def test_another_authorization_is_none(anybody, authorization, code):
    answer = knock(anybody, authorization)

    assert (answer.status_code, answer.json()["error_code"]) == (401, code)


# -- throttling ----------------------------------------------------------------------------------


def guess(anybody, **headers):
    credentials = CREDENTIALS | {"password": "guess"}
    return anybody.post(TOKEN, credentials, "application/json", headers=headers)


def test_the_thirty_first_attempt_of_a_minute_must_wait(anybody):
    statuses = [guess(anybody).status_code for _ in range(30)]

    answer = anybody.post(TOKEN, CREDENTIALS, "application/json")

    assert statuses == [401] * 30
    assert (answer.status_code, answer.json()["error_code"]) == (429, "THROTTLE_001")
    assert 0 < int(answer.headers["Retry-After"]) <= 60


def test_after_the_wait_one_may_sign_in_again(anybody):
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        while (answer := guess(anybody)).status_code == 401:
            pass
        clock.shift(int(answer.headers["Retry-After"]) + 1)

        answer = anybody.post(TOKEN, CREDENTIALS, "application/json")

    assert answer.status_code == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded"])
def test_a_header_that_a_guesser_sets_does_not_make_it_another_one(anybody, header):
    statuses = {
        guess(anybody, **{header: f"10.0.0.{n}" + "a" * 300}).status_code for n in range(31)
    }

    assert statuses == {401, 429}


def test_one_address_does_not_lock_out_another(anybody):
    while guess(anybody).status_code == 401:
        pass

    answer = anybody.post(TOKEN, CREDENTIALS, "application/json", REMOTE_ADDR="192.0.2.1")

    assert answer.status_code == 200
