"""Twilio's side of the webhooks: signs status callbacks, then posts them as fast as they are taken.

    python -m bench.webhook_client      [[number, SID, callback], …] on standard input

Each of a few threads has a keep-alive connection and calls of its own, whose webhooks come in
order. Prints the seconds from the first post to the last answer, and what was answered."""

import http.client
import json
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import urldefrag, urlencode, urlsplit

from twilio.request_validator import RequestValidator

from bench.account import ACCOUNT_SID, AUTH_TOKEN, FROM_NUMBER

CLIENTS = 4
EVENTS = ["initiated", "ringing", "in-progress", "completed"]
_PLACES = ("City", "Country", "State", "Zip")
_BLANK = {f"{side}{place}": "" for side in ("Called", "Caller", "From", "To") for place in _PLACES}

# Host and port, path with query, body, signature.
Request = tuple[str, str, str, str]


def main() -> None:
    """Sign first, so that only the posting is timed."""
    requests = [_signed(*call, event) for call in json.load(sys.stdin) for event in EVENTS]
    share = len(EVENTS)
    lots: list[list[Request]] = [[] for _ in range(CLIENTS)]
    for begin in range(0, len(requests), share):
        lots[begin // share % CLIENTS] += requests[begin : begin + share]
    answers: Counter[int] = Counter()
    clients = [threading.Thread(target=_post, args=(lot, answers)) for lot in lots]
    begun = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    print(json.dumps({"seconds": time.perf_counter() - begun, "answers": answers}))


def _signed(phone: str, call_id: str, callback: str, event: str) -> Request:
    url = urldefrag(callback).url  # the fragment is for Twilio alone: neither sent nor signed
    fields = _fields(phone, call_id, event)
    signature = RequestValidator(AUTH_TOKEN).compute_signature(url, fields)
    parts = urlsplit(url)
    return parts.netloc, f"{parts.path}?{parts.query}", urlencode(fields), signature


def _fields(phone: str, call_id: str, event: str) -> dict[str, str]:
    fields = _BLANK | {
        "AccountSid": ACCOUNT_SID,
        "ApiVersion": "2010-04-01",
        "CallSid": call_id,
        "CallStatus": event,
        "CallbackSource": "call-progress-events",
        "Called": phone,
        "Caller": FROM_NUMBER,
        "Direction": "outbound-api",
        "From": FROM_NUMBER,
        "SequenceNumber": str(EVENTS.index(event)),
        "Timestamp": format_datetime(datetime.now(UTC)),
        "To": phone,
    }
    if event == "completed":
        fields |= {"CallDuration": "17", "Duration": "1", "SipResponseCode": "200"}
    return fields


def _post(requests: list[Request], answers: "Counter[int]") -> None:
    connection = http.client.HTTPConnection(requests[0][0], timeout=60)
    for _, path, body, signature in requests:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Twilio-Signature": signature,
        }
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        answer.read()
        answers[answer.status] += 1


if __name__ == "__main__":
    main()
