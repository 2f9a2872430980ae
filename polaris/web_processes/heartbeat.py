"""A web process's heartbeat: one short statement every few seconds."""

import os
import socket
from functools import cache

from django.utils import timezone

import polaris
from polaris.ids import new_id
from polaris.web_processes.models import WebProcess


def beat() -> None:
    """Write down that this process runs; the first time, that it has begun."""
    moment = timezone.now()
    me = WebProcess.objects.filter(pk=_my_id())
    if not me.update(last_seen_at=moment):
        WebProcess.objects.create(
            pk=_my_id(),
            host=socket.gethostname()[:255],
            process_id=os.getpid(),
            version=polaris.VERSION,
        )


@cache
def _my_id() -> str:
    return new_id("web")
