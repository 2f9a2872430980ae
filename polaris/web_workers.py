"""Works on requests in a fixed number of threads, each with a database connection that it keeps, or
a pool of connections that they share (DATABASE_POOL).

Django's own handler begins a thread for every request, which opens a connection and closes it
again, and it crosses over into that thread once for each middleware. Here a request crosses over
once, and the process never has more connections than threads (and one for what asynchronous views
do). docs/decisions/0008 has the figures."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_started
from django.db import close_old_connections, reset_queries
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from polaris import errors
from polaris.database import keep_connections, share_connections, spare_check
from polaris.error_format import refuse
from polaris.request_limits import RequestRefused, read_whole
from polaris.security_headers import protect


class WebWorkers(ASGIHandler):
    """The ASGI application: middleware and views run in `threads` threads."""

    def __init__(self, threads: int) -> None:
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix="web")
        self._answer = sync_to_async(self._work, thread_sensitive=False, executor=self.threads)
        super().__init__()
        if settings.DATABASE_POOL:
            share_connections(settings.DATABASE_POOL)
        else:
            keep_connections()
        # The threads do this for themselves; as receivers they would need one more crossing each.
        for receiver in (close_old_connections, reset_queries):
            request_started.disconnect(receiver)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, without the thread that Django would set apart for it."""
        if scope["type"] != "http":
            raise ValueError(f"{scope['type']} is not served here.")
        try:
            receive = await read_whole(scope, receive)
        except RequestRefused as refusal:
            await self._refuse(refusal, send)
        except RequestAborted:
            pass  # the client has gone
        else:
            await self.handle(scope, receive, send)

    def create_request(self, scope: Any, body_file: Any) -> Any:
        """A request, or the answer to what is none."""
        request, refused = super().create_request(scope, body_file)
        if refused is not None:
            issue = "The address cannot be read."
            refused = protect(refuse(errors.BAD_REQUEST, "path", issue))
        return request, refused

    def load_middleware(self, is_async: bool = False) -> None:
        """All of it as plain functions, which call each other in one thread."""
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        """The answer, once a thread is free. Asynchronous views run in the event loop."""
        return await self._answer(request)

    async def _refuse(self, refusal: RequestRefused, send: Any) -> None:
        answer = protect(refuse(refusal.error, refusal.field, refusal.issue))
        answer["Connection"] = "close"  # some of the body may be on its way
        await self.send_response(answer, send)

    def _work(self, request: HttpRequest) -> HttpResponseBase:
        reset_queries()
        close_old_connections()
        spare_check()
        try:
            return self.get_response(request)
        finally:
            close_old_connections()
