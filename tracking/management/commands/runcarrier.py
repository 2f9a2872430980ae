"""Starts the simulated carrier, at which a developer needs no Twilio account."""

import math
import signal
from argparse import ArgumentParser
from socket import socket
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from tracking.simulator.exchange import Exchange
from tracking.simulator.server import CarrierServer, NotLoopbackError, listen, url_of


class Command(BaseCommand):
    help = (
        "Run a carrier on loopback that speaks Twilio's REST dialect and posts signed webhooks. "
        "The last two digits of the called number choose what happens: see docs/carrier.md."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="A loopback address.")
        parser.add_argument("--port", type=int, default=9010)
        parser.add_argument(
            "--speed", default="1", help="How many times as fast as life; 1 by default."
        )
        parser.add_argument(
            "--late-answer",
            default="30",
            help="Seconds, at speed 1, before a number ending in 17 is answered; 30 by default.",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        server = CarrierServer(
            Exchange(
                account_sid=_credential("TWILIO_ACCOUNT_SID"),
                auth_token=_credential("TWILIO_AUTH_TOKEN"),
                speed=_positive("--speed", options["speed"]),
                late_answer=_positive("--late-answer", options["late_answer"]),
            )
        )
        listener = _listen(options["host"], options["port"])
        self.stdout.write(
            f"The simulated carrier listens at {url_of(listener)}; "
            "docs/carrier.md says which number does what."
        )
        self.stdout.flush()
        # uvicorn raises a signal again once it has stopped; this handler lets the exit be clean.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, server.handle_exit)
        server.run([listener])


def _credential(name: str) -> str:
    text = str(getattr(settings, name))
    if not text:
        raise CommandError(f"Set {name}; at the simulated carrier any text will do.")
    return text


def _positive(option: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise CommandError(f"{option} must be a positive number, not {text}.")
    return number


def _listen(host: str, port: int) -> socket:
    try:
        return listen(host, port)
    except NotLoopbackError as error:
        raise CommandError(f"{error} {host} is not a loopback address.") from error
    except (OSError, OverflowError) as error:
        raise CommandError(f"Cannot listen at {host}:{port}: {error}") from error
