"""One recording deleted, in an order that a kill cannot harm.

Its file loses its name first, for ``talk.ts.rk-deleted``: until then the recording is whole, from then on it is
remains, which the next pass clears. Then goes what lies beside it, and the file itself last.
"""

from __future__ import annotations

import fcntl
import logging
import os
import stat
from contextlib import suppress
from pathlib import Path

from ..names import COMPANION_SUFFIXES, DELETED_SUFFIX, PIN_SUFFIX, SUFFIXES, TAIL_SUFFIX, partial_of, stem_of
from ..system import System
from ..writer.identity import is_still, lock
from .folder import Known

log = logging.getLogger("recordkit")

PINNED = "is pinned"
CHANGED = "has changed since it was listed"
UNFINISHED = "is being recorded, or unfinished"
_BESIDE = tuple(suffix for suffix in COMPANION_SUFFIXES if suffix != PIN_SUFFIX)


class Spared(Exception):  # noqa: N818 - no fault: a recording that stays, and why
    """A recording is not deleted; its text says why."""


class Gone(Exception):  # noqa: N818 - no fault either
    """The recording is not there any more."""


def delete(path: Path, known: Known, system: System, *, must_free: bool) -> None:
    """Delete the recording ``path``, which was ``known`` when it was listed.

    ``must_free``: only if that frees room. Raises Spared if it stays, with nothing changed, and Gone if it is not
    there any more. What of it cannot be deleted once that has begun is left for the next pass, and told in the log.
    """
    try:
        descriptor = system.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise Gone from None
    except OSError as error:
        raise Spared(f"cannot be opened: {error.strerror}") from error
    try:
        try:
            _check(path, descriptor, known, system, must_free=must_free)
            beside = {one: system.inode_at(one) for one in _beside(path)}
            deleted = path.with_name(path.name + DELETED_SUFFIX)
            system.rename(path, deleted, overwrite=False)
        except BlockingIOError:
            raise Spared("is being read") from None
        except FileNotFoundError:
            raise Gone from None
        except OSError as error:
            raise Spared(f"cannot be deleted: {error.strerror}") from error
        if os.path.lexists(_pin(path)):
            # Whoever pins looks for the recording afterwards: one of the two sees the other.
            with suppress(OSError):
                system.rename(deleted, path, overwrite=False)
            raise Spared(PINNED)
        _clear(path, deleted, beside, system)
    finally:
        _close(descriptor, system)


def clear(path: Path, system: System) -> int:
    """Finish the deletion of the recording whose remains have the name ``path``; the bytes that frees.

    What lies beside it goes only if no other recording of the name has begun meanwhile. Remains that somebody
    has the lock of are being cleared already.
    """
    recording = path.with_name(path.name.removesuffix(DELETED_SUFFIX))
    try:
        descriptor = system.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        log.debug("%s: %s", path, error.strerror)
        return 0
    try:
        lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        size = os.fstat(descriptor).st_size
        _clear(recording, path, {one: system.inode_at(one) for one in _beside(recording)}, system)
    except OSError as error:
        log.debug("%s: %s", path, error.strerror)
        return 0
    finally:
        _close(descriptor, system)
    return size


def size_of(path: Path) -> int:
    """The bytes of the recording ``path``, with what lies beside it."""
    total = 0
    for one in (path, *_beside(path)):
        with suppress(OSError):
            total += one.lstat().st_size
    return total


def _check(path: Path, descriptor: int, known: Known, system: System, *, must_free: bool) -> None:
    """Raises Spared for what must stay, Gone for another file of the name, BlockingIOError if it is being read."""
    lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    status = os.fstat(descriptor)
    if not is_still(system, path, descriptor):
        raise Gone
    if not stat.S_ISREG(status.st_mode) or status.st_mtime_ns != known.ended_ns:
        raise Spared(CHANGED)
    if must_free and status.st_nlink > 1:
        raise Spared("has another name as well (a hard link): deleting it frees nothing")
    if _is_unfinished(path):
        raise Spared(UNFINISHED)
    if os.path.lexists(_pin(path)):
        raise Spared(PINNED)


def _clear(recording: Path, deleted: Path, beside: dict[Path, int | None], system: System) -> None:
    for one, inode in beside.items():
        # Looked at again each time: a recording of the same name may begin at any moment.
        if inode is not None and not _is_taken(recording) and system.inode_at(one) == inode:
            _unlink(one, system)
    _unlink(deleted, system)


def _unlink(path: Path, system: System) -> None:
    try:
        system.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        log.warning("%s: could not be deleted: %s; the next pass tries again", path, error.strerror)


def _close(descriptor: int, system: System) -> None:
    # By word, not by closing alone: a forked child may hold the descriptor, too.
    with suppress(OSError):
        lock(descriptor, fcntl.LOCK_UN)
    system.close(descriptor)


def _pin(path: Path) -> Path:
    return path.with_name(stem_of(path.name) + PIN_SUFFIX)


def _beside(path: Path) -> list[Path]:
    """What lies beside a recording, and is its alone: of two of one stem only the last one has it."""
    stem = stem_of(path.name)
    if any(os.path.lexists(path.with_name(stem + one)) for one in SUFFIXES if stem + one != path.name):
        return []
    return [path.with_name(stem + suffix) for suffix in _BESIDE]


def _is_unfinished(path: Path) -> bool:
    stem = stem_of(path.name)
    names = [partial_of(stem + suffix) for suffix in SUFFIXES] + [stem + TAIL_SUFFIX]
    return any(os.path.lexists(path.with_name(name)) for name in names)


def _is_taken(path: Path) -> bool:
    return os.path.lexists(path) or _is_unfinished(path)
