"""How arguments are read: what a caller or the command line may give, and what it is held as.

Every reader takes the argument's name and what was given, and returns the value; SettingsError names the
argument and says what is allowed. ``Setting`` puts a reader into a frozen dataclass.
"""

from __future__ import annotations

import math
import numbers
import operator
import os
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import Any, Generic, TypeVar

from .errors import SettingsError

Given = TypeVar("Given")
Held = TypeVar("Held")
T = TypeVar("T")
Reader = Callable[[str, Any], T]

WholeLike = int | str
"""A whole number, or text such as ``"4M"``."""
NumberLike = float | str
"""A number, or text such as ``"2s"`` and ``"0.5"``."""
RateLike = Fraction | float | str
"""A rate: a Fraction or another rational, a number, or text such as ``"30000/1001"``."""
SizeLike = tuple[int, int] | str
"""Width and height in pixels, or text such as ``"1280x720"``."""
PathLike = str | os.PathLike[str]

_NTSC_RATES = (12, 15, 24, 30, 48, 60, 90, 120, 240)
_SHORT = 512
_ENDLESS = 1 << 40
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_TIME = re.compile(r"\s*([0-9.]+)\s*([a-z]*)\s*", re.IGNORECASE)
_AMOUNT = re.compile(r"\s*([0-9][0-9.,]*)\s*([kmgt]?)b?\s*", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


class Setting(Generic[Given, Held]):
    """A field of a frozen dataclass: ``Given`` when it is built, read and checked, and ``Held`` from then on.

    The dataclass cannot have slots. Without ``default`` the argument must be given.
    """

    def __init__(self, read: Callable[[str, Any], Held], *default: Given) -> None:
        self._read = read
        self._default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object | None, owner: type) -> Held:
        if instance is not None:
            held: Held = instance.__dict__[self._name]
            return held
        # This is how a dataclass asks for the default.
        if not self._default:
            raise AttributeError(self._name)
        return self._read(self._name, self._default[0])

    def __set__(self, instance: object, value: Given) -> None:
        instance.__dict__[self._name] = self._read(self._name, value)


def whole(low: int, high: int, unit: str = "", *, kilo: int = 1000) -> Reader[int]:
    """A whole number; text may end in k, M, G or T (or kB and so on), which stand for powers of ``kilo``."""
    span = f"{low:,} to {high:,}" if high < _ENDLESS else f"at least {low:,}"
    text = " or text such as '512k'" if high > _SHORT * kilo else ""
    advice = f"give {span}{f' {unit}' if unit else ''}, as a whole number{text}"

    def read(name: str, value: Any) -> int:  # noqa: ANN401 - whatever a caller gives
        try:
            number = _amount(value, kilo) if isinstance(value, str) else operator.index(value)
        except (TypeError, ValueError):
            raise SettingsError(name, value, advice) from None
        if isinstance(value, bool) or not low <= number <= high:
            raise SettingsError(name, value, advice)
        return number

    return read


def _amount(text: str, kilo: int) -> int:
    """A whole number from ``4M`` or ``512k``; raises ValueError."""
    matched = _AMOUNT.fullmatch(text)
    if matched is None:
        raise ValueError(text)
    number, unit = matched.groups()
    return round(Fraction(number.replace(",", "")) * int(kilo ** _POWERS[unit.lower()]))


def number(low: float, high: float, allowed: str) -> Reader[float]:
    """A number from ``low`` to ``high``; ``allowed`` says that in words."""

    def read(name: str, value: Any) -> float:  # noqa: ANN401 - whatever a caller gives
        return _within(name, value, _float(value), low, high, allowed)

    return read


def seconds(low: float, high: float, allowed: str) -> Reader[float]:
    """A time in seconds; text may name a unit: ``2s``, ``500ms``, ``5min``, ``1h``, ``7d``."""

    def read(name: str, value: Any) -> float:  # noqa: ANN401 - whatever a caller gives
        matched = _TIME.fullmatch(value) if isinstance(value, str) else None
        if matched is None:
            return _within(name, value, _float(value), low, high, allowed)
        factor = _SECONDS.get(matched[2].lower())
        given = _float(matched[1])
        return _within(name, value, None if given is None or factor is None else given * factor, low, high, allowed)

    return read


DURATION = seconds(1e-9, 1e12, "give a time above 0, or None for no end")


def _float(value: Any) -> float | None:  # noqa: ANN401 - whatever a caller gives
    if isinstance(value, bool) or not isinstance(value, str | numbers.Real):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError, ZeroDivisionError):
        return None


def _within(name: str, value: object, read: float | None, low: float, high: float, allowed: str) -> float:
    if read is None or not math.isfinite(read) or not low <= read <= high:
        raise SettingsError(name, value, allowed)
    return int(read) if isinstance(value, int) else read


def size(least: int, most: int) -> Reader[tuple[int, int]]:
    """Width and height in pixels, each ``least`` to ``most``; text is ``1280x720``."""
    allowed = f"give (width, height) or 'WIDTHxHEIGHT', each {least} to {most} pixels, such as '1280x720'"

    def read(name: str, value: Any) -> tuple[int, int]:  # noqa: ANN401 - whatever a caller gives
        sides = value.lower().split("x") if isinstance(value, str) else value
        try:
            width, height = (int(side) if isinstance(side, str) else operator.index(side) for side in sides)
        except (TypeError, ValueError):
            raise SettingsError(name, value, allowed) from None
        if not (least <= width <= most and least <= height <= most):
            raise SettingsError(name, value, allowed)
        return width, height

    return read


def rate(name: str, value: Any) -> Fraction:  # noqa: ANN401 - whatever a caller gives
    """Frames per second as an exact fraction; 29.97, 23.976 and their like mean n/1001.

    Any rational is taken, such as PyAV's rates.
    """
    advice = "give frames per second, above 0 and up to 1000, such as 30, 29.97 or '30000/1001'"
    try:
        exact = fraction(value)
    except (ValueError, TypeError, ZeroDivisionError, OverflowError) as error:
        raise SettingsError(name, value, advice) from error
    if isinstance(value, bool) or not 0 < exact <= 1000:
        raise SettingsError(name, value, advice)
    if isinstance(value, float) or (isinstance(value, str) and "/" not in value):
        ntsc = next((Fraction(n * 1000, 1001) for n in _NTSC_RATES if abs(n / 1.001 - exact) < 0.005), None)
        exact = ntsc or exact.limit_denominator(10_000)
    # A time base travels as two C ints in libav.
    if exact <= 0 or max(exact.numerator, exact.denominator) >= 1 << 31:
        raise SettingsError(name, value, "its numerator and denominator must stay below 2^31")
    return exact


def fraction(value: Any) -> Fraction:  # noqa: ANN401 - whatever a caller gives
    """``value`` exactly; what has a numerator and a denominator is taken for what it says.

    Raises ValueError, TypeError, OverflowError and ZeroDivisionError as Fraction does.
    """
    above, below = getattr(value, "numerator", None), getattr(value, "denominator", None)
    return Fraction(above, below) if isinstance(above, int) and isinstance(below, int) else Fraction(value)


def ratio(low: Fraction, high: Fraction, allowed: str) -> Reader[Fraction]:
    """An exact ratio from ``low`` to ``high``; text is ``4/3``."""

    def read(name: str, value: Any) -> Fraction:  # noqa: ANN401 - whatever a caller gives
        try:
            exact = fraction(value)
        except (ValueError, TypeError, ZeroDivisionError, OverflowError):
            raise SettingsError(name, value, allowed) from None
        if not low <= exact <= high:
            raise SettingsError(name, value, allowed)
        return exact

    return read


def one_of(*allowed: T, advice: str | None = None) -> Reader[T]:
    """One of the values ``allowed``."""
    words = [repr(one) for one in allowed]
    advice = advice or f"give {' or '.join(filter(None, (', '.join(words[:-1]), words[-1])))}"

    def read(name: str, value: Any) -> T:  # noqa: ANN401 - whatever a caller gives
        for one in allowed:
            if type(value) is not bool and isinstance(value, type(one)) and value == one:
                return one
        raise SettingsError(name, value, advice)

    return read


def flag(name: str, value: Any) -> bool:  # noqa: ANN401 - whatever a caller gives
    """True or False."""
    if type(value) is not bool:
        raise SettingsError(name, value, "give True or False")
    return value


def text(name: str, value: Any) -> str:  # noqa: ANN401 - whatever a caller gives
    """Text that is not empty."""
    if not isinstance(value, str) or not value:
        raise SettingsError(name, value, "give text")
    return value


def path(name: str, value: Any) -> Path:  # noqa: ANN401 - whatever a caller gives
    """A path; ``~`` stands for the home folder."""
    if not isinstance(value, str | os.PathLike) or isinstance(value, bytes):
        raise SettingsError(name, value, "give a path, as text or a Path")
    if "\0" in os.fspath(value):
        raise SettingsError(name, value, "no file has a NUL in its name")
    return Path(value).expanduser()


def instance(kind: type[T], advice: str) -> Reader[T]:
    """An instance of ``kind``."""

    def read(name: str, value: Any) -> T:  # noqa: ANN401 - whatever a caller gives
        if not isinstance(value, kind):
            raise SettingsError(name, value, advice)
        return value

    return read


def function(name: str, value: Any) -> Callable[..., Any]:  # noqa: ANN401 - whatever a caller gives
    """Something that can be called."""
    if not callable(value):
        raise SettingsError(name, value, "give a function")
    called: Callable[..., Any] = value
    return called


def maybe(read: Callable[[str, Any], T]) -> Reader[T | None]:
    """What ``read`` takes, or None."""

    def read_or_none(name: str, value: Any) -> T | None:  # noqa: ANN401 - whatever a caller gives
        return None if value is None else read(name, value)

    return read_or_none


EVENT = maybe(instance(Event, "give a threading.Event, or None"))


def named_values(name: str, texts: Sequence[str]) -> dict[str, str]:
    """Each ``NAME=VALUE`` of ``texts`` as one entry; ``name`` is that of the option."""
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise SettingsError(name, text, "give NAME=VALUE, such as framerate=30")
        found[key] = value
    return found
