"""The limit: eight threads that call `client.calls.create` and nothing else. No row, no ledger."""

import os
import threading
import time
from collections.abc import Iterator

from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from bench.account import ACCOUNT_SID, AUTH_TOKEN, EVENTS, FROM_NUMBER, TWIML, create_form
from bench.contenders.base import THREADS, Call, InOneProcess
from bench.contenders.orders import read_calls, say


class BareSdk(InOneProcess):
    """A loop over the SDK, at the right times."""

    name = "bare"
    title = "bare SDK loop"
    is_peer = False
    settings = f"one process, {THREADS} threads, one shared client"
    module = "bare_sdk"
    rows = ""

    def prepare(self) -> None:
        """It writes nothing."""


def make_client() -> Client:
    """A client like the one that Polaris makes."""
    http_client = TwilioHttpClient(max_retries=0)
    http_client.timeout = (3.05, 10)
    client = Client(ACCOUNT_SID, AUTH_TOKEN, http_client=http_client)
    client.api.base_url = os.environ["BENCH_CARRIER"]
    return client


def _loop(client: Client, calls: Iterator[Call], turn: threading.Lock) -> None:
    while True:
        with turn:
            call = next(calls, None)
        if call is None:
            return
        phone, moment = call
        time.sleep(max(0.0, moment - time.time()))
        client.calls.create(
            to=phone,
            from_=FROM_NUMBER,
            twiml=TWIML,
            status_callback=str(create_form(phone)["StatusCallback"]),
            status_callback_event=EVENTS,
        )


def main() -> None:
    """Make the calls that are told, then wait to be ended."""
    client = make_client()
    say("ready")
    calls = iter(sorted(read_calls(), key=lambda call: call[1]))
    turn = threading.Lock()
    threads = [threading.Thread(target=_loop, args=(client, calls, turn)) for _ in range(THREADS)]
    say("taken")
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
