"""How a source that went away is asked for again: how often, how long, and what counts as away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass

from ..errors import SettingsError
from ..signatures import named
from ..values import NumberLike, Setting, instance, maybe, seconds

_GROWTH = 1.05
"""So a source that is back waits for a twentieth of the time that it was away, and the first wait, at the most."""
_WAIT = seconds(0.05, 3600.0, "give a time of 50 ms to an hour, such as 0.5 or '2s'")
_GIVE_UP = seconds(0.1, 1e9, "give the time after which to give up, such as '10min', or None for never")
_SILENCE = seconds(0.5, 3600.0, "give a time of 0.5 s to an hour, such as 5 or '10s'")


@named
@dataclass(frozen=True)
class Reconnect:
    """A source that goes away is asked for again, and what comes then goes on in the same recording.

    The first try comes after ``first_s`` seconds, each further one after a twentieth longer, up to ``longest_s``.
    A connection that lasts for longer than it was waited for begins with ``first_s`` again. After
    ``give_up_after`` seconds away in a row the recording ends and is committed, and says so (None: never). A
    connection over which nothing comes for ``silence_s`` seconds is held for dead.

    Raises SettingsError.
    """

    first_s: Setting[NumberLike, float] = Setting(_WAIT, 0.5)
    longest_s: Setting[NumberLike, float] = Setting(_WAIT, 15.0)
    _: KW_ONLY
    give_up_after: Setting[NumberLike | None, float | None] = Setting(maybe(_GIVE_UP), None)
    silence_s: Setting[NumberLike, float] = Setting(_SILENCE, 4.5)

    def __post_init__(self) -> None:
        if self.longest_s < self.first_s:
            raise SettingsError("longest_s", self.longest_s, f"give at least first_s, {self.first_s:g} s")

    def waits(self) -> Iterator[float]:
        """The seconds to wait before each try, without end."""
        wait_s = self.first_s
        while True:
            yield wait_s
            wait_s = min(wait_s * _GROWTH, self.longest_s)


RECONNECT = maybe(instance(Reconnect, "give rk.Reconnect(), or None: what goes away has ended"))


class Waits:
    """How long to wait before each try."""

    def __init__(self, how: Reconnect) -> None:
        self._how = how
        self._waits = how.waits()
        self._last_s = 0.0

    def next(self) -> float:
        """The seconds to wait before the next try."""
        self._last_s = next(self._waits)
        return self._last_s

    def came(self, seconds: float) -> None:
        """Media came over a connection that lasted so long: if that was long enough, the waits begin anew."""
        if seconds > self._last_s:
            self._waits = self._how.waits()
