"""Tokens of an outside issuer: RS256, its published keys, and an account here."""

import base64
import hashlib
import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client
from jwt.algorithms import RSAAlgorithm

from polaris.access import owner_id
from polaris.accounts import grants, outside_issuer
from polaris.accounts.tokens import issue
from schedules.tests.factories import CallScheduleFactory

ISSUER, AUDIENCE = "https://issuer.example", "polaris"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)

pytestmark = pytest.mark.django_db


def published(key, kid="1", **more):
    return json.loads(RSAAlgorithm.to_jwk(key.public_key())) | {"kid": kid, "use": "sig"} | more


def token(key=KEY, algorithm="RS256", kid="1", **changes):
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "client",
        "exp": datetime.now(UTC) + timedelta(minutes=5),
    } | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid} if kid else {})


def knock(bearer):
    browser = Client(raise_request_exception=False)
    return browser.get("/schedule/", headers={"Authorization": f"Bearer {bearer}"})


def said(answer):
    return answer.status_code, answer.json().get("error_code")


@pytest.fixture(autouse=True)
def issuer(settings, tmp_path, client_user):
    """The issuer is configured; its keys are in a file."""
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [published(KEY)]}))
    settings.JWT_OUTSIDE_ISSUER = ISSUER
    settings.JWT_OUTSIDE_AUDIENCE = AUDIENCE
    settings.JWT_OUTSIDE_KEYS = str(file)
    return file


def test_a_token_of_the_issuer_opens_the_api_as_the_account_that_it_names(client_user):
    mine = CallScheduleFactory(created_by=owner_id(client_user))
    CallScheduleFactory(created_by="user_0")

    answer = knock(token())

    assert [row["id"] for row in answer.json()["results"]] == [mine.pk]


def test_our_own_tokens_go_on_working(client_user):
    assert knock(issue(user=client_user).access_token).status_code == 200


def test_the_claim_that_names_the_account_can_be_chosen(settings):
    settings.JWT_OUTSIDE_USER_CLAIM = "preferred_username"

    assert knock(token(sub="x", preferred_username="client")).status_code == 200
    assert said(knock(token(sub="client"))) == (401, "AUTH_003")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://another.example"},
        {"iss": None},
        {"aud": "another service"},
        {"aud": None},
        {"aud": ["a", "b"]},
        {"exp": datetime(2020, 1, 1, tzinfo=UTC)},
        {"exp": None},
        {"nbf": datetime(2999, 1, 1, tzinfo=UTC)},
        {"sub": None},
        {"sub": "nobody"},
        {"sub": ""},
        {"sub": "client\x00"},
        {"kid": None},
        {"kid": "2"},
        {"key": STRANGER},
        {"algorithm": "RS512"},
        {"algorithm": "PS256"},
        {"agent_instance_id": "agent_1"},
        {"agent_instance_id": {}},
    ],
    ids=" ".join,
)
def test_what_is_not_the_issuers_for_us_is_refused(changes):
    assert said(knock(token(**changes))) == (401, "AUTH_003")
    assert knock(token()).status_code == 200


@pytest.mark.parametrize("kid", ["1", None])
def test_the_public_key_is_no_secret_to_sign_with(kid):
    """HS256 with the public key as its secret, in every form that a library might have used."""
    public = KEY.public_key()
    for encoding, form in (
        (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        (serialization.Encoding.DER, serialization.PublicFormat.PKCS1),
    ):
        secret = public.public_bytes(encoding, form)
        forged = _signed_by_hand(secret, kid)

        assert said(knock(forged)) == (401, "AUTH_003")


def test_no_signature_at_all_is_refused():
    claims = jwt.decode(token(), options={"verify_signature": False})

    unsigned = jwt.encode(claims, None, algorithm="none", headers={"kid": "1"})
    header, payload, _ = token().split(".")

    assert said(knock(unsigned)) == (401, "AUTH_003")
    assert said(knock(f"{header}.{payload}.")) == (401, "AUTH_003")


def _signed_by_hand(secret, kid):
    """jwt.encode itself refuses a public key as a secret."""

    def part(data):
        return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=")

    claims = jwt.decode(token(), options={"verify_signature": False})
    signed = part({"alg": "HS256", "typ": "JWT", "kid": kid}) + b"." + part(claims)
    signature = hmac.new(secret, signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def test_a_closed_account_is_closed_to_the_issuer_too(client_user):
    client_user.is_active = False
    client_user.save()

    assert said(knock(token())) == (401, "AUTH_003")


def test_a_token_for_an_agent_stands_on_a_grant_as_ours_do(client_user):
    grants.grant(user=client_user, agent_instance_id="agent_1", granted_by=None)
    mine = CallScheduleFactory(created_by=owner_id(client_user), agent_instance_id="agent_1")
    CallScheduleFactory(created_by=owner_id(client_user), agent_instance_id="agent_2")

    answer = knock(token(agent_instance_id="agent_1"))

    assert [row["id"] for row in answer.json()["results"]] == [mine.pk]


def test_without_an_issuer_no_such_token_is_taken(settings):
    settings.JWT_OUTSIDE_ISSUER = settings.JWT_OUTSIDE_AUDIENCE = settings.JWT_OUTSIDE_KEYS = ""

    assert said(knock(token())) == (401, "AUTH_003")


# -- its keys ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        "",
        "no JSON",
        "[]",
        "{}",
        '{"keys": {}}',
        "[" * 100_000,
    ],
    ids=lambda text: text[:10],
)
def test_keys_that_cannot_be_read_are_told_as_away(issuer, document):
    issuer.write_text(document)

    answer = knock(token())

    assert said(answer) == (503, "AUTH_007")
    assert 0 < int(answer.headers["Retry-After"]) <= 60


@pytest.mark.parametrize(
    "key",
    [
        {"kid": "1", "kty": "oct", "k": "c2VjcmV0"},
        published(KEY, use="enc"),
        published(KEY, alg="RS512"),
        published(KEY, n="!!"),
        published(KEY) | {"kid": 1},
        json.loads(RSAAlgorithm.to_jwk(KEY)) | {"kid": "1"},
        "1",
        None,
    ],
    ids=["oct", "enc", "RS512", "broken", "kid", "private", "text", "null"],
)
def test_keys_of_another_kind_are_passed_over(issuer, key):
    issuer.write_text(json.dumps({"keys": [key, published(STRANGER, "2")]}))

    assert said(knock(token())) == (401, "AUTH_003")
    assert knock(token(key=STRANGER, kid="2")).status_code == 200


def test_a_new_key_of_the_issuers_is_found_after_a_while(issuer, monkeypatch):
    assert knock(token()).status_code == 200
    issuer.write_text(json.dumps({"keys": [published(STRANGER, "2")]}))
    assert said(knock(token(key=STRANGER, kid="2"))) == (401, "AUTH_003")

    later = time.monotonic() + 31
    monkeypatch.setattr(outside_issuer.time, "monotonic", lambda: later)

    assert knock(token(key=STRANGER, kid="2")).status_code == 200
    assert said(knock(token())) == (401, "AUTH_003")


def test_while_its_keys_are_away_the_last_ones_do(issuer, monkeypatch):
    assert knock(token()).status_code == 200
    issuer.unlink()
    later = time.monotonic() + 3600
    monkeypatch.setattr(outside_issuer.time, "monotonic", lambda: later)

    assert knock(token()).status_code == 200
    assert said(knock(token(kid="2"))) == (503, "AUTH_007")


class Server:
    """An issuer's server that answers as it is told, and counts."""

    def __init__(self):
        self.asked, self.status, self.body = 0, 200, json.dumps({"keys": [published(KEY)]})
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                self.send_response(outer.status)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()
                self.wfile.write(outer.body.encode())

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/keys"
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server(settings):
    server = Server()
    settings.JWT_OUTSIDE_KEYS = server.url
    yield server
    server.stop()


def test_keys_are_fetched_once_whoever_asks(server):
    assert {knock(token()).status_code for _ in range(5)} == {200}
    assert {said(knock(token(kid=f"made up {n}"))) for n in range(5)} == {(401, "AUTH_003")}

    assert server.asked == 1


def test_keys_are_fetched_once_though_many_ask_at_the_same_time(server):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: outside_issuer.published_keys.named("1"), range(8)))

    assert all(found)
    assert server.asked == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, "{}"), (302, "{}"), (404, ""), (200, " " * 300_000), (200, "<html>")],
    ids=["500", "302", "404", "long", "HTML"],
)
def test_a_server_that_gives_no_keys_is_asked_once_in_a_while(server, status, body):
    server.status, server.body = status, body

    assert {said(knock(token())) for _ in range(3)} == {(503, "AUTH_007")}
    assert server.asked == 1


def test_a_server_that_is_not_there_is_told_as_away(settings):
    settings.JWT_OUTSIDE_KEYS = "http://127.0.0.1:1/keys"

    assert said(knock(token())) == (503, "AUTH_007")


def test_clocks_may_differ_by_some_seconds():
    bearer = token(exp=datetime.now(UTC) + timedelta(seconds=2))

    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=9)):
        assert knock(bearer).status_code == 200
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=15)):
        assert said(knock(bearer)) == (401, "AUTH_003")
