"""The pages of what all rooms share; each is written beside what it is for."""

from polaris.audit import admin as audit
from polaris.web_processes import admin as web_processes

__all__ = ["audit", "web_processes"]
