"""Audio to access units: any rate, layout and sample format; gaps told apart from jitter."""

from __future__ import annotations

import logging
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame

from ..bitstream.audio import (
    AAC_SAMPLES,
    OPUS_RATE,
    parse_audio_specific_config,
)
from ..errors import MediaError
from ..model import AccessUnit, Codec, StreamFormat
from ..settings import AudioSettings
from ..ticks import TICKS_PER_SECOND, to_ticks
from .coded import Coded, CodedPacket
from .coders import CODERS
from .layouts import CodedLayout, coded_layout
from .resampling import Resampler, Samples, widened

log = logging.getLogger("recordkit")

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
        self._is_opus = self._coder.codec is Codec.OPUS
        self._stream = stream
        self._context: av.AudioCodecContext | None = None
        self._format: StreamFormat | None = None
        self._rate = 0
        self._block = AAC_SAMPLES
        self._layout = CodedLayout("stereo", 2)
        self._resampler: Resampler | None = None
        self._input: tuple[str, str, int] | None = None
        self._anchor = 0  # ticks at which sample 0 stands
        self._received = 0  # samples taken in since the anchor, gaps included
        self._position = 0  # where the next block to be encoded stands, in samples
        self._begin: int | None = None  # what stands before this was encoded by the encoder before
        self._blocks: list[Samples] = []
        self._waiting = 0
        self._discontinuity = False
        self._cutting = False
        self._end: int | None = None  # the sample behind the last one, once there is a last one
        self._rests = False
        self.leaves_gap = False
        self._filled = 0  # samples of silence since the last frame that was given
        self._run = 0  # the sample with which what goes on without a step began

    @property
    def begun(self) -> int:
        """Where what goes on without a step up to ``end`` began, in ticks."""
        return self._anchor + to_ticks(self._run, Fraction(1, self._rate)) if self._rate else 0

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
        if self._context is None or self._rests or self._settings.gaps != "silence" or samples <= 0:
            return []
        try:
            self._break_off()
            self._lay_silence(samples)
            return self._drain()
        except av.FFmpegError as error:
            raise MediaError(f"silence could not be encoded: {error}", self._stream) from error

    @property
    def end(self) -> int | None:
        """Up to where there is audio, in ticks; None before the first."""
        return None if self._context is None else self._anchor + to_ticks(self._received, Fraction(1, self._rate))

    def rest(self) -> list[Coded]:
        """Let out what is held, as nothing is given for long; the next frame starts a new encoder.

        Raises MediaError if that cannot be encoded.
        """
        if self._context is None or self._rests:
            return []
        self._rests = True
        try:
            self._break_off()
            self._received += -self._waiting % self._block
            coded = self._drain()
            if self._waiting:
                coded += self._pad_block()
            coded += self._units(self._context.encode(None))
            # What an AAC encoder puts first is a whole block, which is there already.
            self._begin = None if self._is_opus else self._position
            self._open(self._layout)
        except av.FFmpegError as error:
            raise MediaError(f"audio could not be encoded: {error}", self._stream) from error
        self._discontinuity = True
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
            if kind != self._input:
                coded = self._follow(frame, ticks or 0)
                self._resampler = Resampler(self._layout.name, self._rate)
                self._input = kind
            self._discontinuity |= discontinuity
            cut = 0
            if ticks is not None:
                away = round(Fraction((ticks - self._anchor) * self._rate, TICKS_PER_SECOND)) - self._received
                tolerance = 0.0 if exact else self._settings.gap_tolerance * self._rate
                if away > tolerance:
                    coded += self._gap(away, is_pause=is_pause)
                elif self._filled:
                    self._end_gap(is_pause=is_pause)
                    cut = max(0, min(-away, round(frame.samples * self._rate / frame.sample_rate)))
                elif away < (0 if self._cutting else -tolerance):
                    cut = min(-away, round(frame.samples * self._rate / frame.sample_rate))
                # Once begun the cut goes on to where the audio belongs, not just to the tolerance.
                self._cutting = cut > 0
            self._rests = self.leaves_gap = False
            sound = self._resampler.put(frame) if self._resampler is not None else []
            self._received += round(frame.samples * self._rate / frame.sample_rate) - cut
            self.cut_samples += cut
            self._take(sound, skip=cut)
            return coded + self._drain()
        except av.FFmpegError as error:
            raise MediaError(f"audio could not be encoded: {error}", self._stream) from error

    def flush(self) -> list[Coded]:
        """Encode what is left, filled up with silence to a whole access unit."""
        if self._context is None:
            return []
        try:
            self._take_rest()
            self._input = None
            if self._filled:
                self._end_gap()
            coded = self._drain()
            self._end = self._position + self._waiting
            if self._waiting:
                coded += self._pad_block()
            return coded + self._units(self._context.encode(None))
        except av.FFmpegError as error:
            raise MediaError(f"audio could not be encoded: {error}", self._stream) from error

    def _follow(self, frame: AudioFrame, ticks: int) -> list[Coded]:
        """Make ready for frames like ``frame``, of another kind than those before; the first is at ``ticks``."""
        layout = coded_layout(frame.layout, asked=self._settings.channels, most=self._coder.channels)
        if layout.is_mixed and self._on_altered is not None:
            source = f"{frame.layout.nb_channels} channels ({frame.layout.name})"
            self._on_altered(f"its {source} are mixed to {layout.name}: {self._settings.codec} is given no more")
        if self._context is None:
            rate = self._settings.sample_rate or frame.sample_rate
            self._rate = rate if not self._coder.rates or rate in self._coder.rates else OPUS_RATE
            self._block = self._coder.block
            self._anchor = ticks
            self._open(layout)
            return []
        self._take_rest()
        if layout.channels <= self._layout.channels or not self._coder.widens:
            return []
        log.info("Stream %d: its audio goes on in %s, after %s", self._stream, layout.name, self._layout.name)
        coded = self._drain()
        last = self._units(self._context.encode(None))
        # Two encoders overlap by what the new one puts first. Of AAC that is a whole block, so the old one's
        # last is the one to keep; of Opus it is less than what would have to be left out of the new one.
        coded += [] if self._is_opus else last
        self._begin = None if self._is_opus else self._position
        self._blocks = [widened(block, self._layout.name, layout.name, self._rate) for block in self._blocks]
        self._open(layout)
        return coded

    def _open(self, layout: CodedLayout) -> None:
        self._layout = layout
        context = self._coder.open(self._rate, layout, self._settings.bit_rate)
        config = context.extradata or b""
        is_aac = self._coder.codec is Codec.AAC
        if is_aac and parse_audio_specific_config(config) is None:
            raise MediaError("the AAC encoder gave no configuration", self._stream)
        self._context = context
        language = self._settings.language
        # libavcodec's AAC encoder begins a block early; of Opus the packager knows.
        primed = AAC_SAMPLES if is_aac else 0
        self._format = StreamFormat(
            self._coder.codec,
            sample_rate=self._rate,
            channels=layout.channels,
            language=language,
            config=config,
            priming=primed,
        )

    def _take_rest(self) -> None:
        """Take out of the resampler what it holds; it is of no more use then."""
        if self._resampler is not None:
            self._take(self._resampler.end())
            self._resampler = None

    def _take(self, sound: list[Samples], skip: int = 0) -> None:
        for piece in sound:
            rest = piece[:, skip:]
            skip -= piece.shape[1] - rest.shape[1]
            if rest.shape[1]:
                self._blocks.append(rest)
                self._waiting += rest.shape[1]

    def _gap(self, samples: int, *, is_pause: bool) -> list[Coded]:
        """Bridge ``samples`` missing samples by silence, or step over them."""
        self._break_off()
        whole = self._filled + samples
        if self._settings.gaps == "silence" and whole <= LONGEST_SILENCE_S * self._rate and not self.leaves_gap:
            self._lay_silence(samples)
            self._end_gap(is_pause=is_pause)
            return self._drain()
        self._received += samples
        self._filled = 0
        self._run = self._received
        self._count_gap(whole, is_filled=False)
        coded = self._drain()
        begun = self._waiting
        if begun:
            coded += self._pad_block()
            # What the padding has covered is no longer missing.
            samples = max(0, samples - (self._block - begun))
        self._position += samples
        self._discontinuity = True
        return coded

    def _lay_silence(self, samples: int) -> None:
        self._take([np.zeros((self._layout.channels, samples), np.float32)])
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

    def _break_off(self) -> None:
        """Take out of the resampler what it holds."""
        self._take_rest()
        if self._input is not None:
            self._resampler = Resampler(self._layout.name, self._rate)

    def _pad_block(self) -> list[Coded]:
        self._take([np.zeros((self._layout.channels, self._block - self._waiting), np.float32)])
        return self._drain()

    def _drain(self) -> list[Coded]:
        """Encode the whole blocks that wait: 1024 samples of AAC, 20 ms of Opus."""
        if self._waiting < self._block or self._context is None:
            return []
        sound = np.concatenate(self._blocks, axis=1)
        coded = []
        whole = sound.shape[1] // self._block * self._block
        for at in range(0, whole, self._block):
            block = np.ascontiguousarray(sound[:, at : at + self._block])
            frame = self._coder.frame(block, self._rate, self._layout, self._position)
            self._position += self._block
            coded += self._units(self._context.encode(frame))
        self._blocks = [sound[:, whole:]] if whole < sound.shape[1] else []
        self._waiting = sound.shape[1] - whole
        return coded

    def _units(self, packets: list[CodedPacket]) -> list[Coded]:
        coded = []
        for packet in packets:
            if packet.pts is None or self._format is None:
                continue
            if self._begin is not None and packet.pts < self._begin:
                continue
            base = Fraction(1, self._rate)
            time = to_ticks(packet.pts, base)
            start_trim, end_trim = self._trims(packet.pts)
            if end_trim >= self._block:
                continue
            unit = AccessUnit(
                stream=self._stream,
                pts=self._anchor + time,
                dts=self._anchor + time,
                data=bytes(packet),
                discontinuity=self._discontinuity,
                duration=to_ticks(packet.pts + self._block, base) - time,
                start_trim=start_trim,
                end_trim=end_trim,
            )
            self._discontinuity = False
            coded.append(Coded(self._format, unit))
        return coded

    def _trims(self, begin: int) -> tuple[int, int]:
        """The samples of the block at ``begin`` that are not heard; Opus alone has a place for them.

        The coder's own come first (pre-skip, RFC 7845, 4.2), silence that fills the last block up comes last.
        """
        if not self._is_opus:
            return 0, 0
        start_trim = max(0, -begin)
        end_trim = max(0, begin + self._block - self._end) if self._end is not None else 0
        return start_trim, end_trim
