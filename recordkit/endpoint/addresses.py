"""IP addresses of strangers, as text: read, and put to whoever they belong to."""

from __future__ import annotations

import ipaddress

_SHARED_BITS = 64
"""Of an IPv6 address: what follows them is its owner's choice (RFC 4291, 2.5.1)."""


def read_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address, an IPv4 one behind IPv6 as IPv4; None if it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def share_of(text: str) -> str:
    """Who is behind an address: the address itself, of IPv6 its first 64 bits."""
    address = read_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        return f"{int(address) >> (128 - _SHARED_BITS):x}::"
    return text if address is None else str(address)
