"""Arguments of the command line that no setting reads by itself. Each raises SettingsError."""

from __future__ import annotations

from ..errors import SettingsError
from ..values import size

frame_size = size(16, 8192)
"""Width and height in pixels, from ``1280x720``."""


def exactly(paths: list[str], number: int, form: str) -> list[str]:
    """``paths``, of which there must be ``number``; ``form`` says how they are given."""
    if len(paths) != number:
        raise SettingsError("paths", " ".join(paths), f"give {form}")
    return paths
