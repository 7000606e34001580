"""What of the synthetic source a file gives back when it is decoded."""

from __future__ import annotations

from pathlib import Path

from recordkit.errors import SourceError
from recordkit.sources.readback import read_back


def pictures_in(path: Path) -> int:
    """How many of the source's pictures can be decoded, each counted once; 0 where the file cannot be opened."""
    if not path.exists():
        return 0
    try:
        found = read_back(path, 30)
    except SourceError:
        return 0
    return found.numbers_ok - found.repeated
