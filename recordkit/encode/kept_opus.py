"""Opus of a live source, kept as it comes, with silence where nothing was sent or where packets were lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..bitstream.audio import OPUS_RATE, opus_samples
from ..errors import MediaError
from ..model import AccessUnit, Codec, StreamFormat
from ..settings import AudioSettings
from ..ticks import TICKS_PER_SECOND
from .audio import LONGEST_SILENCE_S
from .coded import Coded

_SILENCE = bytes.fromhex("fc fffe")
_STEP = TICKS_PER_SECOND // 50
"""An Opus packet of 20 ms in stereo that decodes to silence, and its length in ticks."""


class KeptOpus:
    """The Opus of stream ``index``; not thread-safe. Fills and counts gaps as AudioEncoder does."""

    def __init__(
        self, settings: AudioSettings, index: int, on_gap: Callable[[int, float, bool], None] | None = None
    ) -> None:
        self.gap_count = 0
        self.gap_s = 0.0
        self.end: int | None = None
        self.begun = 0
        self._settings = settings
        self._index = index
        self._on_gap = on_gap
        self._format = StreamFormat(Codec.OPUS, sample_rate=OPUS_RATE, channels=2, language=settings.language)
        self._filled = 0
        self.leaves_gap = False

    @property
    def filled_s(self) -> float:
        """Seconds of silence laid since the last packet that was given."""
        return self._filled / TICKS_PER_SECOND

    def code(
        self, packets: Sequence[bytes], place: int, *, discontinuity: bool, is_pause: bool = False
    ) -> list[Coded]:
        """The access units for packets heard from ``place`` (ticks) on, one behind the other.

        ``is_pause`` says that nothing is missing before them, however long that is: the source had nothing to send.
        What comes so late that silence stands in its place is left out. Raises MediaError for what is no Opus.
        """
        lengths = [opus_samples(data) * TICKS_PER_SECOND // OPUS_RATE for data in packets]  # multiples of 2.5 ms
        if not all(lengths):
            raise MediaError("not an Opus packet", self._index)
        coded: list[Coded] = []
        for data, duration in zip(packets, lengths, strict=True):
            coded += self._code(data, place, duration, discontinuity=discontinuity, is_pause=is_pause)
            place, discontinuity = place + duration, False
        return coded

    def _code(self, data: bytes, place: int, duration: int, *, discontinuity: bool, is_pause: bool) -> list[Coded]:
        if self.end is None:
            self.begun = place
        elif self._filled and place <= self.end - _STEP:
            return []
        coded: list[Coded] = []
        is_marked = False
        missing = 0 if self.end is None else place - self.end
        if self._filled or (missing >= _STEP and missing > self._tolerance(discontinuity=discontinuity)):
            is_marked = not self._may_fill(missing)
            if not is_marked:
                coded = self._lay_silence(place)
            self._tell(self._filled if not is_marked else self._filled + missing, not is_marked, is_pause=is_pause)
            if is_marked:
                self.begun = place
        self._filled, self.leaves_gap = 0, False
        self.end = place + duration
        return [*coded, self._unit(data, place, duration, discontinuity=is_marked)]

    def fill(self, until: int) -> list[Coded]:
        """Lay silence up to ``until`` (ticks) if gaps are to be filled, a minute of it at the most."""
        if self.end is None or not self._may_fill(0):
            return []
        return self._lay_silence(min(until, self.end + LONGEST_SILENCE_S * TICKS_PER_SECOND - self._filled))

    def rest(self) -> list[Coded]:
        """Nothing is held."""
        return []

    def flush(self) -> list[Coded]:
        """Nothing is held; silence at the end is counted."""
        if self._filled:
            self._tell(self._filled, True)
            self._filled = 0
        return []

    def _tolerance(self, *, discontinuity: bool) -> float:
        return 0.0 if discontinuity else self._settings.gap_tolerance * TICKS_PER_SECOND

    def _may_fill(self, missing: int) -> bool:
        longest = LONGEST_SILENCE_S * TICKS_PER_SECOND
        return self._settings.gaps == "silence" and self._filled + missing <= longest and not self.leaves_gap

    def _lay_silence(self, until: int) -> list[Coded]:
        coded = []
        end = until if self.end is None else self.end
        while end + _STEP <= until:
            coded.append(self._unit(_SILENCE, end, _STEP))
            end += _STEP
        self._filled += end - (self.end or end)
        self.end = end
        return coded

    def _tell(self, ticks: int, is_filled: bool, *, is_pause: bool = False) -> None:
        if is_pause and is_filled:
            return
        self.gap_count += 1
        self.gap_s += ticks / TICKS_PER_SECOND
        if self._on_gap is not None:
            self._on_gap(self._index, ticks / TICKS_PER_SECOND, is_filled)

    def _unit(self, data: bytes, place: int, duration: int, *, discontinuity: bool = False) -> Coded:
        unit = AccessUnit(self._index, place, place, data, discontinuity=discontinuity, duration=duration)
        return Coded(self._format, unit)
