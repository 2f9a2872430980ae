"""What Polaris posts to others: to public addresses alone, and not for long."""

import ipaddress
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager, suppress

import pytest
import requests
from django.core.checks import run_checks

from polaris.events import publish
from tracking.models import Notification
from tracking.notifications import outbox, outgoing, public_addresses
from tracking.notifications.channels import WebhookChannel
from tracking.notifications.outgoing import AddressNotAllowed

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PUBLIC = "93.184.215.14"

PRIVATE = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255",  # noqa: S104
    "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.255.255.255", "233.252.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0:0", "::7f00:1", "fe80::1",
    "fe80::1%1", "fec0::1", "fc00::1", "fd12:3456::1", "ff02::1", "ff0e::1", "2001:db8::1",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::1", "2002:a00:1::",
    "2001::1", "100::1", "3fff::1",
]  # fmt: skip
# Other ways to write 127.0.0.1, 10.0.0.1 and 169.254.169.254 that the C library understands.
SPELLINGS = ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "10.1", "0xa9fea9fe", "[::1]"]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_everybodys_is_not_public(address):
    if ipaddress.ip_address(address) in ipaddress.ip_network("3fff::/20"):
        pytest.skip("known to newer Pythons only")

    assert not public_addresses.is_public(address)


@pytest.mark.parametrize(
    "address",
    [PUBLIC, "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"],
)
def test_an_address_of_the_internet_is_public(address):
    assert public_addresses.is_public(address)


def post(url, *, allow_private=False, timeout=(1, 1), within=5.0):
    with outgoing.post(
        url, body=b"{}", headers={}, timeout=timeout, within=within, allow_private=allow_private
    ) as response:
        return response.status_code


@contextmanager
def listening(answer=lambda wire: None):
    """A server that does `answer` with each connection; yields its port and how many came."""
    came = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    wire, _ = server.accept()
                except OSError:
                    return
                came.append(wire)
                answer(wire)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], came
        server.shutdown(socket.SHUT_RDWR)
    for wire in came:
        wire.close()


def greet(wire):
    wire.recv(65536)
    wire.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", *SPELLINGS])
def test_nothing_is_connected_to_however_it_is_spelt(host):
    with listening() as (port, came), pytest.raises(AddressNotAllowed):
        post(f"http://{host}:{port}/")

    assert came == []


def test_who_allows_it_may_post_to_the_own_network():
    with listening(greet) as (port, _):
        assert post(f"http://127.0.0.1:{port}/", allow_private=True) == 204


@pytest.fixture
def resolver(monkeypatch):
    """A resolver that answers each question with the next of these addresses."""

    def answer_with(*answers):
        asked = []

        def look_up(host, port, **_):
            addresses = answers[min(len(asked), len(answers) - 1)]
            asked.append(host)
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
                for address in addresses
            ]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        return asked

    return answer_with


@pytest.fixture
def connected(monkeypatch):
    """The addresses that a socket was told to connect to; nothing leaves this machine."""
    targets = []

    def connect(_, target):
        targets.append(target[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return targets


def test_a_name_that_is_rebound_after_it_was_judged_gains_nothing(resolver, connected):
    asked = resolver([PUBLIC], ["127.0.0.1"])

    with pytest.raises(requests.ConnectionError):
        post("https://rebound.example/hook")

    assert (asked, connected) == (["rebound.example"], [PUBLIC])


def test_one_private_address_among_others_spoils_the_name(resolver, connected):
    resolver([PUBLIC, "169.254.169.254"])

    with pytest.raises(AddressNotAllowed):
        post("https://both.example/hook")

    assert connected == []


def test_a_second_address_is_tried_where_the_first_is_down(resolver, connected):
    resolver([PUBLIC, "8.8.8.8"])

    with pytest.raises(requests.ConnectionError):
        post("https://both.example/hook")

    assert connected == [PUBLIC, "8.8.8.8"]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_no_way_around(monkeypatch, name):
    with listening() as (port, came):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        with pytest.raises(AddressNotAllowed):
            post("http://127.0.0.1:9/")

    assert came == []


def test_a_redirect_into_the_own_network_is_not_followed():
    def redirect(wire):
        wire.recv(65536)
        wire.sendall(
            b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
        )

    with listening(redirect) as (port, came):
        assert post(f"http://127.0.0.1:{port}/", allow_private=True) == 302

    assert len(came) == 1


def test_a_receiver_that_drips_is_cut_off():
    """Each byte comes in time, the answer never does."""
    over = threading.Event()

    def drip(wire):
        wire.recv(65536)
        wire.sendall(b"HTTP/1.1 200 OK\r\nX-A: ")
        for _ in range(500):  # whoever waits for the end of it gets another error
            if over.wait(0.02):
                return
            try:
                wire.sendall(b"a")
            except OSError:
                return

    with listening(drip) as (port, _):
        with pytest.raises(requests.Timeout):
            post(f"http://127.0.0.1:{port}/", allow_private=True, timeout=(5, 5), within=0.2)
        over.set()


def test_a_body_without_end_is_not_read():
    def flood(wire):
        wire.recv(65536)
        wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 65536)

    with listening(flood) as (port, _):
        assert post(f"http://127.0.0.1:{port}/", allow_private=True) == 200


@pytest.fixture
def certified(tmp_path):
    """Listens over TLS with a certificate of a name; yields the port and the file to trust."""

    @contextmanager
    def certified(name):
        key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
        files = ["-keyout", key, "-out", certificate]
        subprocess.run([*command, *names, *files], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)

        secure = []

        def encrypted(wire):
            with suppress(OSError):
                secure.append(context.wrap_socket(wire, server_side=True))
                greet(secure[-1])

        with listening(encrypted) as (port, _):
            yield port, certificate
        for wire in secure:
            wire.close()

    return certified


@pytest.mark.skipif(not shutil.which("openssl"), reason="there is no openssl")
def test_the_certificate_is_checked_against_the_name(monkeypatch, certified):
    """The name is what was asked for, the address what it was resolved to."""
    with certified("hook.example") as (port, bundle):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
        look_up = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda _, *args, **kwargs: look_up("127.0.0.1", *args, **kwargs)
        )

        assert post(f"https://hook.example:{port}/", allow_private=True) == 204
        with pytest.raises(requests.exceptions.SSLError):
            post(f"https://other.example:{port}/", allow_private=True)


@pytest.mark.django_db
def test_a_message_to_the_own_network_waits_and_says_why(settings):
    settings.NOTIFY_WEBHOOK_PRIVATE = False
    settings.NOTIFY_EVENTS = ["*"]
    settings.NOTIFY_WEBHOOK_SECRET = SECRET
    with listening() as (port, came):
        settings.NOTIFY_WEBHOOK_URL = f"http://localhost:{port}/hook?token=a-secret"
        publish("call.failed")

        outbox.deliver_due()

    message = Notification.objects.get()
    assert (message.status, message.last_error) == (
        "waiting",
        "The receiver's address is not a public one.",
    )
    assert came == []


def test_the_longest_delivery_is_shorter_than_a_lease():
    assert WebhookChannel.longest + sum(WebhookChannel.limits) < outbox.LEASE.total_seconds()


@pytest.mark.parametrize(
    ("url", "changes", "complains"),
    [
        ("http://desk.example.org/hook", {}, True),
        ("HTTP://desk.example.org/hook", {}, True),
        ("https://desk.example.org/hook", {}, False),
        ("http://desk.example.org/hook", {"DEBUG": True}, False),
        ("http://desk.example.org/hook", {"NOTIFY_WEBHOOK_PRIVATE": True}, False),
        ("", {}, False),
    ],
)
def test_in_production_a_webhook_is_encrypted(settings, url, changes, complains):
    settings.NOTIFY_WEBHOOK_PRIVATE = False
    settings.NOTIFY_WEBHOOK_URL, settings.NOTIFY_WEBHOOK_SECRET = url, SECRET
    for name, value in changes.items():
        setattr(settings, name, value)

    found = [problem.id for problem in run_checks() if problem.id == "notifications.E004"]

    assert bool(found) is complains
