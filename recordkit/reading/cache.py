"""What a scan of somebody else's file found, kept in the user's cache folder: it may be deleted at any time.

``$XDG_CACHE_HOME/recordkit/frames`` or ``~/.cache/recordkit/frames``; a file there is believed while the one
that it is about has the size, and the time of its last change, that it had then. At most 256 MB are kept.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import numpy.typing as npt

from .index import UNIT, Integers
from .store import FileStore

log = logging.getLogger("recordkit")

SMALLEST_BYTES = 16 * 1024 * 1024
"""Smaller files are scanned sooner than it is worth while."""
MOST_BYTES = 256 * 1024 * 1024
TRANSPORT, CONTAINER = "transport", "container"
"""The readers whose scans are kept."""
_VERSION = 4
_LONGEST_HEAD_BYTES = 4096


class Found(NamedTuple):
    """What the scan of ``reader`` found: units in decoding order, and the first time of any stream, in seconds.

    ``keys`` are by what packets are known again as one of them, if that is not their PTS; ``has_audio`` is False if
    the whole file was seen to have none.
    """

    reader: str
    time_base: Fraction
    units: npt.NDArray[np.void]
    start_s: Fraction
    keys: Integers | None = None
    has_audio: bool = True


class Cached:
    """The entry of the file at ``path``, which is open as ``store``, as it is now."""

    def __init__(self, path: Path, store: FileStore) -> None:
        # Not by its name: that may be gone, or another file's, meanwhile.
        status = store.status
        folder = _folder()
        self._is_worth_while = status.st_size >= SMALLEST_BYTES and folder is not None
        real = path.resolve()
        # Another version of libavformat may tell other packets.
        self._stated = {
            "version": _VERSION,
            "path": str(real),
            "bytes": status.st_size,
            "changed_ns": status.st_mtime_ns,
            "libavformat": ".".join(map(str, av.library_versions["libavformat"])),
        }
        name = hashlib.sha256(os.fsencode(real)).hexdigest()[:32]
        self._path = (folder or path.parent) / f"{name}.index"

    def read(self) -> Found | None:
        """What was found at an earlier scan of it; None if that is not there, or not of this file."""
        if not self._is_worth_while:
            return None
        try:
            with self._path.open("rb") as file:
                head = file.readline(_LONGEST_HEAD_BYTES)
                stated = json.loads(head)
                reader, count, has_keys = str(stated.pop("reader")), stated.pop("count"), stated.pop("keys")
                has_audio = bool(stated.pop("audio"))
                base, start_s = Fraction(stated.pop("base")), Fraction(stated.pop("start"))
                if stated != self._stated:
                    return None
                units = np.fromfile(file, UNIT, count)
                keys = np.fromfile(file, np.int64, count) if has_keys else None
            if len(units) != count or (keys is not None and len(keys) != count):
                return None
            with suppress(OSError):
                os.utime(self._path)  # in a folder that is only read it stays as old as it is
        except (OSError, ValueError, TypeError, KeyError, ZeroDivisionError, AttributeError) as error:
            log.debug("%s: %s", self._path, error)
            return None
        return Found(reader, base, units, start_s, keys, has_audio)

    def write(self, found: Found) -> None:
        """Keep it; where that cannot be, the next one scans again."""
        if not self._is_worth_while:
            return
        head = {
            **self._stated,
            "reader": found.reader,
            "base": str(found.time_base),
            "start": str(found.start_s),
            "count": len(found.units),
            "keys": found.keys is not None,
            "audio": found.has_audio,
        }
        line = json.dumps(head).encode() + b"\n"
        if len(line) > _LONGEST_HEAD_BYTES:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, name = tempfile.mkstemp(dir=self._path.parent, suffix=".part")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(line)
                    file.write(found.units.tobytes())
                    if found.keys is not None:
                        file.write(found.keys.tobytes())
                Path(name).replace(self._path)
            finally:
                with suppress(FileNotFoundError):
                    Path(name).unlink()
            _bound(self._path.parent)
        except OSError as error:
            log.debug("%s: %s", self._path, error)


def _folder() -> Path | None:
    places = (os.environ.get("XDG_CACHE_HOME", ""), os.path.expanduser("~/.cache"))  # noqa: PTH111 - raises nothing
    # A relative one is not valid (XDG Base Directory Specification).
    base = next((Path(one) for one in places if Path(one).is_absolute()), None)
    return None if base is None else base / "recordkit" / "frames"


def _bound(folder: Path) -> None:
    """Delete those that were used longest ago, until few enough are left."""
    entries = sorted(
        ((status.st_mtime_ns, status.st_size, path) for path in folder.iterdir() for status in [path.stat()]),
        reverse=True,
    )
    total = 0
    for _, size, path in entries:
        total += size
        if total > MOST_BYTES:
            path.unlink(missing_ok=True)
