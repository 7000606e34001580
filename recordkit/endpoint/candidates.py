"""Which addresses of an offer are sent to: who publishes chooses them, and must not choose somebody else's.

To each candidate connectivity checks are sent, several times (RFC 8445, 6.1.4 and 19.4.1). So there is a bound on
them, none is a group's, and those of this machine itself count only if the offer came from it.
"""

from __future__ import annotations

from .addresses import read_address

MOST_CANDIDATES = 32
_FIELDS = 6


def kept(offer: str, remote: str | None) -> tuple[str, list[str]]:
    """``offer`` without the candidates that are not to be used, and why those were left out; ``remote`` sent it."""
    lines, refused, count = [], [], 0
    for line in offer.splitlines(keepends=True):
        if line.startswith("a=candidate:"):
            why = _fault(line, remote) or ("more than can be tried" if count >= MOST_CANDIDATES else "")
            if why:
                refused.append(why)
                continue
            count += 1
        lines.append(line)
    return "".join(lines), refused


def _fault(line: str, remote: str | None) -> str:
    """Why the candidate of ``line`` is not to be used; empty if it may be."""
    fields = line.split()
    if len(fields) < _FIELDS:
        return ""  # no candidate at all: whoever parses the offer says so
    host = fields[4]
    if host.lower().endswith(".local"):
        return ""  # of mDNS (RFC 8828), as browsers hide their addresses
    address = read_address(host)
    if address is None:
        return "no address"
    if address.is_multicast or address.is_unspecified or host == "255.255.255.255":
        return "an address of a group or of nobody"
    if address.is_loopback:
        sender = read_address(remote or "")
        if sender is None or not sender.is_loopback:
            return "an address of this machine, from elsewhere"
    return ""
