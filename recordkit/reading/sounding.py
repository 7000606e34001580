"""The audio of a file for one that holds audio alone: copied if its coding has a place there, else encoded anew."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, cast

import av
from av.audio.frame import AudioFrame

from ..encode.audio import AudioEncoder
from ..encode.coded import Coded
from ..encode.resampling import packed
from ..errors import MediaError
from ..model import AccessUnit, Codec, StreamFormat
from ..settings import AudioCodec, AudioSettings
from ..sound.ogg import opus_head
from ..ticks import TICK, TICKS_PER_SECOND, nearest

if TYPE_CHECKING:
    Packet = av.Packet[Any]


def sounding(
    coded: Iterator[Coded], codecs: Collection[Codec], codec: str, begin: int | None, end: int | None
) -> Iterator[Coded]:
    """The units of audio ``coded``, or what they are encoded to if their coding is none of ``codecs``.

    Only what is heard from ``begin`` to before ``end`` (ticks): to the sample if it is encoded, else to the unit.
    Raises MediaError if it cannot be decoded or encoded.
    """
    first = next(coded, None)
    if first is None:
        return
    if first.format.codec in codecs:
        for one in (first, *coded):
            unit = one.unit
            if (begin is None or unit.pts + unit.duration > begin) and (end is None or unit.pts < end):
                yield one
        return
    anew = _Anew(first.format, codec, first.unit.stream, begin, end)
    yield from anew.put(first.unit)
    for one in coded:
        yield from anew.put(one.unit)
    yield from anew.flush()


_ROUNDED = 2
"""By so many ticks the times of whole units may differ from their samples."""


class _Anew:
    """Decodes one stream and encodes it in another coding."""

    def __init__(
        self, stream_format: StreamFormat, codec: str, stream: int, begin: int | None, end: int | None
    ) -> None:
        self._begin, self._end = begin, end
        self._until: int | None = None
        self._stream = stream
        settings = AudioSettings(codec=cast("AudioCodec", codec))
        self._encoder = AudioEncoder(settings, stream)
        context = av.CodecContext.create(str(stream_format.codec), "r")
        context.extradata = opus_head(stream_format) if stream_format.codec is Codec.OPUS else stream_format.config
        self._decoder = cast("av.AudioCodecContext", context)
        self._decoder.sample_rate = stream_format.sample_rate

    def put(self, unit: AccessUnit) -> list[Coded]:
        # Of the last unit its container may say that the end only fills it up.
        self._until = unit.pts + unit.duration if unit.duration else None
        packet: Packet = av.Packet(unit.data)
        packet.pts, packet.dts, packet.time_base = unit.pts, unit.dts, TICK
        return self._take(packet)

    def flush(self) -> list[Coded]:
        return [*self._take(None), *self._encoder.flush()]

    def _take(self, packet: Packet | None) -> list[Coded]:
        made: list[Coded] = []
        try:
            for frame in self._decoder.decode(packet):
                if frame.pts is not None:
                    heard = self._heard(frame, frame.pts)
                    if heard is not None:
                        made += self._encoder.encode(*heard)
        except av.FFmpegError as error:
            raise MediaError(f"the audio cannot be decoded: {error}", self._stream) from error
        return made

    def _heard(self, frame: AudioFrame, ticks: int) -> tuple[AudioFrame, int] | None:
        """What of a frame lies between begin and end, and when it is heard."""
        rate = frame.sample_rate
        first = 0 if self._begin is None else max(0, (self._begin - ticks) * rate // TICKS_PER_SECOND)
        last = frame.samples
        if self._end is not None:
            last = min(last, (self._end - ticks) * rate // TICKS_PER_SECOND)
        if self._until is not None and self._until - ticks < last * TICKS_PER_SECOND // rate - _ROUNDED:
            last = min(last, nearest((self._until - ticks) * rate, TICKS_PER_SECOND))
        if first >= last:
            return None
        if (first, last) == (0, frame.samples):
            return frame, ticks
        frame = packed(frame)
        data = frame.to_ndarray()
        width = 1 if frame.format.is_planar else frame.layout.nb_channels
        cut = data[:, first * width : last * width].copy()
        made = AudioFrame.from_ndarray(cut, frame.format.name, frame.layout.name)
        made.sample_rate = rate
        return made, ticks + first * TICKS_PER_SECOND // rate
