"""POST /auth/token and POST /auth/token/refresh, and what a token opens."""

import base64
import json
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import jwt
import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from polaris.accounts import tokens as accounts_tokens
from polaris.accounts.housekeeping import prune
from polaris.accounts.signing_keys import keys_in_use
from polaris.accounts.tokens import issue
from polaris.audit.models import AuditEntry

TOKEN, REFRESH, LOGOUT = "/auth/token", "/auth/token/refresh", "/auth/logout"
DOOR = "/schedule/"
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
    claims = dict(issue(user=User.objects.get()).access_token.payload)
    return keys_in_use().encode(claims | changes)


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
def test_a_refresh_token_gives_a_new_pair(anybody, tokens, slash):
    answer = anybody.post(REFRESH + slash, {"refresh": tokens["refresh"]}, "application/json")

    assert (answer.status_code, set(answer.json())) == (200, {"access", "refresh"})
    assert answer.json()["refresh"] != tokens["refresh"]
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
        (LOGOUT, b"{}", "SCHEDULE_003", "refresh"),
        (LOGOUT, b'{"refresh": []}', "SCHEDULE_007", "refresh"),
        (REFRESH, b'{"refresh": "x", "acess": "y"}', "SCHEDULE_007", "acess"),
        (
            TOKEN,
            b'{"username": "x", "password": "x", "agent": "agent_1"}',
            "SCHEDULE_007",
            "agent",
        ),
    ],
)
def test_a_body_without_credentials_is_refused(anybody, path, body, code, field):
    answer = anybody.post(path, body, "application/json")

    assert (answer.status_code, answer.json()["error_code"]) == (400, code)
    assert answer.json()["details"]["field"] == field


@pytest.mark.parametrize("path", [TOKEN, REFRESH, LOGOUT])
def test_tokens_are_asked_for_in_json(anybody, path):
    answer = anybody.post(path, "username=client", "application/x-www-form-urlencoded")

    assert (answer.status_code, answer.json()["error_code"]) == (415, "REQUEST_004")


@pytest.mark.parametrize("path", [TOKEN, REFRESH, LOGOUT])
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
        {"user_id": "nobody"},
        {"user_id": {}},
        {"pwd": "another"},
        {"pwd": None},
        {"iat": 99999999999},
        {"exp": None},
        {"agent_instance_id": "agent_1"},
        {"agent_instance_id": ""},
        {"agent_instance_id": {}},
    ],
    ids=str,
)
def test_a_token_that_is_no_key_of_ours_is_refused(anybody, claims):
    assert knock(anybody, f"Bearer {forge()}").status_code == 200
    answer = knock(anybody, f"Bearer {forge(**claims)}")

    assert (answer.status_code, answer.json()["error_code"]) == (401, "AUTH_003")
    assert answer.json()["details"]["field"] == "Authorization"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_signed_with_another_key_is_refused(anybody):
    token = jwt.encode({"token_type": "access", "user_id": "1"}, "another key " * 4, "HS256")

    assert knock(anybody, f"Bearer {token}").json()["error_code"] == "AUTH_003"


def test_a_token_expires(anybody, tokens):
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=311)):
        answer = knock(anybody, f"Bearer {tokens['access']}")

    assert (answer.status_code, answer.json()["error_code"]) == (401, "AUTH_003")


def test_clocks_may_differ_by_some_seconds(anybody, tokens):
    for seconds in (-8, 308):
        with time_machine.travel(datetime.now(UTC) + timedelta(seconds=seconds)):
            assert knock(anybody, f"Bearer {tokens['access']}").status_code == 200


def test_a_refresh_token_expires(anybody, tokens):
    with time_machine.travel(datetime.now(UTC) + timedelta(days=1, minutes=1)):
        answer = anybody.post(REFRESH, {"refresh": tokens["refresh"]}, "application/json")

    assert (answer.status_code, answer.json()["error_code"]) == (401, "AUTH_003")


@pytest.mark.parametrize("path", [REFRESH, LOGOUT])
def test_an_access_token_refreshes_nothing(anybody, tokens, path):
    answer = anybody.post(path, {"refresh": tokens["access"]}, "application/json")

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


# -- rotation ------------------------------------------------------------------------------------


def refresh(anybody, token):
    return anybody.post(REFRESH, {"refresh": token}, "application/json")


def sign_out(anybody, token):
    return anybody.post(LOGOUT, {"refresh": token}, "application/json")


def refused(answer):
    return (answer.status_code, answer.json()["error_code"]) == (401, "AUTH_003")


def test_a_refresh_token_is_good_for_once(anybody, tokens):
    assert refresh(anybody, tokens["refresh"]).status_code == 200

    assert refused(refresh(anybody, tokens["refresh"]))


def test_a_copy_that_is_used_ends_all_that_came_of_its_sign_in(anybody, tokens):
    """Either the thief or the owner has used it before: nobody can say who."""
    second = refresh(anybody, tokens["refresh"]).json()["refresh"]
    third = refresh(anybody, second).json()["refresh"]

    assert refused(refresh(anybody, tokens["refresh"]))

    assert refused(refresh(anybody, third))


def test_a_copy_that_is_used_ends_no_other_sign_in(anybody, tokens):
    other = anybody.post(TOKEN, CREDENTIALS, "application/json").json()
    refresh(anybody, tokens["refresh"])
    refresh(anybody, tokens["refresh"])

    assert refresh(anybody, other["refresh"]).status_code == 200


def test_a_chain_of_refreshes_goes_on(anybody, tokens):
    token = tokens["refresh"]
    for _ in range(5):
        answer = refresh(anybody, token)
        assert answer.status_code == 200
        token = answer.json()["refresh"]


def test_who_has_signed_out_refreshes_no_more(anybody, tokens):
    answer = sign_out(anybody, tokens["refresh"])

    assert (answer.status_code, answer.json()["status"]) == (200, "success")
    assert refused(refresh(anybody, tokens["refresh"]))
    assert refused(sign_out(anybody, tokens["refresh"]))


def test_signing_out_with_a_spent_token_ends_the_sign_in_all_the_same(anybody, tokens):
    second = refresh(anybody, tokens["refresh"]).json()["refresh"]

    assert refused(sign_out(anybody, tokens["refresh"]))

    assert refused(refresh(anybody, second))


def ends():
    return list(AuditEntry.objects.filter(verb="token.end").values_list("reason", flat=True))


def test_a_spent_token_that_is_sent_again_and_again_fills_no_audit(anybody, tokens):
    sign_out(anybody, tokens["refresh"])
    for _ in range(3):
        refresh(anybody, tokens["refresh"])
        sign_out(anybody, tokens["refresh"])

    assert ends() == ["Signed out."]


def test_a_token_that_is_used_twice_is_told_once(anybody, tokens):
    for _ in range(4):
        refresh(anybody, tokens["refresh"])

    assert ends() == ["A refresh token was used twice."]


def test_who_refreshes_while_the_sign_in_is_ended_is_not_overlooked(anybody, tokens, monkeypatch):
    second = refresh(anybody, tokens["refresh"]).json()["refresh"]
    look, made = accounts_tokens._unspent, []

    def look_slowly(token):
        found = look(token)
        if not made:
            made.append(str(accounts_tokens.rotate(second)))
        return found

    monkeypatch.setattr(accounts_tokens, "_unspent", look_slowly)
    refresh(anybody, tokens["refresh"])

    assert refused(refresh(anybody, made[0]))


def test_a_changed_password_ends_every_token(anybody, tokens, client_user):
    client_user.set_password("another password")
    client_user.save()

    assert refused(knock(anybody, f"Bearer {tokens['access']}"))
    assert refused(refresh(anybody, tokens["refresh"]))


def test_the_database_keeps_nothing_that_opens_anything(anybody, tokens):
    kept = str(list(OutstandingToken.objects.values()))

    assert not any(part in kept for part in tokens["refresh"].split(".")[1:])


def test_a_token_that_the_database_does_not_know_is_refused(anybody, tokens):
    """After a backup has been restored, say."""
    OutstandingToken.objects.all().delete()

    assert refused(refresh(anybody, tokens["refresh"]))


def test_housekeeping_forgets_tokens_that_have_expired_and_no_others(anybody, tokens):
    refresh(anybody, tokens["refresh"])

    prune()
    assert (OutstandingToken.objects.count(), BlacklistedToken.objects.count()) == (2, 1)
    with time_machine.travel(datetime.now(UTC) + timedelta(days=1, seconds=30)):
        prune()

    assert (OutstandingToken.objects.count(), BlacklistedToken.objects.count()) == (0, 0)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_use_the_same_token_at_once_one_gets_through_and_loses_it_again(
    client_user, tokens
):
    def use(_):
        try:
            return refresh(Client(), tokens["refresh"])
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(use, range(6)))

    assert sorted(answer.status_code for answer in answers) == [200] + 5 * [401]
    (winner,) = (answer for answer in answers if answer.status_code == 200)
    assert refused(refresh(Client(), winner.json()["refresh"]))


# -- the keys that sign --------------------------------------------------------------------------

OLD, NEW = "an old key that is long enough 1", "a new key that is long enough 22"


def test_tokens_of_an_older_key_are_believed_until_it_is_taken_off_the_list(anybody, settings):
    settings.JWT_SIGNING_KEYS = [OLD]
    old = anybody.post(TOKEN, CREDENTIALS, "application/json").json()
    settings.JWT_SIGNING_KEYS = [NEW, OLD]
    new = anybody.post(TOKEN, CREDENTIALS, "application/json").json()

    assert knock(anybody, f"Bearer {old['access']}").status_code == 200
    settings.JWT_SIGNING_KEYS = [NEW]
    assert refused(knock(anybody, f"Bearer {old['access']}"))
    assert refused(refresh(anybody, old["refresh"]))
    assert knock(anybody, f"Bearer {new['access']}").status_code == 200


def test_the_newest_key_signs_and_the_header_names_it(anybody, settings):
    settings.JWT_SIGNING_KEYS = [NEW, OLD]
    access = anybody.post(TOKEN, CREDENTIALS, "application/json").json()["access"]

    assert jwt.decode(access, NEW, algorithms=["HS256"])
    assert OLD not in str(jwt.get_unverified_header(access))
    settings.JWT_SIGNING_KEYS = [OLD]
    assert (
        jwt.get_unverified_header(access)["kid"]
        != (jwt.get_unverified_header(str(issue(user=User.objects.get())))["kid"])
    )


@pytest.mark.parametrize(
    ("algorithm", "header"),
    [
        ("HS256", {}),
        ("HS256", {"kid": None}),
        ("HS256", {"kid": "../../etc/passwd"}),
        ("HS256", {"kid": "of another key"}),
        ("HS512", {"kid": "right"}),
        ("HS384", {"kid": "right"}),
        ("none", {"kid": "right"}),
    ],
    ids=str,
)
def test_a_token_whose_header_lies_is_refused(anybody, tokens, algorithm, header):
    """Signed by our own key, so that nothing but the header can be what is wrong."""
    kid = jwt.get_unverified_header(tokens["access"])["kid"]
    right = {"kid": kid} if header.get("kid") == "right" else header
    claims = jwt.decode(tokens["access"], options={"verify_signature": False})
    (secret,) = settings.JWT_SIGNING_KEYS
    key = None if algorithm == "none" else secret
    right = {name: value for name, value in right.items() if value}
    with warnings.catch_warnings():  # the key is short for HS512
        warnings.simplefilter("ignore")
        token = jwt.encode(claims, key, algorithm=algorithm, headers=right)

    assert refused(knock(anybody, f"Bearer {token}"))
    assert knock(anybody, f"Bearer {tokens['access']}").status_code == 200


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
