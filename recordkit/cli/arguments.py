"""Arguments of the command line that no setting reads by itself. Each raises SettingsError."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import SettingsError
from ..values import size

frame_size = size(16, 8192)
"""Width and height in pixels, from ``1280x720``."""


def exactly(paths: list[str], number: int, form: str) -> list[str]:
    """``paths``, of which there must be ``number``; ``form`` says how they are given."""
    if len(paths) != number:
        raise SettingsError("paths", " ".join(paths), f"give {form}")
    return paths


def named_values(name: str, texts: Sequence[str]) -> dict[str, str]:
    """Each ``NAME=VALUE`` of ``texts`` as one entry; ``name`` is that of the option."""
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise SettingsError(name, text, "give NAME=VALUE, such as framerate=30")
        found[key] = value
    return found
