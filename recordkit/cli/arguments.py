"""Arguments of the command line, from text to values. Each raises SettingsError."""

from __future__ import annotations

from fractions import Fraction

from ..errors import SettingsError


def exactly(paths: list[str], number: int, form: str) -> list[str]:
    """``paths``, of which there must be ``number``; ``form`` says how they are given."""
    if len(paths) != number:
        raise SettingsError("paths", " ".join(paths), f"give {form}")
    return paths


def picture_size(text: str | None) -> tuple[int, int] | None:
    """Width and height in pixels, from ``1280x720``."""
    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise SettingsError("size", text, "give WIDTHxHEIGHT in pixels, such as 1280x720")
    return int(width), int(height)


def frame_rate(text: str | None) -> Fraction | None:
    """Frames per second, from ``30``, ``29.97`` or ``30000/1001``."""
    if text is None:
        return None
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise SettingsError("fps", text, "give frames per second, such as 30, 29.97 or 30000/1001")
    return rate


def count(name: str, text: str, kilo: int) -> int:
    """A whole number, from ``4M`` or ``512k``, with ``kilo`` for k; ``name`` is that of the setting."""
    number, unit = text[:-1], text[-1:].lower()
    factor = {"k": kilo, "m": kilo**2, "g": kilo**3}.get(unit)
    try:
        return round(float(text) if factor is None else float(number) * factor)
    except (ValueError, OverflowError):
        raise SettingsError(name, text, "give a number such as 800k or 4M") from None
