"""How a recording goes into several files, and which recordings of a folder are kept. Frozen values."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import SettingsError
from ..signatures import named
from ..values import NumberLike, Setting, WholeLike, flag, maybe, seconds, whole

_DAY_S = 86_400
_ROOM = whole(1, 1 << 62, "bytes")


@named
@dataclass(frozen=True, kw_only=True)
class Keep:
    """How much of a folder's recordings is kept: what is beyond one of the bounds goes, the oldest first.

    ``max_age`` is in seconds since a recording ended, ``max_bytes`` bounds all recordings of the folder together,
    with what lies beside them, ``min_free`` is what stays free on the disk, ``max_count`` the number of
    recordings. Text has units: ``"7d"``, ``"200GB"`` (thousands). With ``verified_only`` a recording goes only if
    ``verify`` finds nothing wrong with it, which reads all of it.

    Raises SettingsError, where there is no bound at all, too.
    """

    max_age: Setting[NumberLike | None, float | None] = Setting(
        maybe(seconds(1, 1e10, "give a time of at least a second, such as '7d' or '12h'")), None
    )
    max_bytes: Setting[WholeLike | None, int | None] = Setting(maybe(_ROOM), None)
    min_free: Setting[WholeLike | None, int | None] = Setting(maybe(_ROOM), None)
    max_count: Setting[int | None, int | None] = Setting(maybe(whole(1, 1 << 40, "recordings")), None)
    verified_only: Setting[bool, bool] = Setting(flag, False)

    def __post_init__(self) -> None:
        if self.max_age is self.max_bytes is self.min_free is self.max_count is None:
            raise SettingsError(
                "max_age", None, "give max_age, max_bytes, min_free or max_count: nothing is bounded"
            )


@named
@dataclass(frozen=True, kw_only=True)
class Ring:
    """How much of the newest media is held, on disk, for the moment when somebody asks to keep it.

    ``seconds`` of media are always there to be kept (``"5min"`` works), and one group of frames more: what is kept
    begins with a keyframe. ``max_bytes`` bounds what is held while nobody asks; if it makes the ring shorter than
    ``seconds``, that is told. Nothing is committed until it is asked for by ``keep``.

    Raises SettingsError.
    """

    seconds: Setting[NumberLike, float] = Setting(
        seconds(1, _DAY_S, "give a time from 1 second to a day, such as 60 or '5min'")
    )
    max_bytes: Setting[WholeLike | None, int | None] = Setting(maybe(whole(1_000_000, 1 << 60, "bytes")), None)


@named
@dataclass(frozen=True, kw_only=True)
class Segments:
    """When a recording goes on in the next of several files.

    ``every`` is how long a file is, in seconds of media (``"10min"`` works); with ``at_clock`` a file ends when the
    wall clock shows a whole multiple of it, counted from midnight of the local time zone. ``max_bytes`` is what a
    file may have, as far as it has more than one group of frames. With ``at_marks`` each mark begins a file.
    ``cut()`` begins one at any time.

    A file begins with a keyframe: at the first frame that is due if frames are encoded, else at the next keyframe
    that comes.

    Raises SettingsError.
    """

    every: Setting[NumberLike | None, float | None] = Setting(
        maybe(seconds(0.1, 30 * _DAY_S, "give 0.1 seconds to 30 days, such as '10min' or 3600")), None
    )
    max_bytes: Setting[WholeLike | None, int | None] = Setting(maybe(whole(100_000, 1 << 60, "bytes")), None)
    at_clock: Setting[bool, bool] = Setting(flag, False)
    at_marks: Setting[bool, bool] = Setting(flag, False)

    def __post_init__(self) -> None:
        if self.at_clock and (self.every is None or _DAY_S % self.every):
            raise SettingsError(
                "every", self.every, "files that end by the clock need a time that divides a day, such as '10min'"
            )
