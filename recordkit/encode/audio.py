"""Audio to access units: any rate, layout and sample format; gaps told apart from jitter."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import av
from av.audio.frame import AudioFrame

from ..bitstream.audio import OPUS_RATE
from ..errors import MediaError
from ..settings import AudioSettings
from ..ticks import TICKS_PER_SECOND, nearest, to_ticks
from .blocks import BlockEncoder
from .coded import Coded
from .coders import CODERS
from .layouts import coded_layout
from .resampling import Resampler

LONGEST_SILENCE_S = 60
"""A longer gap is marked even where silence was asked for: an hour of it helps nobody."""


class AudioEncoder:
    """Encodes the audio of stream ``stream``; not thread-safe.

    Audio is placed by counting samples from the first frame on. ``gap_count`` and ``gap_s`` count
    the gaps that are over and their seconds, ``cut_samples`` the samples cut because they overlapped.
    ``on_altered`` is told when channels have to be mixed.

    Frames with more channels than those before start a new encoder, unless ``settings`` say how many there
    are; fewer are put into the ones that are there.
    """

    def __init__(
        self,
        settings: AudioSettings,
        stream: int,
        on_gap: Callable[[int, float, bool], None] | None = None,
        on_altered: Callable[[str], None] | None = None,
    ) -> None:
        self.gap_count = 0
        self.gap_s = 0.0
        self.cut_samples = 0
        self._on_gap = on_gap
        self._on_altered = on_altered
        self._settings = settings
        self._coder = CODERS[settings.codec]
        self._stream = stream
        self._blocks: BlockEncoder | None = None
        self._rate = 0
        self._base = Fraction(1)  # how long a sample is, in seconds
        self._resampler: Resampler | None = None
        self._input: tuple[str, str, int] | None = None
        self._anchor = 0  # ticks at which sample 0 stands
        self._received = 0  # samples taken in since the anchor, gaps included
        self._cutting = False
        self._rests = False
        self.leaves_gap = False
        self._filled = 0  # samples of silence since the last frame that was given
        self._run = 0  # the sample with which what goes on without a step began

    @property
    def begun(self) -> int:
        """Where what goes on without a step up to ``end`` began, in ticks."""
        return self._anchor + to_ticks(self._run, self._base) if self._rate else 0

    @property
    def filled_s(self) -> float:
        """Seconds of silence laid since the last frame that was given."""
        return self._filled / self._rate if self._filled else 0.0

    def fill(self, until: int) -> list[Coded]:
        """Lay silence up to ``until`` (ticks) if gaps are to be filled, a minute of it at the most.

        Raises MediaError if it cannot be encoded.
        """
        longest = LONGEST_SILENCE_S * self._rate - self._filled
        samples = min((until - self._anchor) * self._rate // TICKS_PER_SECOND - self._received, longest)
        if self._blocks is None or self._rests or self._settings.gaps != "silence" or samples <= 0:
            return []
        try:
            self._break_off(self._blocks)
            self._lay_silence(self._blocks, samples)
            return self._blocks.drain()
        except av.FFmpegError as error:
            raise MediaError(f"silence could not be encoded: {error}", self._stream) from error

    @property
    def end(self) -> int | None:
        """Up to where there is audio, in ticks; None before the first."""
        return None if self._blocks is None else self._anchor + to_ticks(self._received, self._base)

    def rest(self) -> list[Coded]:
        """Let out what is held, as nothing is given for long; the next frame starts a new encoder.

        Raises MediaError if that cannot be encoded.
        """
        if self._blocks is None or self._rests:
            return []
        self._rests = True
        try:
            self._break_off(self._blocks)
            coded, added = self._blocks.let_out()
        except av.FFmpegError as error:
            raise MediaError(f"audio could not be encoded: {error}", self._stream) from error
        self._received += added
        return coded

    def encode(
        self,
        frame: AudioFrame,
        ticks: int | None,
        *,
        discontinuity: bool = False,
        exact: bool = False,
        is_pause: bool = False,
    ) -> list[Coded]:
        """Encode ``frame``, heard from ``ticks`` on; None: right behind the frame before.

        ``exact`` says that a difference from the count of samples is no jitter, however small; ``is_pause`` that
        nothing is missing before the frame, since the source had nothing to say: silence for that is no gap.

        Raises MediaError where the frame or the settings cannot be encoded.
        """
        try:
            coded: list[Coded] = []
            kind = (frame.format.name, frame.layout.name, frame.sample_rate)
            blocks = self._blocks
            if blocks is None or kind != self._input:
                blocks, coded = self._follow(frame, ticks or 0)
                self._resampler = Resampler(blocks.layout.name, self._rate)
                self._input = kind
            blocks.discontinuity |= discontinuity
            length, cut = nearest(frame.samples * self._rate, frame.sample_rate), 0
            if ticks is not None:
                away = nearest((ticks - self._anchor) * self._rate, TICKS_PER_SECOND) - self._received
                tolerance = 0.0 if exact else self._settings.gap_tolerance * self._rate
                if away > tolerance:
                    coded += self._gap(blocks, away, is_pause=is_pause)
                elif self._filled:
                    self._end_gap(is_pause=is_pause)
                    cut = max(0, min(-away, length))
                elif away < (0 if self._cutting else -tolerance):
                    cut = min(-away, length)
                # Once begun the cut goes on to where the audio belongs, not just to the tolerance.
                self._cutting = cut > 0
            self._rests = self.leaves_gap = False
            sound = self._resampler.put(frame) if self._resampler is not None else []
            self._received += length - cut
            self.cut_samples += cut
            blocks.put(sound, skip=cut)
            return coded + blocks.drain()
        except av.FFmpegError as error:
            raise MediaError(f"audio could not be encoded: {error}", self._stream) from error

    def flush(self) -> list[Coded]:
        """Encode what is left, filled up with silence to a whole access unit."""
        if self._blocks is None:
            return []
        try:
            self._take_rest(self._blocks)
            self._input = None
            if self._filled:
                self._end_gap()
            return self._blocks.finish()
        except av.FFmpegError as error:
            raise MediaError(f"audio could not be encoded: {error}", self._stream) from error

    def _follow(self, frame: AudioFrame, ticks: int) -> tuple[BlockEncoder, list[Coded]]:
        """Make ready for frames like ``frame``, of another kind than those before; the first is at ``ticks``."""
        layout = coded_layout(frame.layout, asked=self._settings.channels, most=self._coder.channels)
        if layout.is_mixed and self._on_altered is not None:
            source = f"{frame.layout.nb_channels} channels ({frame.layout.name})"
            self._on_altered(f"its {source} are mixed to {layout.name}: {self._settings.codec} is given no more")
        if self._blocks is None:
            rate = self._settings.sample_rate or frame.sample_rate
            rate = rate if not self._coder.rates or rate in self._coder.rates else OPUS_RATE
            self._blocks = BlockEncoder(self._settings, self._stream, rate, ticks, layout)
            self._rate, self._base, self._anchor = rate, Fraction(1, rate), ticks
            return self._blocks, []
        self._take_rest(self._blocks)
        if layout.channels <= self._blocks.layout.channels or not self._coder.widens:
            return self._blocks, []
        return self._blocks, self._blocks.widen(layout)

    def _take_rest(self, blocks: BlockEncoder) -> None:
        """Take out of the resampler what it holds; it is of no more use then."""
        if self._resampler is not None:
            blocks.put(self._resampler.end())
            self._resampler = None

    def _gap(self, blocks: BlockEncoder, samples: int, *, is_pause: bool) -> list[Coded]:
        """Bridge ``samples`` missing samples by silence, or step over them."""
        self._break_off(blocks)
        whole = self._filled + samples
        if self._settings.gaps == "silence" and whole <= LONGEST_SILENCE_S * self._rate and not self.leaves_gap:
            self._lay_silence(blocks, samples)
            self._end_gap(is_pause=is_pause)
            return blocks.drain()
        self._received += samples
        self._filled = 0
        self._run = self._received
        self._count_gap(whole, is_filled=False)
        return blocks.step(samples)

    def _lay_silence(self, blocks: BlockEncoder, samples: int) -> None:
        blocks.put_silence(samples)
        self._received += samples
        self._filled += samples

    def _end_gap(self, *, is_pause: bool = False) -> None:
        filled, self._filled = self._filled, 0
        if not is_pause:
            self._count_gap(filled, is_filled=True)

    def _count_gap(self, samples: int, *, is_filled: bool) -> None:
        self.gap_count += 1
        self.gap_s += samples / self._rate
        if self._on_gap is not None:
            self._on_gap(self._stream, samples / self._rate, is_filled)

    def _break_off(self, blocks: BlockEncoder) -> None:
        """Take out of the resampler what it holds."""
        self._take_rest(blocks)
        if self._input is not None:
            self._resampler = Resampler(blocks.layout.name, self._rate)
