"""Files of one stream of audio that grow by themselves: what they have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..container import Finish, Memory
from ..errors import MediaError
from ..model import AccessUnit, Codec, StreamFormat

_NEVER = -(1 << 62)


class SoundPackager:
    """Lays the units of one stream of audio one behind the other. Not thread-safe; does no I/O, reads no clock.

    ``kind`` is how the file is called, ``codecs`` are those that it has a place for.
    """

    packet_bytes = 1
    kind = ""
    codecs: tuple[Codec, ...] = ()

    def __init__(self) -> None:
        self.late_units = self.lead_bytes = self.unit_bytes = 0
        self.order: tuple[int, ...] = ()
        self._index = -1
        self._format: StreamFormat | None = None
        self._least_dts = _NEVER
        self._laid_bytes = 0

    @property
    def streams(self) -> dict[int, StreamFormat]:
        """The stream, once it is declared."""
        return {} if self._format is None else {self._index: self._format}

    def format(self, index: int) -> StreamFormat | None:
        """The format of stream ``index``, None when it was not declared."""
        return self._format if index == self._index else None

    def is_video(self, index: int) -> bool:
        """None is."""
        return False

    def declare(self, index: int, stream_format: StreamFormat) -> None:
        """Set the format. Raises MediaError for a second stream, another coding, another rate or other channels."""
        if stream_format.codec not in self.codecs:
            names = " or ".join(self.codecs)
            raise MediaError(f"{stream_format.codec} has no place in {self.kind}, which holds {names}", index)
        known = self._format
        if known is None:
            self._index, self._format = index, stream_format
        elif index != self._index:
            raise MediaError(
                f"{self.kind} holds one stream of audio: choose a name that ends in .mp4 or .ts", index
            )
        elif (known.sample_rate, known.channels) != (stream_format.sample_rate, stream_format.channels):
            raise MediaError(f"{self.kind} cannot change its rate or its channels", index)

    def show(self, begin: int, end: int) -> bool:
        """All that is in such a file is heard."""
        return False

    def begin_at(self, ticks: int) -> None:
        """There are no times."""

    def decode_from(self, ticks: int) -> None:
        """There are no times."""

    def heard(self, unit: AccessUnit) -> int:
        """There is nothing to hide it by."""
        return unit.pts

    def until(self, unit: AccessUnit) -> int:
        """There is nothing to cut off what only fills it up."""
        return unit.pts + unit.duration

    def lend(self, rows: NDArray[np.uint8]) -> Memory:
        """Memory to lay into: a packet is a byte here."""
        return Memory(rows.data)

    def packets_for(self, unit: AccessUnit) -> int:
        """How many bytes ``lay`` needs for ``unit``."""
        return len(self._head()) + len(unit.data) + self._overhead(unit)

    def lay(self, unit: AccessUnit, memory: Memory) -> None:
        """Lay ``unit`` at the end of ``memory``.

        Raises MediaError, with nothing laid, for a stream that was not declared, or a DTS that does not increase.
        """
        if unit.stream != self._index:
            raise MediaError("was never declared", unit.stream)
        if unit.dts < self._least_dts:
            raise MediaError(f"DTS {unit.dts} does not come after {self._least_dts - 1}", unit.stream)
        data = self._head() + self._framed(unit)
        end = memory.used + len(data)
        memory.bytes[memory.used : end] = data
        memory.used = end
        self._laid_bytes += len(data)
        self._least_dts = unit.dts + 1

    def finish(self, file_bytes: int) -> Finish:
        """What makes a partial of ``file_bytes`` the final file."""
        return Finish()

    def _head(self) -> bytes:
        """What stands before the first unit, if this is it."""
        return b""

    def _overhead(self, unit: AccessUnit) -> int:
        return 0

    def _framed(self, unit: AccessUnit) -> bytes:
        return unit.data


class Mp3Packager(SoundPackager):
    """Frames of MPEG audio, one behind the other: each has its own header (ISO/IEC 11172-3, 2.4.1.3)."""

    kind = "MP3"
    codecs = (Codec.MP3,)
