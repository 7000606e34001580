"""Bytes of an MP4 in, in pieces of any size; events and a report out, in constant memory.

It reads fragmented files, broken off or damaged ones too, finished ones, and plain ones of anybody.
Inside the ``mdat`` of a finished recording the chunks that it was made of are still there, and are
read as such.
"""

from __future__ import annotations

from dataclasses import dataclass

from .boxes import HEADER_BYTES, LONG_HEADER_BYTES, BoxError, parse_header
from .ledger import Ledger
from .reading import Fragment, read_fragment, read_movie
from .report import ChunkEvent, Event, MovieEvent, ProblemKind, ScanReport

LARGEST_MOVIE_BYTES = 1 << 30
LARGEST_FRAGMENT_BYTES = 64 << 20
LARGEST_PAYLOAD_BYTES = 256 << 20
_FRAGMENT_HEAD = b"\0\0\0\x10mfhd"
"""Stands eight bytes behind the beginning of each ``moof``: by it boxes are found again behind damage."""
_FIRST_KINDS = frozenset({"ftyp", "styp", "moov", "free", "skip", "wide", "mdat", "moof", "pdin", "sidx", "uuid"})
_TO_THE_END = 1 << 62


@dataclass(slots=True)
class _Open:
    """The box that is being read: where it begins, and its bytes if they are kept."""

    kind: str
    offset: int
    header: int
    end: int
    kept: bytearray | None


class Scanner:
    """Reads one file from its beginning. ``payload`` keeps the bytes of each chunk for its event."""

    def __init__(self, *, payload: bool = False) -> None:
        self._payload = payload
        self._ledger = Ledger()
        self.at = 0
        """Where the next byte to be fed lies."""
        self._pending = bytearray()  # bytes before it that are not yet a header
        self._open: _Open | None = None
        self._lost = False
        self._fragment: tuple[int, Fragment] | None = None
        self._number: int | None = None
        self._front: int | None = None
        self._is_wrapped = self._is_finished = False
        self._usable_end = 0
        self._boxes = self._chunks = 0
        self._origin = 0  # where a file begins that another was put around

    @property
    def skippable(self) -> int:
        """How many of the next bytes are of no use, and may be told by ``skip`` instead of fed."""
        box = self._open
        return box.end - self.at if box is not None and box.kept is None and box.end < _TO_THE_END else 0

    def skip(self, count: int) -> list[Event]:
        """As ``feed`` of ``count`` bytes, no more than are skippable."""
        self.at += min(count, self.skippable)
        if self._open is not None and self.at == self._open.end:
            self._close_box(self._open)
        return self._events()

    @property
    def media_end(self) -> int | None:
        """Where the ``mdat`` ends that all fragments of a finished recording lie in; None if it is none."""
        return self._ledger.ranges[0][1] if self._is_wrapped else None

    def jump(self, at: int) -> None:
        """Go on at another place, with the next ``moof`` that is found there."""
        self.at, self._open, self._fragment, self._lost = at, None, None, True
        self._pending.clear()

    def feed(self, data: bytes | memoryview) -> list[Event]:
        """Reads the next bytes; what they completed."""
        view = memoryview(data)
        while len(view):
            box = self._open
            if box is None:
                view = self._seek(view) if self._lost else self._head(view)
                continue
            taken = min(len(view), box.end - self.at)
            if box.kept is not None:
                box.kept += view[:taken]
            self.at += taken
            view = view[taken:]
            if self.at == box.end:
                self._close_box(box)
        return self._events()

    def close(self) -> list[Event]:
        """The file ends here; the faults that this is."""
        box, problem = self._open, self._ledger.problem
        if self._pending and not self._lost:
            problem(ProblemKind.CUT_BOX, self.at - len(self._pending), "a box ends inside its header")
        elif box is not None and box.end == _TO_THE_END:
            self._ledger.range(box.offset + box.header, self.at)
        elif box is not None:
            problem(ProblemKind.CUT_BOX, box.offset, f"{box.end - self.at:,} bytes of {box.kind} are missing")
        else:
            self._drop_fragment()
        if not self._boxes:
            detail = "no box of an MP4 file was found" if self.at else "the file is empty"
            problem(ProblemKind.NOT_MP4, 0, detail)
        elif not self._ledger.tracks:
            problem(ProblemKind.MISSING_MOVIE, 0, "there is no moov: nothing says what is in the file")
        if not self._chunks:
            self._ledger.check_places(self.at)
        return self._events()

    @property
    def report(self) -> ScanReport:
        """What was found until now."""
        ledger = self._ledger
        return ScanReport(
            self.at,
            self._chunks,
            self._usable_end,
            self._front,
            self._is_finished,
            ledger.reports,
            dict(ledger.problem_counts),
            tuple(ledger.problems),
        )

    def _events(self) -> list[Event]:
        events, self._ledger.events = self._ledger.events, []
        return events

    def _head(self, view: memoryview) -> memoryview:
        """Takes the header of the next box, as far as it is there."""
        pending = self._pending
        wanted = (LONG_HEADER_BYTES if pending[:4] == b"\0\0\0\1" else HEADER_BYTES) - len(pending)
        taken = min(wanted, len(view))
        pending += view[:taken]
        self.at += taken
        begin = self.at - len(pending)
        try:
            head = parse_header(bytes(pending))
            if head is not None:
                self._begin_box(begin, *head)
        except BoxError as error:
            self._ledger.problem(ProblemKind.LOST_BOXES, begin, str(error))
            self._lost, self._fragment = True, None
            # The search goes on behind where this began, or it would find the same moof for ever.
            del pending[:1]
        return view[taken:]

    def _begin_box(self, begin: int, kind: str, header: int, size: int) -> None:
        if not self._boxes and kind not in _FIRST_KINDS:
            raise BoxError(f"begins with {kind!r}")
        limit = {"moov": LARGEST_MOVIE_BYTES, "moof": LARGEST_FRAGMENT_BYTES}.get(kind)
        if limit is not None and not 0 < size <= limit:
            raise BoxError(f"a {kind} of {size:,} bytes")
        self._boxes += 1
        keeps = limit is not None
        if kind == "mdat" and self._fragment is not None:
            keeps = self._payload and 0 < size <= LARGEST_PAYLOAD_BYTES
        elif kind == "mdat" and header == LONG_HEADER_BYTES and not self._chunks and not self._is_wrapped:
            # So a finished recording begins: the boxes that it grew by follow inside.
            self._is_wrapped, self._front = True, begin
            self._ledger.range(begin + header, begin + size)
            self._pending.clear()
            return
        elif kind == "ftyp" and self._is_wrapped and not self._chunks:
            self._origin = begin
        elif kind == "free" and size == LONG_HEADER_BYTES and self._front is None and not self._ledger.tracks:
            self._front = begin
        kept = bytearray(self._pending) if keeps else None
        self._pending.clear()
        self._open = _Open(kind, begin, header, begin + size if size else _TO_THE_END, kept)
        if self._open.end == self.at:
            self._close_box(self._open)

    def _close_box(self, box: _Open) -> None:
        self._open = None
        try:
            if box.kind == "moov" and box.kept is not None:
                self._take_movie(read_movie(bytes(box.kept), box.offset))
            elif box.kind == "moof" and box.kept is not None:
                self._take_fragment(bytes(box.kept), box.offset)
            elif box.kind == "mdat":
                self._take_data(box)
        except BoxError as error:
            self._ledger.problem(ProblemKind.MALFORMED_BOX, box.offset, str(error))

    def _drop_fragment(self) -> None:
        if self._fragment is not None:
            self._ledger.problem(ProblemKind.CUT_BOX, self._fragment[0], "a moof has no mdat behind it")
            self._fragment = None

    def _take_movie(self, movie: MovieEvent) -> None:
        self._drop_fragment()
        self._ledger.events.append(movie)
        if self._chunks and movie.samples and not movie.fragmented:
            self._is_finished = self._ledger.agrees(movie) and self._is_wrapped
            return
        self._ledger.movie(movie)
        if movie.fragmented:
            self._usable_end = movie.end
        else:
            self._is_finished = True

    def _take_fragment(self, data: bytes, offset: int) -> None:
        self._drop_fragment()
        ledger = self._ledger
        fragment = read_fragment(data, offset, ledger.tracks, ledger.ends, self._origin)
        for number in fragment.unknown:
            ledger.problem(ProblemKind.UNKNOWN_TRACK, offset, f"no moov has a track {number}", number)
        if self._number is not None and fragment.number > self._number + 1:
            detail = f"fragment {fragment.number:,} comes behind {self._number:,}"
            ledger.problem(ProblemKind.MISSING_CHUNKS, offset, detail)
        self._number = fragment.number
        self._fragment = offset, fragment

    def _take_data(self, box: _Open) -> None:
        begin = box.offset + box.header
        if self._fragment is None:
            self._ledger.range(begin, box.end)
            return
        (offset, fragment), self._fragment = self._fragment, None
        samples = []
        for one in fragment.samples:
            if begin <= one.offset and one.offset + one.size <= box.end:
                self._ledger.sample(one)
                samples.append(one)
            else:
                detail = "a sample lies outside the mdat behind its moof"
                self._ledger.problem(ProblemKind.SAMPLE_OUTSIDE, offset, detail, one.track)
        payload = b"" if box.kept is None else bytes(memoryview(box.kept)[box.header :])
        self._chunks += 1
        self._usable_end = box.end
        self._ledger.events.append(ChunkEvent(offset, box.end, tuple(samples), begin, payload))

    def _seek(self, view: memoryview) -> memoryview:
        """Goes on to the next ``moof``, by the box that each begins with."""
        pending = self._pending
        pending += view
        self.at += len(view)
        found = pending.find(_FRAGMENT_HEAD) if self._boxes else -1
        while found >= 0:
            head = found - HEADER_BYTES
            if head >= 0 and pending[head + 4 : found] == b"moof":
                rest = bytes(pending[head:])
                pending.clear()
                self.at -= len(rest)
                self._lost = False
                return memoryview(rest)
            found = pending.find(_FRAGMENT_HEAD, found + 1)
        del pending[: max(0, len(pending) - len(_FRAGMENT_HEAD) - HEADER_BYTES)]
        return view[len(view) :]
