"""Audio of a live source: Opus is kept if that is asked for, everything else decoded and encoded anew."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import cast

import av
from av.audio.frame import AudioFrame

from ..bitstream.audio import OPUS_RATE
from ..errors import MediaError
from ..model import EncodedUnit
from ..settings import AudioSettings
from .audio import AudioEncoder
from .coded import Coded
from .kept_opus import KeptOpus

log = logging.getLogger("recordkit")

_TELEPHONE = {"pcm_mulaw": 8_000, "pcm_alaw": 8_000, "g722": 16_000}
"""Codings without a header: their sample rates, of one channel (RFC 3551, 4.5)."""


class LiveSound:
    """The audio of stream ``index``; not thread-safe. Counts gaps as AudioEncoder does."""

    def __init__(
        self,
        settings: AudioSettings,
        index: int,
        on_gap: Callable[[int, float, bool], None] | None = None,
        on_altered: Callable[[str], None] | None = None,
    ) -> None:
        self._settings = settings
        self._index = index
        self._on_gap = on_gap
        self._on_altered = on_altered
        self._codec = ""
        self._way: AudioEncoder | KeptOpus = AudioEncoder(settings, index, on_gap, on_altered)
        self._decoder: av.AudioCodecContext | None = None
        self._past_gaps = 0
        self._past_gap_s = 0.0

    @property
    def gap_count(self) -> int:
        """Gaps so far, filled or marked."""
        return self._past_gaps + self._way.gap_count

    @property
    def gap_s(self) -> float:
        """Seconds of all gaps."""
        return self._past_gap_s + self._way.gap_s

    @property
    def end(self) -> int | None:
        """Up to where there is audio, in ticks; None before the first."""
        return self._way.end

    @property
    def begun(self) -> int:
        """Where what goes on without a step up to ``end`` began, in ticks."""
        return self._way.begun

    @property
    def filled_s(self) -> float:
        """Seconds of silence laid since the last unit that was given."""
        return self._way.filled_s

    def code(self, unit: EncodedUnit, place: int, *, discontinuity: bool, is_live: bool = False) -> list[Coded]:
        """The access units that come out for ``unit``, heard from ``place`` on.

        Before a unit that comes live (``is_live``) without ``discontinuity`` nothing is missing: if there is
        nothing for a while, the source was silent (Opus DTX; a microphone that is muted), and that is no gap.

        Raises MediaError if it cannot be decoded or encoded.
        """
        coded: list[Coded] = []
        if unit.codec != self._codec:
            coded = self._choose(unit.codec)
        is_pause = is_live and not discontinuity
        if isinstance(self._way, KeptOpus):
            return coded + self._way.code(unit.packets, place, discontinuity=discontinuity, is_pause=is_pause)
        for number, frame in enumerate(self._decoded(unit)):
            # Times of live audio count samples: behind a loss the smallest gap is a real one.
            time = place if number == 0 else None
            coded += self._way.encode(frame, time, exact=discontinuity, is_pause=is_pause)
        return coded

    @property
    def leaves_gap(self) -> bool:
        """Whether the next gap is left as it is, and not filled."""
        return self._way.leaves_gap

    @leaves_gap.setter
    def leaves_gap(self, leaves: bool) -> None:
        self._way.leaves_gap = leaves

    def fill(self, until: int) -> list[Coded]:
        """Lay silence up to ``until`` (ticks), as AudioEncoder does."""
        return self._way.fill(until)

    def rest(self) -> list[Coded]:
        """Let out what is held: nothing is given for long."""
        return self._way.rest()

    def flush(self) -> list[Coded]:
        """What the encoder still holds."""
        return self._way.flush()

    def _choose(self, name: str) -> list[Coded]:
        self._codec = name
        self._decoder = None
        keeps = name == "opus" and self._settings.codec == "opus"
        if keeps:
            log.info("stream %d: opus is kept as it comes, as asked", self._index)
        else:
            log.info("stream %d: %s is decoded and encoded as %s", self._index, name, self._settings.codec)
        if keeps is isinstance(self._way, KeptOpus):
            return []
        # What is held of another coding comes before what follows from here on.
        coded = self._way.flush()
        self._past_gaps, self._past_gap_s = self.gap_count, self.gap_s
        if keeps:
            self._way = KeptOpus(self._settings, self._index, self._on_gap)
        else:
            self._way = AudioEncoder(self._settings, self._index, self._on_gap, self._on_altered)
        return coded

    def _decoded(self, unit: EncodedUnit) -> list[AudioFrame]:
        try:
            decoder = self._decoder
            if decoder is None:
                name = "libopus" if unit.codec == "opus" else unit.codec
                decoder = self._decoder = cast(av.AudioCodecContext, av.AudioCodecContext.create(name, "r"))
                rate = _TELEPHONE.get(unit.codec)
                decoder.sample_rate = rate or OPUS_RATE
                decoder.layout = "mono" if rate else "stereo"
            return [frame for packet in unit.packets for frame in decoder.decode(av.Packet(packet))]
        except (av.FFmpegError, ValueError) as error:
            self._decoder = None
            raise MediaError(f"audio of {unit.codec} could not be decoded: {error}", self._index) from error
