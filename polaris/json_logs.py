"""Log lines as JSON, one object a line, with the ids of what they are about.

Numbers are masked already (polaris.privacy.logs), tracebacks included."""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

from polaris.audit.acting import route_arguments

# As polaris.ids makes them; a call that somebody else placed has its carrier's id behind `log_`.
_ID = re.compile(r"\b(schedule|log)_[0-9A-Za-z]{20,40}\b")


class JsonFormatter(logging.Formatter):
    """`time` in UTC, `level`, `logger`, `message`, and where they are known `request_id`,
    `schedule_id`, `attempt_id` (the call log's id) and `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        told: dict[str, Any] = {
            "time": _moment(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": message,
            "process": record.process,
        }
        request_id = getattr(record, "request_id", "-")
        if request_id != "-":
            told["request_id"] = request_id
        told |= _subject(message)
        if trouble := self._trouble(record):
            told["exception"] = trouble
        return json.dumps(told, ensure_ascii=False, default=str)

    def _trouble(self, record: logging.LogRecord) -> str:
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        return "\n".join(filter(None, (record.exc_text, record.stack_info)))


def _moment(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _subject(message: str) -> dict[str, str]:
    """The schedule and the attempt that the request's path names, or else the line itself."""
    named = route_arguments()
    found = {kind: match for match, kind in reversed(_found(message))}
    schedule = named.get("schedule_id") or found.get("schedule")
    attempt = named.get("log_id") or found.get("log")
    ids = {"schedule_id": schedule, "attempt_id": attempt}
    return {key: value for key, value in ids.items() if value}


def _found(message: str) -> list[tuple[str, str]]:
    return [(match[0], match[1]) for match in _ID.finditer(message)]
