"""WAV: samples behind a header, whose sizes are set at the end (RIFF; RF64 of EBU Tech 3306 above 4 GB)."""

from __future__ import annotations

from struct import Struct

from ..container import Finish
from ..model import Codec, StreamFormat
from .packager import SoundPackager

_HEAD = Struct("<4sI4s 4sIQQQI 4sIHHIIHH 4sI")
HEAD_BYTES = _HEAD.size
_LARGEST = 0xFFFF_FFFF
_PCM, _BITS = 1, 16


def wav_head(stream_format: StreamFormat, data_bytes: int | None) -> bytes:
    """The header of ``data_bytes`` of samples; None while it is not known how many there will be.

    The chunk JUNK keeps the room in which RF64 has its sizes of 64 bits (ds64).
    """
    rate, channels = stream_format.sample_rate, stream_format.channels
    block = channels * _BITS // 8
    whole = HEAD_BYTES - 8 + (data_bytes or 0)
    is_large = data_bytes is not None and whole > _LARGEST
    riff, junk, sizes, size, part = b"RIFF", b"JUNK", (0, 0, 0), _LARGEST, _LARGEST
    if is_large and data_bytes is not None:
        riff, junk, sizes = b"RF64", b"ds64", (whole, data_bytes, data_bytes // block)
    elif data_bytes is not None:
        size, part = whole, data_bytes
    sound = (b"fmt ", 16, _PCM, channels, rate, rate * block, block, _BITS)
    return _HEAD.pack(riff, size, b"WAVE", junk, 28, *sizes, 0, *sound, b"data", part)


def read_head(data: bytes) -> StreamFormat | None:
    """The format that a header of ours says; None if it is none."""
    if len(data) < HEAD_BYTES:
        return None
    riff, _, wave, *_, channels, rate, _, _, bits, name, _ = _HEAD.unpack_from(data)
    if riff not in (b"RIFF", b"RF64") or wave != b"WAVE" or name != b"data" or bits != _BITS:
        return None
    return StreamFormat(Codec.PCM, sample_rate=rate, channels=channels) if rate and 1 <= channels <= 8 else None


class WavPackager(SoundPackager):
    """Lays samples of 16 bits. A gap in time is none in the file: it has no times."""

    kind = "WAV"
    codecs = (Codec.PCM,)

    def _head(self) -> bytes:
        return b"" if self._laid_bytes or self._format is None else wav_head(self._format, None)

    def finish(self, file_bytes: int) -> Finish:
        """The header with its sizes."""
        if self._format is None or not file_bytes:
            return Finish()
        return Finish((), ((0, wav_head(self._format, file_bytes - HEAD_BYTES)),))
