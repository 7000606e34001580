"""Blocks of samples to access units: what an encoder takes at once, where it stands, and what of it is heard."""

from __future__ import annotations

import logging
from fractions import Fraction

import numpy as np

from ..bitstream.audio import AAC_SAMPLES, parse_audio_specific_config
from ..errors import MediaError
from ..model import AccessUnit, Codec, StreamFormat
from ..settings import AudioSettings
from ..ticks import to_ticks
from .coded import Coded, CodedPacket
from .coders import CODERS
from .layouts import CodedLayout
from .resampling import Samples, widened

log = logging.getLogger("recordkit")


class BlockEncoder:
    """Encodes samples of ``layout`` at ``rate`` Hz, whole blocks at a time, for stream ``stream``.

    ``anchor`` is where its first sample stands, in ticks; ``rate`` has to be one that the codec takes.
    ``discontinuity`` marks the next unit.

    Its methods raise av.FFmpegError where something cannot be encoded, and MediaError if the encoder says nothing
    of itself.
    """

    def __init__(self, settings: AudioSettings, stream: int, rate: int, anchor: int, layout: CodedLayout) -> None:
        self.discontinuity = False
        self.layout = layout
        self._settings = settings
        self._coder = CODERS[settings.codec]
        self._is_opus, self._is_pcm = (self._coder.codec is one for one in (Codec.OPUS, Codec.PCM))
        self._stream = stream
        self._rate = rate
        self._base = Fraction(1, rate)
        self._anchor = anchor
        self._size = self._coder.block
        self._position = 0  # where the next block to be encoded stands, in samples
        self._begin: int | None = None  # what stands before this was encoded by the encoder before
        self._end: int | None = None  # the sample behind the last one, once there is a last one
        self._blocks: list[Samples] = []
        self._waiting = 0
        self._open()

    def put(self, pieces: list[Samples], skip: int = 0) -> None:
        """Take samples in, but for the first ``skip``."""
        for piece in pieces:
            rest = piece[:, skip:]
            skip -= piece.shape[1] - rest.shape[1]
            if rest.shape[1]:
                self._blocks.append(rest)
                self._waiting += rest.shape[1]

    def put_silence(self, samples: int) -> None:
        """Take silence in."""
        self.put([np.zeros((self.layout.channels, samples), np.float32)])

    def drain(self) -> list[Coded]:
        """Encode the whole blocks that wait: 1024 samples of AAC, 20 ms of Opus."""
        if self._waiting < self._size:
            return []
        sound = np.concatenate(self._blocks, axis=1) if len(self._blocks) > 1 else self._blocks[0]
        coded = []
        whole = sound.shape[1] // self._size * self._size
        for at in range(0, whole, self._size):
            frame = self._coder.frame(sound[:, at : at + self._size], self._base, self.layout, self._position)
            self._position += self._size
            coded += self._units(self._context.encode(frame))
        self._blocks = [sound[:, whole:]] if whole < sound.shape[1] else []
        self._waiting = sound.shape[1] - whole
        return coded

    def step(self, samples: int) -> list[Coded]:
        """Leave a gap of ``samples``; what waits before it is filled up to a block, which covers some of it."""
        coded = self.drain()
        begun = self._waiting
        if begun:
            coded += self._pad()
            samples = max(0, samples - (self._size - begun))
        self._position += samples
        self.discontinuity = True
        return coded

    def let_out(self) -> tuple[list[Coded], int]:
        """Encode what is held and go on with a new encoder; also gives how many samples of silence filled it up."""
        added = -self._waiting % self._size
        coded = self.drain()
        if self._waiting:
            coded += self._pad()
        coded += self._units(self._context.encode(None))
        # What an AAC encoder puts first is a whole block, which is there already.
        self._begin = None if self._is_opus else self._position
        self._open()
        self.discontinuity = True
        return coded, added

    def widen(self, layout: CodedLayout) -> list[Coded]:
        """Go on with more channels, in an encoder of their own."""
        log.info("Stream %d: its audio goes on in %s, after %s", self._stream, layout.name, self.layout.name)
        coded = self.drain()
        last = self._units(self._context.encode(None))
        # Two encoders overlap by what the new one puts first. Of AAC that is a whole block, so the old one's
        # last is the one to keep; of Opus it is less than what would have to be left out of the new one.
        coded += [] if self._is_opus else last
        self._begin = None if self._is_opus else self._position
        self._blocks = [widened(block, self.layout.name, layout.name, self._rate) for block in self._blocks]
        self.layout = layout
        self._open()
        return coded

    def finish(self) -> list[Coded]:
        """Encode what is left, filled up with silence to a whole block."""
        coded = self.drain()
        self._end = self._position + self._waiting
        if self._waiting:
            coded += self._pad()
        return coded + self._units(self._context.encode(None))

    def _open(self) -> None:
        context = self._coder.open(self._rate, self.layout, self._settings.bit_rate)
        config = context.extradata or b""
        is_aac = self._coder.codec is Codec.AAC
        if is_aac and parse_audio_specific_config(config) is None:
            raise MediaError("the AAC encoder gave no configuration", self._stream)
        self._context = context
        self._format = StreamFormat(
            self._coder.codec,
            sample_rate=self._rate,
            channels=self.layout.channels,
            language=self._settings.language,
            config=config,
            # libavcodec's AAC encoder begins a block early; of Opus the packager knows.
            priming=AAC_SAMPLES if is_aac else 0,
        )

    def _pad(self) -> list[Coded]:
        self.put_silence(self._size - self._waiting)
        return self.drain()

    def _units(self, packets: list[CodedPacket]) -> list[Coded]:
        coded = []
        for packet in packets:
            if packet.pts is None:
                continue
            if self._begin is not None and packet.pts < self._begin:
                continue
            time = to_ticks(packet.pts, self._base)
            start_trim, end_trim = self._trims(packet.pts)
            if end_trim >= self._size:
                continue
            data, size = bytes(packet), self._size
            if self._is_pcm:  # which ends with any sample
                size, end_trim = size - end_trim, 0
                data = data[: len(data) * size // self._size]
            unit = AccessUnit(
                stream=self._stream,
                pts=self._anchor + time,
                dts=self._anchor + time,
                data=data,
                discontinuity=self.discontinuity,
                duration=to_ticks(packet.pts + size, self._base) - time,
                start_trim=start_trim,
                end_trim=end_trim,
            )
            self.discontinuity = False
            coded.append(Coded(self._format, unit))
        return coded

    def _trims(self, begin: int) -> tuple[int, int]:
        """The samples of the block at ``begin`` that are not heard.

        The coder's own come first (of Opus the pre-skip, RFC 7845, 4.2; of AAC a whole block, see ``priming``),
        silence that fills the last block up comes last.
        """
        start_trim = max(0, -begin) if self._is_opus else 0
        end_trim = max(0, begin + self._size - self._end) if self._end is not None else 0
        return start_trim, end_trim
