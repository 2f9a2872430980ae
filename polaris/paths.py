"""Paths that are served with and without a trailing slash."""

from collections.abc import Callable
from typing import Any

from django.urls import URLPattern, path


def paths(route: str, view: Callable[..., Any], *, name: str) -> list[URLPattern]:
    """The contract's form of a path, and its twin."""
    twin = route.rstrip("/") if route.endswith("/") else f"{route}/"
    return [path(route, view, name=name), path(twin, view)]
