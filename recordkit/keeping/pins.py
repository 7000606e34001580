"""Pinned recordings: a small file beside them, ``talk.pinned``, which moves and is copied with them."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from ..errors import OutputAccessError, OutputError
from ..names import PIN_SUFFIX, partial_of, stem_of, suffix_of
from ..signatures import named
from ..system import System
from ..values import path as read_path

_NOT_THERE = "there is no such recording"


def pin_path(recording: Path) -> Path:
    """Where the pin of ``recording`` (``talk.ts``, or its partial ``talk.recording.ts``) lies."""
    return recording.with_name(stem_of(recording.name) + PIN_SUFFIX)


@named
def pin(recording: Any, *, _system: System | None = None) -> Path:  # noqa: ANN401 - whatever has a path
    """Keep ``recording`` (a path, a Recording or a Session) whatever bounds its folder has; returns the pin's path.

    The pin is a file beside it, ``talk.pinned``: it survives the process and moves with the recording. One
    that runs may be pinned, too. Pinning again changes nothing.

    Raises SettingsError for what has no path, OutputError where there is no such recording, OutputAccessError
    where its folder cannot be written to.
    """
    path, system = _path_of(recording), _system or System()
    _check_there(path)
    pinned = pin_path(path)
    try:
        system.close(system.open(pinned, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK))
        system.sync_folder(pinned.parent)
    except OSError as error:
        raise OutputAccessError(pinned, f"cannot be made: {error.strerror}") from error
    # Whoever deletes looks for the pin once the recording has lost its name, and gives it back.
    _check_there(path)
    return pinned


@named
def unpin(recording: Any, *, _system: System | None = None) -> bool:  # noqa: ANN401 - whatever has a path
    """Let ``recording`` go with the others again; False if it was not pinned.

    Raises SettingsError for what has no path, OutputAccessError where the pin cannot be removed.
    """
    pinned, system = pin_path(_path_of(recording)), _system or System()
    try:
        system.unlink(pinned)
        system.sync_folder(pinned.parent)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return False
        raise OutputAccessError(pinned, f"cannot be removed: {error.strerror}") from error
    return True


def _path_of(recording: Any) -> Path:  # noqa: ANN401 - whatever has a path
    path = read_path("path", getattr(recording, "path", recording))
    if not suffix_of(path.name):
        raise OutputError(path, "is no recording: name its file")
    return path


def _check_there(path: Path) -> None:
    if not (os.path.lexists(path) or os.path.lexists(path.with_name(partial_of(path.name)))):
        raise OutputError(path, _NOT_THERE)
