"""The coded units of a transport stream or an MP4, one by one, as a recording takes them."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Protocol

import av

from ..demux import demux, is_decodable, open_media
from ..demuxed import DemuxedPacket
from ..encode.coded import Coded
from ..encode.passthrough import Passthrough, passthrough_codec
from ..errors import MediaError, SourceError
from ..model import Codec
from ..mp4.movie import FRONT
from ..programs import Media, main_program, programs_of
from ..ticks import TICKS_PER_SECOND, to_ticks
from .late_tracks import front_of_all
from .located import StoredFile, located
from .store import FileStore
from .transport_units import NotSimpleError, TransportUnits, is_transport_stream

log = logging.getLogger("recordkit")

_TRANSPORT_STREAM, _MP4, _FIRST_BOX = "mpegts", "mov", b"ftyp"
_LARGEST_STEP_BACK = TICKS_PER_SECOND // 10
"""Files that were put one behind the other may overlap by more."""
_LARGEST_UNORDERED = TICKS_PER_SECOND
"""Where only the time of showing is stated."""
_MICROSECONDS = Fraction(1, av.time_base)
_REORDERED = 2 * TICKS_PER_SECOND
"""So much of several streams is put into the order of time, for files that do not have it."""


class Units(Protocol):
    """All that is coded in a file, in the order in which it is decoded."""

    shown: tuple[int, int] | None
    """What is shown of it, in ticks, if that is not all; known once all units have come."""

    @property
    def count(self) -> int:
        """How many streams there are, as far as that is known by now."""

    @property
    def ids(self) -> tuple[int, ...]:
        """The PID or track ID of each stream, as far as they are known by now."""

    zero: int | None
    """The tick from which seconds of media count; None: the first of any stream."""

    def __iter__(self) -> Iterator[Coded]:
        """Each unit and its format, once more from the beginning."""


class Source:
    """A file whose units are read, several times if need be. Close it when it is done with.

    What is written behind its end meanwhile is left out, and what lies behind ``size`` bytes. With ``audio_alone``
    video may be of any coding, and is left out if it cannot be recorded. Raises SourceError if it cannot be opened,
    or is neither a transport stream nor an MP4.
    """

    def __init__(self, source: object, *, audio_alone: bool = False, size: int | None = None) -> None:
        self.path, self.tail = located(source)
        self._store = FileStore(self.path, self.tail)
        self._audio_alone = audio_alone
        self._is_part = size is not None
        self.size = self._store.size if size is None else min(size, self._store.size)
        self._is_simple = is_transport_stream(self._store)

    @property
    def is_growing(self) -> bool:
        """Whether it is being written, or was left as a partial."""
        return self.tail is not None

    def units(self) -> Units:
        """Its units, to be read once."""
        if self._is_simple:
            return TransportUnits(self._store, self.size)
        media = self._media()
        container = open_media(media)  # type: ignore[arg-type]
        name = container.format.name.split(",")[0]
        if name not in (_TRANSPORT_STREAM, _MP4):
            kind = container.format.long_name
            container.close()
            raise SourceError(
                str(self.path),
                f"is {kind}: MPEG-TS and MP4 can be exported; recordkit record FILE OUTPUT records any other",
            )
        return ContainerUnits(container, self.path, audio_alone=self._audio_alone)

    def _media(self) -> Path | StoredFile:
        head, begin = self._front
        if not head and self.tail is None and not self._is_part:
            return self.path
        return StoredFile(self._store, begin, self.size, head=head)

    @cached_property
    def _front(self) -> tuple[bytes, int]:
        begins = self._store.read(0, len(FRONT))
        is_in_fragments = begins == FRONT or (self._is_part and begins[4:8] == _FIRST_BOX)
        return front_of_all(self._store, self.size) if is_in_fragments else (b"", 0)

    def fall_back(self, error: NotSimpleError) -> None:
        """From now on libavformat takes it apart."""
        log.info("%s: %s; it is taken apart the long way", self.path, error)
        self._is_simple = False

    def close(self) -> None:
        """Close the file."""
        self._store.close()


class ContainerUnits:
    """What libavformat finds in a file. Raises SourceError, MediaError."""

    def __init__(self, container: av.container.InputContainer, path: Path, *, audio_alone: bool) -> None:
        self.shown: tuple[int, int] | None = None
        start = container.start_time
        self.zero: int | None = None if start is None else to_ticks(start, _MICROSECONDS)
        self._container, self._path = container, path
        self._sorted = container.format.name != _TRANSPORT_STREAM
        self._ways: dict[int, Passthrough] = {}
        self._configs: dict[int, bytes] = {}
        self._least: dict[int, int] = {}
        """The shortest step between two units: of audio a sample, of which others count its times."""
        wanted: list[Media] = []
        for stream in container.streams:
            if not isinstance(stream, av.VideoStream | av.AudioStream) or not is_decodable(stream):
                log.warning("%s: stream %d (%s) is left out", path, stream.index, stream.type)
            elif not audio_alone or stream.type == "audio" or passthrough_codec(stream) is not None:
                wanted.append(stream)
        self._streams = self._of_one_program(wanted)

    def _of_one_program(self, streams: list[Media]) -> list[Media]:
        """Those of the program that would be recorded: the others have clocks of their own."""
        programs = programs_of(self._container, streams)
        if len(programs) < 2:
            return streams
        within = main_program(programs)
        for stream in streams:
            if stream not in within:
                log.warning(
                    "%s: stream %d (%s) is left out: it belongs to another program",
                    self._path,
                    stream.index,
                    stream.type,
                )
        starts = [
            stream.start_time * stream.time_base
            for stream in within
            if stream.start_time is not None and stream.time_base
        ]
        self.zero = round(min(starts) * TICKS_PER_SECOND) if starts else self.zero
        return within

    def __iter__(self) -> Iterator[Coded]:
        with self._container:
            for index, stream in enumerate(self._streams):
                self._admit(stream, index)
            yield from self._in_order() if self._sorted else self._all()

    @property
    def count(self) -> int:
        """How many streams are read."""
        return len(self._streams)

    @property
    def ids(self) -> tuple[int, ...]:
        """Their PIDs or track IDs."""
        return tuple(stream.id for stream in self._streams)

    def _admit(self, stream: av.VideoStream | av.AudioStream, index: int) -> None:
        codec = passthrough_codec(stream)
        if codec is None:
            name = stream.codec_context.name
            raise MediaError(
                f"{name} in {self._path.name} has no place in what recordkit writes: recordkit record FILE OUTPUT "
                "encodes it anew",
                index,
            )
        rate = stream.codec_context.sample_rate if isinstance(stream, av.AudioStream) else 0
        self._least[index] = -(-TICKS_PER_SECOND // rate) if rate else 1
        self._ways[stream.index] = Passthrough(stream, index, stream.language, self._altered)
        if codec in (Codec.AAC, Codec.OPUS):
            self._configs[index] = stream.codec_context.extradata or b""

    def _altered(self, what: str) -> None:
        log.info("%s: %s", self._path, what)

    def _all(self) -> Iterator[Coded]:
        last: dict[int, int] = {}
        hidden, begin, end = False, 0, None
        numbers = {stream.index: number for number, stream in enumerate(self._streams)}
        for packet in demux(self._container, self._streams):
            if not packet.size:
                continue
            way, number = self._ways[packet.stream_index], numbers[packet.stream_index]
            way.look(packet)
            dts, pts = self._times(packet, last, number, way)
            if packet.is_discard:
                hidden = True
            else:
                at = dts if pts is None else pts
                begin = at if end is None else min(begin, at)
                end = max(end if end is not None else at, at + way.step(packet))
            for coded in way.units(packet, dts, pts, discontinuity=False):
                config = self._configs.get(number)
                if config and coded.format.config != config:
                    coded = coded._replace(format=replace(coded.format, config=config))
                yield coded
        if self._sorted and self.zero is not None and end is not None and begin < self.zero:
            # Of the first packets of audio a part is hidden, or all (ISO/IEC 14496-12, 8.6.6).
            self.shown = self.zero, end
        elif hidden and end is not None:
            self.shown = begin, end

    def _times(
        self, packet: DemuxedPacket, last: dict[int, int], number: int, way: Passthrough
    ) -> tuple[int, int | None]:
        """When a packet is decoded and shown; it is decoded behind the one before it."""
        base = packet.time_base
        stated = packet.dts if packet.dts is not None else packet.pts
        before = last.get(number)
        dts = to_ticks(stated, base) if stated is not None else 0 if before is None else before + way.step(packet)
        if before is not None and dts <= before:
            if before - dts > (_LARGEST_UNORDERED if packet.dts is None else _LARGEST_STEP_BACK):
                at_s = (before - (self.zero or 0)) / TICKS_PER_SECOND
                raise MediaError(
                    f"at {at_s:.3f} s the times of {self._path.name} go back by "
                    f"{(before - dts) / TICKS_PER_SECOND:.3f} s, as where files were put one behind the other: "
                    "recordkit record FILE OUTPUT gives it times that go on",
                    number,
                )
            dts = before + self._least[number]
        last[number] = dts
        return dts, None if packet.pts is None else to_ticks(packet.pts, base)

    def _in_order(self) -> Iterator[Coded]:
        waiting: list[tuple[int, int, Coded]] = []
        numbers = count()
        newest: dict[int, int] = {}
        for coded in self._all():
            unit = coded.unit
            heapq.heappush(waiting, (unit.dts, next(numbers), coded))
            newest[unit.stream] = unit.dts
            complete = min(newest.values()) if len(newest) == len(self._streams) else None
            while waiting and (
                unit.dts - waiting[0][0] > _REORDERED or (complete is not None and waiting[0][0] <= complete)
            ):
                yield heapq.heappop(waiting)[2]
        while waiting:
            yield heapq.heappop(waiting)[2]
