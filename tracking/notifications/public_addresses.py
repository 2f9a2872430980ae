"""Which addresses are public: the only ones that a message goes to, unless that is allowed.

https://www.iana.org/assignments/iana-ipv4-special-registry"""

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the IPv4 address is its last four bytes


class AddressNotAllowed(Exception):
    """The name leads to no public address."""


def connect(host: str, port: int, *, timeout: float, allow_private: bool) -> socket.socket:
    """A connection to `host`, which is looked up once: what was judged is what is connected to.

    Every spelling is judged by the address that it comes to (2130706433, 0x7f.1, a mapped IPv6).
    Raises AddressNotAllowed, OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if not allow_private and not all(is_public(str(target[0])) for *_, target in found):
        raise AddressNotAllowed
    failure: OSError = OSError("the name has no address")
    for family, kind, protocol, _, target in found:
        wire = socket.socket(family, kind, protocol)
        try:
            wire.settimeout(timeout)
            wire.connect(target)
        except OSError as error:
            wire.close()
            failure = error
        else:
            return wire
    raise failure


def is_public(text: str) -> bool:
    """Whether anybody on the internet may have this IP address."""
    address = _inner(ip_address(text))
    if isinstance(address, IPv6Address) and address.is_site_local:
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)
