"""Writing all of something, however little of it the system takes at a time."""

from __future__ import annotations

import errno
from pathlib import Path

from ..errors import WriteError
from ..system import System


def write_all(
    system: System, descriptor: int, path: Path, data: bytes | memoryview, offset: int, doing: str = "writing"
) -> None:
    """Write all of ``data`` at ``offset`` of ``path``.

    Raises WriteError, whose ``offset`` is the end of what was written before.
    """
    view = memoryview(data)
    done = 0
    while done < len(view):
        try:
            count = system.write_at(descriptor, view[done:], offset + done)
            if not count:
                raise OSError(errno.EIO, "the system takes no more bytes")
        except OSError as error:
            raise WriteError(path, offset + done, error, doing) from error
        done += count
