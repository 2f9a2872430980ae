"""Who asks for what? The routes of the simulated carrier, as a plain ASGI application."""

import re
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import parse_qs

from tracking.simulator import refusals
from tracking.simulator.calls import API_VERSION, Call, new_resource, resource
from tracking.simulator.exchange import Exchange
from tracking.simulator.listing import page_json, page_of, read_query, wanted
from tracking.simulator.orders import Form, first, read_order
from tracking.simulator.outcomes import Answer, Status, outcome_for
from tracking.simulator.phone import dialled
from tracking.simulator.refusals import RefusedError
from tracking.simulator.replies import (
    RESET,
    Ending,
    Message,
    Receive,
    Reply,
    Send,
    json_reply,
    refusal_reply,
    send_reply,
)

_ROUTE = re.compile(rf"/{API_VERSION}/Accounts/(?P<account>[^/]+)/Calls(?:/(?P<sid>[^/]+))?\.json")
_ACCOUNT_SID = re.compile(r"AC[0-9a-fA-F]{32}")
_LEDGER = "/ledger"


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent."""

    method: str
    path: str
    query: bytes
    authorization: bytes
    body: bytes

    def form(self) -> Form:
        """The fields of the body."""
        return parse_qs(self.body.decode(errors="replace"), keep_blank_values=True)

    def parameters(self) -> Form:
        """The fields of the query string."""
        return parse_qs(self.query.decode(errors="replace"), keep_blank_values=True)


class Application:
    """Twilio's calls resource, and the ledger beside it."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        credentials = f"{exchange.account_sid}:{exchange.auth_token}".encode()
        self._authorization = b"Basic " + b64encode(credentials)
        self._calls_path = f"/{API_VERSION}/Accounts/{exchange.account_sid}/Calls.json"

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = await _read(scope, receive)
        if request is not None:
            await send_reply(await self._answer(request), scope, receive, send)

    async def _answer(self, request: Request) -> Reply:
        try:
            if request.path == _LEDGER:
                return self._answer_ledger(request)
            return await self._answer_calls(request)
        except RefusedError as error:
            return refusal_reply(error.refusal)

    # -- Twilio's dialect ------------------------------------------------------------------------

    async def _answer_calls(self, request: Request) -> Reply:
        sid = self._route(request)
        match request.method, sid:
            case "POST", None:
                return await self._create(request)
            case "GET", None:
                return self._list(request)
            case "GET", str():
                return self._show(self._call(sid, request))
            case "POST", str():
                return self._update(self._call(sid, request), request)
        raise RefusedError(refusals.METHOD_NOT_ALLOWED.about(request.method))

    def _route(self, request: Request) -> str | None:
        """The SID in the path, None for all calls; raises RefusedError for strangers."""
        if request.path == self._calls_path and request.authorization == self._authorization:
            return None
        if not request.path.startswith(f"/{API_VERSION}/"):
            raise RefusedError(refusals.NOT_FOUND.about(request.path))
        found = _ROUTE.fullmatch(request.path)
        account = found["account"] if found else self._exchange.account_sid
        is_ours = account == self._exchange.account_sid
        if request.authorization != self._authorization or (
            not is_ours and _ACCOUNT_SID.fullmatch(account)
        ):
            raise RefusedError(refusals.UNAUTHENTICATED)
        if found is None or not is_ours:
            raise RefusedError(refusals.NOT_FOUND.about(request.path))
        return found["sid"]

    async def _create(self, request: Request) -> Reply:
        order = read_order(request.form())
        outcome = outcome_for(order.to)
        if self._exchange.turns_away(order, outcome):
            if outcome.refusal is None:
                return RESET
            raise RefusedError(outcome.refusal.about(order.to))
        return await self._acknowledge(self._exchange.place(order, outcome))

    async def _acknowledge(self, call: Call) -> Reply:
        """The answer to an accepted create, as faulty as the outcome wants it."""
        created = new_resource(call, account_sid=self._exchange.account_sid)
        match call.outcome.answer:
            case Answer.RESET:
                return RESET
            case Answer.TRUNCATED:
                return json_reply(201, created, ending=Ending.TRUNCATED)
            case Answer.ERROR:
                return refusal_reply(call.outcome.refusal or refusals.SERVER_ERROR)
            case Answer.LATE:
                await self._exchange.pause(self._exchange.late_answer)
            case Answer.AFTER_WEBHOOKS:
                await self._exchange.delivered(call)
        return json_reply(201, created)

    def _list(self, request: Request) -> Reply:
        query = read_query(request.parameters())
        to = query.filters.get("To")
        calls = self._exchange.listed(None if to is None else dialled(to) or to)
        anchor = self._exchange.call(query.token[2:])
        if query.token and anchor is None:
            raise RefusedError(refusals.INVALID_PAGE.about("PageToken"))
        page = page_of(wanted(calls, query.filters), query, anchor=anchor)
        shown = [resource(call, account_sid=self._exchange.account_sid) for call in page.calls]
        return json_reply(200, {"calls": shown, **page_json(page, query, path=request.path)})

    def _show(self, call: Call) -> Reply:
        return json_reply(200, resource(call, account_sid=self._exchange.account_sid))

    def _update(self, call: Call, request: Request) -> Reply:
        form = request.form()
        wish = first(form, "Status")
        if wish in {Status.CANCELED, Status.COMPLETED}:
            self._exchange.hang_up(call, Status(wish))
        elif wish or not (first(form, "Url") or first(form, "Twiml")):
            raise RefusedError(refusals.INVALID_UPDATE.about(wish))
        elif call.status != Status.IN_PROGRESS:
            raise RefusedError(refusals.NOT_IN_PROGRESS)
        return self._show(call)

    def _call(self, sid: str, request: Request) -> Call:
        call = self._exchange.call(sid)
        if call is None:
            raise RefusedError(refusals.NOT_FOUND.about(request.path))
        return call

    # -- beside it -------------------------------------------------------------------------------

    def _answer_ledger(self, request: Request) -> Reply:
        match request.method:
            case "GET":
                with_calls = not first(request.parameters(), "counts")
                return json_reply(200, self._exchange.ledger(with_calls=with_calls))
            case "DELETE":
                self._exchange.forget()
                return Reply(204)
        raise RefusedError(refusals.METHOD_NOT_ALLOWED.about(request.method))


async def _read(scope: Message, receive: Receive) -> Request | None:
    """The whole request, None where the client left before it was sent."""
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    authorization = next((text for name, text in scope["headers"] if name == b"authorization"), b"")
    return Request(scope["method"], scope["path"], scope["query_string"], authorization, body)
