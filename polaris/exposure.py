"""Is this server open to others, or a demo on its own machine?"""

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

KNOWN_KEY = "an open secret, for debugging alone"  # everybody can read it here


def public_hosts(allowed_hosts: Iterable[str], *addresses: str) -> list[str]:
    """The names, of the hosts served and of these URLs, that do not mean this very machine."""
    named = [urlsplit(address).hostname or "" for address in addresses if address]
    return sorted({host for host in (*allowed_hosts, *named) if not is_loopback(host)})


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine comes in by `host`."""
    bare = host.strip("[]").lower()
    if bare == "localhost" or bare.endswith(".localhost"):
        return True
    try:
        return ip_address(bare).is_loopback
    except ValueError:
        return False


def is_weak_key(key: str) -> bool:
    """A key that was printed somewhere, or typed without thought."""
    return key == KNOWN_KEY or key.startswith("django-insecure-") or len(set(key)) < 5
