"""Log records in which every phone number is masked, whatever handler or formatter shows them."""

import logging
import logging.config
import sys
import threading
import traceback
from types import TracebackType
from typing import Any

from polaris.masking import mask_numbers

logger = logging.getLogger(__name__)


class MaskedRecord(logging.LogRecord):
    """A record whose message, arguments and traceback hold no whole number.

    The traceback is put into words at once and the exception let go: its objects, which handlers
    would print by themselves, cannot be masked."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.msg = _masked(self.msg)
        if isinstance(self.args, tuple):
            self.args = tuple(map(_masked, self.args))
        elif isinstance(self.args, dict):
            self.args = {key: _masked(value) for key, value in self.args.items()}
        if self.exc_info and self.exc_info[1]:
            self.exc_text = mask_numbers(
                "".join(traceback.format_exception(self.exc_info[1])).rstrip()
            )
        self.exc_info = None
        if self.stack_info:
            self.stack_info = mask_numbers(self.stack_info)

    def getMessage(self) -> str:  # noqa: N802 (the parent's name)
        """Masked once more: a number may be in an object, or come together only here."""
        return mask_numbers(super().getMessage())


def configure(config: dict[str, Any]) -> None:
    """Django's LOGGING_CONFIG: as logging.config.dictConfig, with masked records from here on.

    Python's warnings, and what nobody has caught, come as records as well, and no longer by
    Python's own way to standard error, which masks nothing."""
    logging.setLogRecordFactory(MaskedRecord)
    logging.config.dictConfig(config)
    logging.captureWarnings(True)
    # A debugger's or a test runner's own hook stays.
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _tell_the_end
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _tell_the_end_of_a_thread


def _tell_the_end(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        logger.critical("ended by %s", kind.__name__, exc_info=(kind, error, trace))


def _tell_the_end_of_a_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value and not issubclass(ended.exc_type, SystemExit):
        name = ended.thread.name if ended.thread else "?"
        told = (ended.exc_type, ended.exc_value, ended.exc_traceback)
        logger.critical("thread %s ended by %s", name, ended.exc_type.__name__, exc_info=told)


def _masked(value: Any) -> Any:
    return mask_numbers(value) if isinstance(value, str) else value
