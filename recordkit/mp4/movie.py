"""The ``moov`` box (ISO/IEC 14496-12, 8.2): in front of fragments, and with all samples at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..container import Finish
from ..ticks import nearest
from .boxes import box, code, full_box
from .entries import Entry, description_box
from .samples import Lazy, SampleTable, lazy_box

MOVIE_RATE = 90_000
"""The time scale of the movie: ticks."""
KEYFRAME_FLAGS, OTHER_FLAGS = 0x0200_0000, 0x0101_0000
"""sample_flags (8.8.3.1): depends on no other; depends on others and is no sync sample."""
BREAK_FLAG = 1
"""In sample_flags of a sample that breaks: a sample_degradation_priority, which no coding here gives a meaning."""
FTYP = box("ftyp", b"isom", (512).to_bytes(4), b"isom", b"iso6", b"mp41")
FRONT = FTYP + box("free", bytes(8))
"""How a recording begins: the ``free`` box becomes the head of the ``mdat`` around all of it."""
_SHOWN = 7
"""track_enabled, track_in_movie and track_in_preview (8.3.2)."""
_UNDETERMINED = "und"
_WHOLE = 1 << 16
_EVER = 1 << 62


@dataclass(frozen=True, slots=True)
class TrackHead:
    """What a ``trak`` says beside its samples; ``priming`` in samples of the track's ``rate``."""

    number: int
    is_video: bool
    rate: int
    entries: Sequence[Entry]
    language: str | None = None
    usual_duration: int = 0
    priming: int = 0


def scaled(value: int, rate: int, to: int) -> int:
    """``value`` in units of 1/``rate`` s as units of 1/``to`` s, rounded."""
    return value if rate == to else nearest(value * to, rate)


def first_shown(track: TrackHead, origin: int) -> int:
    """The media time of a track's fragments that is shown at 0, where those of video show the tick ``origin``.

    Of audio only its priming lies before that: libavformat leaves out as many samples as the edit list of a
    fragmented file passes over, wherever the first fragment begins (see findings/).
    """
    shown = scaled(origin, MOVIE_RATE, track.rate)
    return shown if track.is_video else min(shown, track.priming)


def fragmented_movie(tracks: Sequence[TrackHead], origin: int, spare: Sequence[int] = ()) -> bytes:
    """The movie in front of fragments; ``origin`` is the tick that is shown first.

    ``spare`` are the numbers of tracks that may follow: FFmpeg heeds the first movie alone, passes over
    the fragments of a track that is only announced, and reads nothing at all of a file with others.
    """
    parts = [full_box("mvhd", timescale=MOVIE_RATE)]
    for track in tracks:
        edit = 0, first_shown(track, origin), _WHOLE
        made = _track(track, 0, 0, [edit] if edit[1] else [], SampleTable())
        parts.append(b"".join(made.pieces()))
    extends = (
        full_box(
            "trex",
            track_id=track.number,
            duration=track.usual_duration,
            sample_flags=OTHER_FLAGS if track.is_video else KEYFRAME_FLAGS,
        )
        for track in tracks
    )
    announced = (full_box("trex", track_id=number) for number in spare)
    return box("moov", *parts, box("mvex", *extends, *announced))


def whole_movie(tracks: Sequence[tuple[TrackHead, SampleTable]], shown: tuple[int, int] | None = None) -> Lazy:
    """The movie of all samples. What is shown first, primings left out, is shown at zero.

    Of ``shown``, two ticks, only what lies between is shown. Tracks without a sample there are left out: some
    players take them for a fault.
    """
    first, last = shown or (-_EVER, _EVER)
    used = []
    for track, table in tracks:
        begin, end = max(first, _heard(track, table)), min(last, _ended(track, table))
        if len(table) and (begin < end or shown is None):
            used.append((track, table, begin, end))
    origin = min((begin for _, _, begin, _ in used), default=0)
    made, longest = [], 0
    for track, table, begin, end in used:
        begins, lasts = begin - origin, max(0, end - begin)
        heard = table.least_shown + track.priming
        skipped = (heard if begin > first else scaled(begin, MOVIE_RATE, track.rate)) - table.first_time
        edits = [(begins, -1, _WHOLE)] if begins else []
        edits.append((lasts, skipped, _WHOLE))
        longest = max(longest, begins + lasts)
        made.append(_track(track, begins + lasts, table.duration, edits, table))
    version = int(longest > 0xFFFF_FFFF)
    return lazy_box("moov", full_box("mvhd", version=version, timescale=MOVIE_RATE, duration=longest), *made)


def finished(
    tracks: Sequence[tuple[TrackHead, SampleTable]],
    file_bytes: int,
    front: int = len(FTYP),
    shown: tuple[int, int] | None = None,
) -> Finish:
    """What makes fragments of ``file_bytes`` a plain MP4; the ``free`` box of 16 bytes lies at ``front``."""
    size = (file_bytes - front).to_bytes(8)
    return Finish(whole_movie(tracks, shown).pieces(), ((front, b"\0\0\0\1mdat" + size),))


def keyframe_index(tracks: Sequence[tuple[TrackHead, SampleTable]], head_bytes: int) -> bytes:
    """The ``mfra`` of fragments (8.8.9), whose samples lie ``head_bytes`` behind their ``moof``."""
    indices = []
    for track, table in tracks:
        if track.is_video and len(table):
            rows = [(time, offset - head_bytes, 1, 1, 1) for time, offset in table.keyframes()]
            indices.append(full_box("tfra", version=1, rows=rows, track_id=track.number))
    size = 8 + sum(map(len, indices)) + 16
    return box("mfra", *indices, full_box("mfro", parent_bytes=size))


def _heard(track: TrackHead, table: SampleTable) -> int:
    """The tick at which a track is first seen or heard."""
    return scaled(table.least_shown + track.priming, track.rate, MOVIE_RATE)


def _ended(track: TrackHead, table: SampleTable) -> int:
    return scaled(table.end, track.rate, MOVIE_RATE)


def _track(
    track: TrackHead, lasts: int, duration: int, edits: Sequence[tuple[int, int, int]], table: SampleTable
) -> Lazy:
    entry = track.entries[-1]
    head = full_box(
        "tkhd",
        version=int(lasts > 0xFFFF_FFFF),
        flags=_SHOWN,
        track_id=track.number,
        duration=lasts,
        alternate_group=0 if track.is_video else 1,
        volume=0 if track.is_video else 0x100,
        width=entry.width << 16,
        height=entry.height << 16,
    )
    media_head = full_box(
        "mdhd",
        version=int(duration > 0xFFFF_FFFF),
        timescale=track.rate,
        duration=duration,
        language=_packed(track.language or _UNDETERMINED),
    )
    handler = full_box(
        "hdlr",
        b"VideoHandler\0" if track.is_video else b"SoundHandler\0",
        handler=code("vide" if track.is_video else "soun"),
    )
    inside = full_box("dref", full_box("url ", flags=1), count=1)
    information = lazy_box(
        "minf",
        full_box("vmhd", flags=1) if track.is_video else full_box("smhd"),
        box("dinf", inside),
        lazy_box("stbl", description_box(list(track.entries)), *table.boxes()),
    )
    media = lazy_box("mdia", media_head, handler, information)
    edit_list = [box("edts", full_box("elst", version=1, rows=edits))] if edits else []
    return lazy_box("trak", head, *edit_list, media)


def _packed(language: str) -> int:
    """ISO 639-2 in fifteen bits (8.4.2.3)."""
    first, second, third = (ord(letter) - 0x60 & 0x1F for letter in language.lower())
    return first << 10 | second << 5 | third
