"""Which calls does a list show, and where is its next page? Newest first, as at Twilio."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NoReturn
from urllib.parse import urlencode

from tracking.simulator.calls import Call
from tracking.simulator.orders import Form, first
from tracking.simulator.phone import dialled
from tracking.simulator.refusals import INVALID_PAGE, RefusedError

_FILTERS = ("To", "From", "Status")
_LARGEST = 1000
_ordinal = attrgetter("ordinal")


@dataclass(frozen=True, slots=True)
class Query:
    """What a list is asked for; StartTime and other filters are left aside."""

    filters: dict[str, str]
    size: int = 50
    number: int = 0
    token: str = ""
    """PA and a SID: what is older than that call; PB: what is newer."""

    def uri(self, path: str, *, number: int, token: str = "") -> str:
        """The address of another page of the same list."""
        place = {"PageSize": self.size, "Page": number} | ({"PageToken": token} if token else {})
        return f"{path}?{urlencode(self.filters | place)}"


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of the list, newest first."""

    calls: Sequence[Call]
    has_newer: bool
    has_older: bool


def read_query(form: Form) -> Query:
    """The list that a query string asks for; raises RefusedError for a wrong page."""
    return Query(
        filters={name: text for name in _FILTERS if (text := first(form, name))},
        size=max(1, min(_whole(form, "PageSize", 50), _LARGEST)),
        number=_whole(form, "Page", 0),
        token=first(form, "PageToken"),
    )


def wanted(calls: Sequence[Call], filters: dict[str, str]) -> Sequence[Call]:
    """The calls that pass the filters, in the order given."""
    to, sender = (_number(filters.get(name)) for name in ("To", "From"))
    status = filters.get("Status")
    if not (to or sender or status):
        return calls
    return [
        call
        for call in calls
        if to in (None, call.order.to)
        and sender in (None, call.order.sender)
        and status in (None, call.rest_status)
    ]


def page_of(calls: Sequence[Call], query: Query, *, anchor: Call | None) -> Page:
    """The page of a list in order of creation; the anchor is the call that the token names."""
    if anchor is None:
        end = len(calls) - query.number * query.size
        start = end - query.size
    elif query.token.startswith("PB"):
        start = bisect_right(calls, anchor.ordinal, key=_ordinal)
        end = start + query.size
    else:
        end = bisect_left(calls, anchor.ordinal, key=_ordinal)
        start = end - query.size
    start, end = max(0, start), max(0, min(end, len(calls)))
    return Page(calls[start:end][::-1], has_newer=end < len(calls), has_older=start > 0)


def page_json(page: Page, query: Query, *, path: str) -> dict[str, object]:
    """The frame of a page, without the calls themselves."""
    start = query.number * query.size
    newer = older = None
    if page.calls and page.has_newer and query.number:
        token = f"PB{page.calls[0].sid}"
        newer = query.uri(path, number=query.number - 1, token=token)
    if page.calls and page.has_older:
        older = query.uri(path, number=query.number + 1, token=f"PA{page.calls[-1].sid}")
    return {
        "first_page_uri": query.uri(path, number=0),
        "next_page_uri": older,
        "previous_page_uri": newer,
        "uri": query.uri(path, number=query.number, token=query.token),
        "page": query.number,
        "page_size": query.size,
        "start": start,
        "end": start + max(0, len(page.calls) - 1),
    }


def _number(text: str | None) -> str | None:
    return None if text is None else dialled(text) or text


def _whole(form: Form, name: str, default: int) -> int:
    text = first(form, name)
    if not text:
        return default
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else _refuse(name)


def _refuse(name: str) -> NoReturn:
    raise RefusedError(INVALID_PAGE.about(name))
