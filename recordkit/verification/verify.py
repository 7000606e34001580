"""Says whether a file is whole, and what is in it."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SourceError
from ..mpegts.report import ProblemKind
from ..names import SUFFIXES
from ..plots.cards import Tone, card
from ..signatures import named
from ..system import hold_shared
from ..telemetry.words import codec_text, count_text, size_text, time_text
from ..ticks import TICKS_PER_SECOND
from ..values import PathLike
from ..values import path as read_path
from .check import CHUNK_BYTES, Check, Problem, duration
from .facts import StreamFacts
from .room import Room

if TYPE_CHECKING:
    from .chunk_check import ChunkCheck
    from .sound_check import SoundCheck, SoundFacts

_SMALLEST_BYTES = 1 << 16
_HEAD_BYTES = 16
_MOST_SHOWN = 10
"""Problems that a card lists."""

MP4_SUFFIX = SUFFIXES[1]

Progress = Callable[[int, int], None]
"""Called with how much is done, and of how much."""


@dataclass(frozen=True, slots=True)
class FrameSize:
    """The size of the frames in pixels, from ``from_s`` seconds into the stream on."""

    width: int
    height: int
    from_s: float


@dataclass(frozen=True, slots=True)
class StreamVerification:
    """One elementary stream.

    ``access_units`` are counted in the elementary stream itself (in PES packets if its coding
    is not known here), ``frames`` and ``keyframes`` for video only. ``duration_s`` reaches from
    the first PTS to the end of the last unit; ``bit_rate`` is bit/s of elementary stream over it,
    ``frame_rate`` frames a second without the gaps. ``gaps`` are discontinuities that the file
    itself flags, ``gaps_s`` how long they last together. ``sample_rate`` (Hz) and ``channels`` are what the
    frames' own headers say: of HE-AAC those of its core, to which a decoder may add. ``decoded`` counts decoded
    frames or samples a channel, and is None if nothing was decoded.
    """

    pid: int
    codec: str
    language: str | None
    access_units: int
    frames: int
    keyframes: int
    duration_s: float
    bytes: int
    bit_rate: float
    frame_rate: float | None
    sizes: tuple[FrameSize, ...]
    sample_rate: int | None
    channels: int | None
    gaps: int
    gaps_s: float
    decoded: int | None = None

    @property
    def is_video(self) -> bool:
        """Whether it has frames."""
        return self.frames > 0 or bool(self.sizes)

    @property
    def pictures(self) -> int:
        """What ``frames`` was called at first."""
        warnings.warn("StreamVerification.pictures is called frames now", DeprecationWarning, stacklevel=2)
        return self.frames


@dataclass(frozen=True, slots=True)
class ProgramVerification:
    """One program, which has a clock of its own.

    ``pids`` are its streams, ``bytes`` what they hold together, ``bit_rate`` bit/s of that over ``duration_s``.
    """

    number: int
    pids: tuple[int, ...]
    duration_s: float
    bytes: int
    bit_rate: float


@dataclass(frozen=True, slots=True)
class Verification:
    """What is in a file, and what is wrong with it. ``ok`` is True if nothing is.

    ``notes`` are what is no fault and yet worth to know: units that stand in the file after their
    decoding time, as audio does that came late or filled a gap, and streams that begin late.
    ``duration_s`` is that of the longest of the ``programs``.
    """

    path: str
    ok: bool
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    streams: tuple[StreamVerification, ...]
    duration_s: float
    bytes: int
    bit_rate: float
    packet_bytes: int
    decoded: bool
    programs: tuple[ProgramVerification, ...] = ()

    def __repr__(self) -> str:
        streams = self._streams_text or "no streams"
        kinds = ", ".join(one.kind for one in self.problems[:3]) + (", …" if len(self.problems) > 3 else "")
        verdict = "ok" if self.ok else f"{kinds_text(len(self.problems))}: {kinds}"
        figures = f"{time_text(self.duration_s)}, {size_text(self.bytes)}"
        return f"<Verification {self.path}, {streams}, {figures}, {verdict}>"

    @property
    def _streams_text(self) -> str:
        return " + ".join(codec_text(one.codec) for one in self.streams)

    def _repr_html_(self) -> str:
        verdict = "valid" if self.ok else kinds_text(len(self.problems))
        rows = [
            ("streams", self._streams_text or "none"),
            ("length", f"{time_text(self.duration_s)}, {size_text(self.bytes)}, {self.bit_rate / 1e6:.2f} Mbit/s"),
            ("read", "every frame was decoded" if self.decoded else "headers and times; nothing was decoded"),
            *(("problem", _problem_text(one)) for one in self.problems[:_MOST_SHOWN]),
            *(("note", _problem_text(one)) for one in self.notes[:_MOST_SHOWN]),
        ]
        return card(Path(self.path).name, verdict, Tone.GOOD if self.ok else Tone.BAD, rows)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values that JSON can carry."""
        return asdict(self)


def kinds_text(count: int) -> str:
    """How many kinds of problems there are, in words."""
    return count_text(count, "kind of problem", "kinds of problems")


def _problem_text(problem: Problem) -> str:
    times = f" ({problem.count:,} times)" if problem.count > 1 else ""
    return f"{problem.kind}{times}: {problem.detail}"


@named
def verify(path: PathLike, *, decode: bool = False, on_progress: Progress | None = None) -> Verification:
    """Reads a whole file and says whether it is a valid transport stream or MP4, or whole audio alone.

    ``decode`` decodes every frame as well, which takes much longer and finds damage
    inside coded units. ``on_progress`` is called with (done, total) in bytes, decoding included. Memory
    stays the same at any size. A file that is damaged, empty or something else entirely has a
    result that is not ``ok``.

    Raises SourceError if the file cannot be opened or read.
    """
    return verify_in(Room(), read_path("path", path), decode=decode, on_progress=on_progress)


def verify_in(room: Room, path: Path, *, decode: bool = False, on_progress: Progress | None = None) -> Verification:
    """The same as ``verify``, read into ``room``."""
    check = check_for(path)
    total = _read(path, check, room, on_progress, passes=2 if decode else 1)
    facts, problems = check.facts, [_named(path, one) for one in check.problems]
    decoded: dict[int, int] = {}
    if decode and facts:
        from .decoding import decode_all

        def advance(done: int) -> None:
            if on_progress is not None:
                on_progress(total + min(done, total), 2 * total)

        outcome = decode_all(path, advance, check.demuxer, check.stream_name)
        decoded = outcome.decoded
        problems += [Problem(*found) for found in outcome.problems]
        problems += _undecoded(facts, decoded, outcome.interlaced, check.stream_name)
        if on_progress is not None:
            on_progress(2 * total, 2 * total)
    return _verification(str(path), check, problems, decoded if decode else None)


def verify_stored(name: str, size: int, read: Callable[[int, int], bytes]) -> Verification:
    """The same, without decoding, of ``size`` bytes that lie elsewhere.

    ``read`` returns those from one place to another. Raises SourceError for audio alone, and what ``read`` raises.
    """
    check = _check_of(read(0, _HEAD_BYTES), Path(name))
    if check is None:
        raise SourceError(name, "is audio alone: copy it to a file here to have it checked")
    for begin in range(0, size, CHUNK_BYTES):
        check.feed(read(begin, min(begin + CHUNK_BYTES, size)))
    check.close(lambda at, count: read(at, at + count))
    return _verification(name, check, list(check.problems), None)


def verdict(path: Path, check: Check | ChunkCheck) -> Verification:
    """What ``check``, which has read all of ``path`` and is closed, has found."""
    return _verification(str(path), check, [_named(path, one) for one in check.problems], None)


def _verification(
    path: str,
    check: Check | ChunkCheck | SoundCheck,
    problems: Sequence[Problem],
    decoded: Mapping[int, int] | None,
) -> Verification:
    """What ``check`` has found; ``decoded`` frames or samples by PID, None if nothing was decoded."""
    facts = check.facts.items()
    streams = tuple(_stream(one, None if decoded is None else decoded.get(pid, 0)) for pid, one in facts)
    duration_s = check.duration_s
    return Verification(
        path=path,
        ok=not problems,
        problems=tuple(problems),
        notes=tuple(check.notes),
        streams=streams,
        duration_s=duration_s,
        bytes=check.size,
        bit_rate=check.size * 8 / duration_s if duration_s else 0.0,
        packet_bytes=check.packet_bytes,
        decoded=decoded is not None,
        programs=tuple(_program(number, its) for number, its in check.programs.items()),
    )


def _named(path: Path, problem: Problem) -> Problem:
    """``problem``; that the file is something else says what it is."""
    if problem.kind != ProblemKind.NOT_TRANSPORT_STREAM or not path.stat().st_size:
        return problem
    from ..demux import open_media  # which loads PyAV

    try:
        with open_media(path) as container:
            kind = container.format.long_name
    except (SourceError, OSError):
        return problem
    detail = f"{problem.detail}: it is {kind}; recordkit record FILE OUTPUT makes a recording of it"
    return replace(problem, detail=detail)


def check_for(path: Path) -> Check | ChunkCheck | SoundCheck:
    """What reads a file, by what it begins with, and by its name where that says nothing."""
    try:
        with path.open("rb") if path.is_file() else open(os.devnull, "rb") as file:  # noqa: PTH123
            head = file.read(_HEAD_BYTES)
    except OSError:
        head = b""  # whoever reads all of it says why that cannot be done
    found = _check_of(head, path)
    if found is None:
        from .sound_check import SoundCheck

        return SoundCheck(path)
    return found


def _check_of(head: bytes, path: Path) -> Check | ChunkCheck | None:
    """What reads a file that begins with ``head``; None if it is audio alone."""
    # The names of an MP4's boxes are letters, and one whose first box is of a gigabyte begins with a G, too.
    if head[:1] == b"G" and not head[4:8].isalpha():
        return Check()
    # For a transport stream none of this is loaded: that takes as long as to check 40 MB.
    from .chunk_check import ChunkCheck, begins_an_mp4
    from .sound_check import begins_audio

    if begins_audio(head):
        return None
    return ChunkCheck() if begins_an_mp4(head) or (path.suffix == MP4_SUFFIX and head[:1] != b"G") else Check()


def _program(number: int, its: Sequence[StreamFacts | SoundFacts]) -> ProgramVerification:
    duration_s, size = duration([one for one in its if isinstance(one, StreamFacts)]), sum(one.bytes for one in its)
    bit_rate = size * 8 / duration_s if duration_s else 0.0
    return ProgramVerification(number, tuple(one.pid for one in its), duration_s, size, bit_rate)


def _read(
    path: Path, check: Check | ChunkCheck | SoundCheck, room: Room, on_progress: Progress | None, passes: int
) -> int:
    done = 0
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a FIFO would wait, and a device may have no end
            advice = "is a folder: verify_all() checks all files in it"
            raise SourceError(str(path), advice if stat.S_ISDIR(status.st_mode) else "is not a regular file")
        with path.open("rb", buffering=0) as file:
            hold_shared(file.fileno())
            # Of a small file no more than it needs: to have pages of zeros made costs as much as to check them.
            memory = room(min(CHUNK_BYTES, max(status.st_size, _SMALLEST_BYTES)))
            while count := file.readinto(memory):
                check.feed(memory[:count])
                done += count
                if on_progress is not None:
                    on_progress(done, max(status.st_size, done) * passes)
            check.close(lambda at, size: os.pread(file.fileno(), size, at))
    except OSError as error:
        raise SourceError(str(path), f"cannot be read: {error.strerror or error}") from error
    return done


def _undecoded(
    facts: Mapping[int, StreamFacts | SoundFacts], decoded: dict[int, int], interlaced: frozenset[int], name: str
) -> list[Problem]:
    """Frames in the file that were not decoded; two fields of one interlaced frame do not count."""
    problems = []
    for pid, one in facts.items():
        missing = one.frames - decoded.get(pid, 0)
        if missing > 0 and pid not in interlaced:
            detail = f"{missing} of {one.frames} frames did not come out of the decoder ({name.format(pid)})"
            problems.append(Problem("frames not decoded", missing, None, detail))
    return problems


def _stream(one: StreamFacts | SoundFacts, decoded: int | None) -> StreamVerification:
    duration_s = one.duration / TICKS_PER_SECOND
    moving = one.duration - one.gap_duration
    return StreamVerification(
        pid=one.pid,
        codec=one.codec,
        language=one.language,
        access_units=one.access_units,
        frames=one.frames,
        keyframes=one.keyframes,
        duration_s=duration_s,
        bytes=one.bytes,
        bit_rate=one.bytes * 8 / duration_s if duration_s else 0.0,
        frame_rate=one.frames * TICKS_PER_SECOND / moving if one.frames and moving > 0 else None,
        sizes=tuple(FrameSize(width, height, from_s) for width, height, from_s in one.sizes),
        sample_rate=one.sample_rate or None,
        channels=one.channels or None,
        gaps=one.gaps,
        gaps_s=one.gap_duration / TICKS_PER_SECOND,
        decoded=decoded,
    )
