"""What recordings and files are called on a page: those at a URL, those in several files, and those near by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ..names import shown_name
from ..printable import discreet
from ..reading.places import several


def name_of_url(given: object) -> str | None:
    """What a file at a URL is called; None for one that is here."""
    is_url = isinstance(given, str) and "://" in given
    return (PurePosixPath(urlsplit(str(given)).path).name or discreet(str(given))) if is_url else None


def name_of_several(source: Any) -> str | None:  # noqa: ANN401 - as recordkit.open
    """What a recording in several files is called; None if it has one."""
    segments: Sequence[Any] = getattr(source, "segments", ())
    if len(segments) > 1:
        return f"{segments[0].path.name} and {len(segments) - 1:,} more"
    if isinstance(source, list | tuple):
        return f"{Path(source[0]).name} and {len(source) - 1:,} more" if len(source) > 1 else None
    path = several(source)
    return None if path is None else shown_name(path.name)


def near(path: Path) -> Path:
    """A path as a notebook's reader knows it: from the kernel's folder on, if it lies in there."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
