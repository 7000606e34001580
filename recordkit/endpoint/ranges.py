"""Which bytes of a file a request asks for (RFC 9110, 14)."""

from __future__ import annotations

import re

_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)


class BeyondError(Exception):
    """A range that has no byte of the file in it (RFC 9110, 15.5.17)."""


def asked_range(field: str | None, size: int) -> tuple[int, int] | None:
    """The first byte of a Range field and the one behind its last, in a file of ``size`` bytes; None: all of it.

    A field of another unit, of several ranges, or that is none is ignored, as a server may (RFC 9110, 14.2).
    Raises BeyondError.
    """
    found = _RANGE.fullmatch(field) if field is not None else None
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        begin, end = max(0, size - int(found[2])), size
    else:
        begin, end = int(found[1]), min(int(found[2]) + 1, size) if found[2] else size
        if found[2] and int(found[2]) < begin:
            return None
    if begin >= size or begin >= end:
        raise BeyondError
    return begin, end
