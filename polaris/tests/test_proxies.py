"""Behind a proxy: whose a request is, and how it came in, goes by trusted proxies alone."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from twilio.request_validator import RequestValidator

from polaris.proxies import behind_proxies
from polaris.tests.stack import HOME, PATIENCE, Stack, wait_until

CLIENT = "203.0.113.7"


def heard(headers: dict[str, str], *, peer: str, proxies: list[str]) -> tuple[str, str]:
    """The client's address and the scheme, as the application is told them."""
    told = {}

    async def application(scope, receive, send):
        told.update(scope)

    scope = {
        "type": "http",
        "scheme": "http",
        "client": (peer, 50000),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(behind_proxies(application, proxies)(scope, None, None))
    return told["client"][0], told["scheme"]


@pytest.mark.parametrize(
    ("peer", "proxies", "forwarded", "client", "scheme"),
    [
        ("127.0.0.1", ["127.0.0.1"], CLIENT, CLIENT, "https"),
        ("10.1.2.3", ["10.0.0.0/8"], CLIENT, CLIENT, "https"),
        ("::1", ["127.0.0.1", "::1"], "2001:db8::7", "2001:db8::7", "https"),
        # A chain: from the last to the first that is no proxy of ours.
        ("127.0.0.1", ["127.0.0.1", "10.0.0.0/8"], f"{CLIENT}, 10.0.0.9", CLIENT, "https"),
        # What the client itself has claimed comes before its own address, and is left.
        ("127.0.0.1", ["127.0.0.1"], f"1.2.3.4, {CLIENT}", CLIENT, "https"),
        # Nobody else is believed.
        ("192.0.2.1", ["127.0.0.1"], CLIENT, "192.0.2.1", "http"),
        ("127.0.0.1", [], CLIENT, "127.0.0.1", "http"),
    ],
)
def test_the_client_is_whom_a_trusted_proxy_names(peer, proxies, forwarded, client, scheme):
    headers = {"x-forwarded-for": forwarded, "x-forwarded-proto": "https"}

    assert heard(headers, peer=peer, proxies=proxies) == (client, scheme)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Nginx:
    """The documents' own nginx.conf, on free ports and with a certificate of its own."""

    def __init__(self, program: str, folder: Path, upstream: str) -> None:
        self.http, self.https = free_port(), free_port()
        self.certificate, key = folder / "certificate.pem", folder / "key.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
                *("-keyout", key, "-out", self.certificate),
            ],
            check=True,
            capture_output=True,
        )
        site = (HOME / "docs" / "deploy" / "nginx.conf").read_text()
        for old, new in {
            "127.0.0.1:8000": upstream,
            "listen 80;": f"listen 127.0.0.1:{self.http};",
            "listen 443 ssl;": f"listen 127.0.0.1:{self.https} ssl;",
            "calls.example.com;": "localhost;",
            "/etc/ssl/certs/calls.example.com.pem": str(self.certificate),
            "/etc/ssl/private/calls.example.com.key": str(key),
        }.items():
            assert old in site
            site = site.replace(old, new)
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        configuration = folder / "nginx.conf"
        configuration.write_text(
            f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;"
            f"events {{}} http {{ access_log off; {temporary}\n{site} }}"
        )
        self.process = subprocess.Popen(
            [program, "-p", folder, "-c", configuration], stderr=subprocess.DEVNULL
        )
        self.url = f"https://localhost:{self.https}"
        self.session = requests.Session()
        self.session.trust_env = False  # its bundle of certificates would go before ours
        self.session.verify = str(self.certificate)
        wait_until(self.answers, what="nginx answers")

    def answers(self) -> bool:
        with suppress(requests.ConnectionError):
            return self.session.get(f"{self.url}/api/schema", timeout=PATIENCE).ok
        return False

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)


@pytest.fixture
def nginx(stack: Stack, tmp_path: Path) -> Iterator[Nginx]:
    """In front of a web process with HTTPS_ONLY."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not program or not shutil.which("openssl"):
        pytest.skip("there is no nginx on this machine")
    stack.environment["HTTPS_ONLY"] = "true"
    stack.environment["THROTTLE_LOGIN"] = "2/min"
    stack.environment["TWILIO_WEBHOOK_URL"] = "https://localhost/webhook/call-status"
    stack.start_web(behind_tls=True)
    nginx = Nginx(program, tmp_path, f"127.0.0.1:{stack.port}")
    yield nginx
    nginx.stop()


def test_tls_is_ended_by_nginx(nginx: Nginx, stack: Stack):
    session, url = nginx.session, nginx.url

    plain = requests.get(
        f"http://localhost:{nginx.http}/admin/?a=b", allow_redirects=False, timeout=PATIENCE
    )
    assert (plain.status_code, plain.headers["Location"]) == (308, "https://localhost/admin/?a=b")
    past_the_proxy = requests.get(f"{stack.url}/admin/", allow_redirects=False, timeout=PATIENCE)
    assert past_the_proxy.status_code == 301
    assert past_the_proxy.headers["Location"].startswith("https://")

    page = session.get(f"{url}/admin/login/", timeout=PATIENCE)
    assert page.status_code == 200
    assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
    (cookie,) = (cookie for cookie in session.cookies if cookie.name == "csrftoken")
    assert cookie.secure

    fields = {"AccountSid": stack.environment["TWILIO_ACCOUNT_SID"], "CallSid": "CA" + "1" * 32}
    fields |= {"CallStatus": "ringing", "To": "+15005550001", "From": "+15005550006"}
    public = f"{stack.environment['TWILIO_WEBHOOK_URL']}?attempt_id=log_1"
    sign = RequestValidator(stack.environment["TWILIO_AUTH_TOKEN"]).compute_signature
    webhook = f"{url}/webhook/call-status?attempt_id=log_1"
    for signed, status in ((public, 204), (webhook, 403)):
        signature = {"X-Twilio-Signature": sign(signed, fields)}
        answer = session.post(webhook, data=fields, headers=signature, timeout=PATIENCE)
        assert answer.status_code == status, answer.text

    wrong = {"username": "nobody", "password": "wrong"}
    for n, expected in enumerate((401, 401, 429)):  # another name each time helps nobody
        answer = session.post(
            f"{url}/auth/token",
            json=wrong,
            headers={"X-Forwarded-For": f"198.51.100.{n}"},
            timeout=PATIENCE,
        )
        assert answer.status_code == expected
