"""How does a webhook get to its receiver? Signed, and repeated only as its URL asks.

The URL's fragment may ask for retries and shorter time-outs, as at Twilio:
twilio.com/docs/usage/webhooks/webhooks-connection-overrides."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from urllib.parse import parse_qs, quote_plus

import aiohttp
from twilio.request_validator import RequestValidator
from yarl import URL

from tracking.simulator.webhooks import Webhook

_AT_ONCE = 200
# Shorter than any receiver keeps an idle connection, so that a POST never meets one just closed.
_KEEP_ALIVE = 1.0
_FAILURES = frozenset({"ct", "rt", "4xx", "5xx"})


class Failure(StrEnum):
    """Why a webhook has no HTTP answer; the first two are the fragment's own words."""

    CONNECT = "ct"
    READ = "rt"
    TOTAL = "tt"


Answer = int | Failure


@dataclass(frozen=True, slots=True)
class Terms:
    """What a URL's fragment asks for; times in seconds."""

    retries: int = 0
    policy: frozenset[str] = frozenset({"ct"})
    connect: float = 5.0
    read: float = 15.0
    total: float = 15.0

    def want_another(self, answer: Answer) -> bool:
        """Whether the policy names this failure."""
        kind = answer.value if isinstance(answer, Failure) else f"{answer // 100}xx"
        return kind in _FAILURES and not self.policy.isdisjoint({kind, "all"})


@lru_cache(maxsize=64)
def terms_of(fragment: str) -> Terms:
    """Read from `rc=3&rp=5xx,ct,rt`; what is missing or wrong has the default."""
    asked = {name: values[-1] for name, values in parse_qs(fragment).items()}
    return Terms(
        retries=_bounded(asked.get("rc"), 1 if "rp" in asked else 0, 0, 5),
        policy=frozenset(asked.get("rp", "ct").split(",")),
        connect=_bounded(asked.get("ct"), 5000, 100, 10000) / 1000,
        read=_bounded(asked.get("rt"), 15000, 100, 15000) / 1000,
        total=_bounded(asked.get("tt"), 15000, 100, 15000) / 1000,
    )


class Courier:
    """Delivers webhooks, many at once, over kept-alive connections."""

    def __init__(self, auth_token: str) -> None:
        self._validator = RequestValidator(auth_token)
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, webhook: Webhook) -> Answer:
        """The receiver's last HTTP status, or why there is none, within 15 seconds in all."""
        url, _, fragment = webhook.url.partition("#")
        terms = terms_of(fragment)
        try:
            async with self._places, asyncio.timeout(terms.total):
                return await self._insist(webhook, url, terms)
        except TimeoutError:
            return Failure.TOTAL

    async def close(self) -> None:
        """Give up the connections."""
        if self._session is not None:
            await self._session.close()

    async def _insist(self, webhook: Webhook, url: str, terms: Terms) -> Answer:
        answer = await self._attempt(webhook, url, terms)
        for _ in range(terms.retries):
            if not terms.want_another(answer):
                break
            answer = await self._attempt(webhook, url, terms)
        return answer

    async def _attempt(self, webhook: Webhook, url: str, terms: Terms) -> Answer:
        body = _form_encoded(webhook.fields)
        if webhook.method == "GET":
            url = f"{url}{'&' if '?' in url else '?'}{body}"
        try:
            async with self._connections().request(
                webhook.method,
                URL(url, encoded=True),
                data=None if webhook.method == "GET" else body,
                headers=self._headers(webhook, url),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(sock_connect=terms.connect, sock_read=terms.read),
            ) as response:
                await response.read()
                return response.status
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return Failure.CONNECT
        except (aiohttp.ClientError, OSError, ValueError):
            return Failure.READ

    def _headers(self, webhook: Webhook, url: str) -> dict[str, str]:
        signed = {} if webhook.method == "GET" else webhook.fields
        return {
            "content-type": "application/x-www-form-urlencoded; charset=UTF-8",
            "user-agent": "TwilioProxy/1.1",
            "x-twilio-signature": self._validator.compute_signature(url, signed),
            "i-twilio-idempotency-token": webhook.idempotency_token,
        }

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


def _form_encoded(fields: dict[str, str]) -> str:
    """Quotes the values alone: Twilio's names need none, and most values are blank."""
    return "&".join([f"{name}={quote_plus(text)}" for name, text in fields.items()])


def _bounded(text: str | None, default: int, least: int, most: int) -> int:
    if text is None or not text.isascii() or not text.isdigit():
        return default
    return min(max(int(text[:6]), least), most)
