"""``rk.export``: a recording, or a clip of it, into another container, unit by unit and without encoding."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from ..container import Container
from ..containers import by_suffix
from ..encode.coded import Coded
from ..errors import MediaError, OutputNameError, SettingsError
from ..names import AUDIO_ALONE, is_partial
from ..plots.cards import Tone, card
from ..system import System
from ..telemetry.words import size_text, span_text, time_text
from ..ticks import TICKS_PER_SECOND
from ..values import PathLike
from ..writer.whole import WholeFile
from .clip import Plan
from .laying import Laying
from .marking import carry_marks, mark_at
from .sounding import sounding
from .transport_units import NotSimpleError
from .units import Source

log = logging.getLogger("recordkit")

_EVER = 1 << 62
_LATE_STREAM = TICKS_PER_SECOND
_NEARLY = TICKS_PER_SECOND // 10
_START = 2 * TICKS_PER_SECOND
"""The time of the first unit of a transport stream: its clock runs before it."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export made: ``path``, ``bytes``, how many coded ``units``, ``encoded`` of them anew.

    ``begins_s`` is what is shown first, in seconds of the source, ``duration_s`` how long the copy lasts.
    """

    path: Path
    bytes: int
    units: int
    encoded: int
    begins_s: float
    duration_s: float

    def _repr_html_(self) -> str:
        begins = f", from {span_text(self.begins_s)} of the source on" if self.begins_s > 0 else ""
        anew = f", {self.encoded:,} frames of them encoded anew" if self.encoded else ""
        rows = [
            ("path", str(self.path)),
            ("length", f"{time_text(self.duration_s)}, {size_text(self.bytes)}{begins}"),
            ("units", f"{self.units:,}{anew}"),
        ]
        return card(self.path.name, "exported", Tone.GOOD, rows)


def export(
    source: Any,  # noqa: ANN401 - whatever has a path
    target: PathLike,
    *,
    start: float | str | None = None,
    end: float | str | None = None,
    exact: bool = False,
) -> Exported:
    """Copy ``source`` into ``target``, whose suffix says what it is: ``.ts`` or ``.mp4``, or audio alone.

    That is ``.m4a``, ``.wav``, ``.mp3``, ``.ogg`` or ``.opus``; audio whose coding has no place there is encoded
    anew.

    ``source`` is the path of a transport stream or an MP4, ours or not, a Recording or a Session; of one that is
    being written what is there by now. All units are copied as they are, and compared with the source once they
    are written; only then the file gets its name. Its marks come along. ``start`` and ``end`` cut a clip: seconds
    of media, or the name of a mark. It has all from the keyframe before ``start`` on, and an MP4 shows it exactly
    from ``start`` to ``end``; a transport stream cannot say that, and begins with that keyframe. With ``exact``
    the frames from ``start`` to the next keyframe are encoded anew.

    Raises SourceError for a source that cannot be read, SettingsError for a clip that reaches beyond its end,
    MediaError for a coding that the container has no place for, and OutputNameError, OutputExistsError,
    OutputBusyError, OutputAccessError, DiskSpaceError or WriteError for the target; nothing is left behind then.
    """
    path, container = _target(target)
    is_audio = path.suffix in AUDIO_ALONE
    media = Source(source, audio_alone=is_audio)
    try:
        begin_s = mark_at(media.path, "start", start) if start is not None else 0.0
        end_s = mark_at(media.path, "end", end) if end is not None else None
        if end_s is not None and end_s <= begin_s:
            raise SettingsError("end", end, f"give a time behind the start, {begin_s:.3f} s")
        is_clip = start is not None or end is not None
        while True:
            try:
                plan = None
                if is_clip:
                    hides = bool(container.holds) or container.packager(False).show(0, 0)
                    plan = Plan(media.units(), begin_s, end_s, exact=exact, hides=hides, audio_alone=is_audio)
                return _copied(media, path, container, plan, (start, end))
            except NotSimpleError as error:
                media.fall_back(error)
    finally:
        media.close()


def _target(target: PathLike) -> tuple[Path, Container]:
    path = Path(target).expanduser()
    container = by_suffix(path)
    if is_partial(path.name):
        raise OutputNameError(
            path, f".recording{container.suffix} is kept for unfinished recordings: choose another name"
        )
    return path, container


def _copied(
    media: Source, path: Path, container: Container, plan: Plan | None, given: tuple[object, object]
) -> Exported:
    if plan is not None and plan.is_empty:
        raise SettingsError("start", given[0], f"{media.path.name} ends at {_ends(plan.newest - plan.zero)}")
    units = media.units()
    coded = iter(units) if plan is None else plan.clipped(units)
    if path.suffix in AUDIO_ALONE:
        coded = _first_audio(coded)
    if container.holds:
        begin, end = (units.zero, None) if plan is None else (plan.begin, plan.end)
        coded = sounding(coded, container.holds, AUDIO_ALONE[path.suffix], begin, end)
    with WholeFile(path, System()) as file:
        laying = Laying(container, file)
        beginning = _beginning(coded, 1 if path.suffix in AUDIO_ALONE else units.count)
        laying.declare(beginning)
        laying.lay(chain(beginning, coded))
        if not laying.essences:
            raise MediaError(f"{media.path.name} has nothing that goes into {path.name}")
        shown = units.shown if plan is None else (plan.begin, plan.end)
        begins, ends = shown or (laying.begins, laying.ends)
        opens = laying.begins
        if plan is not None and given[1] is not None and laying.ends < ends - _NEARLY:
            raise SettingsError("end", given[1], f"{media.path.name} ends at {_ends(laying.ends - plan.zero)}")
        if shown is not None and laying.packager.show(begins + laying.shift, ends + laying.shift):
            opens = begins
        laying.finish()
        laying.verify()
        file.commit()
    count = sum(map(len, laying.essences.values()))
    zero, encoded = (begins, 0) if plan is None else (plan.zero, plan.encoded)
    lasts = min(laying.ends, ends) - begins
    ends_s = (min(laying.ends, ends) - opens) / TICKS_PER_SECOND
    carry_marks(media.path, path, (zero - opens) / TICKS_PER_SECOND, ends_s)
    return Exported(path, file.size, count, encoded, (begins - zero) / TICKS_PER_SECOND, lasts / TICKS_PER_SECOND)


def _beginning(coded: Iterator[Coded], count: int) -> list[Coded]:
    """The units until all streams have begun, so that the file can name them all at its beginning."""
    held: list[Coded] = []
    seen: set[int] = set()
    for one in coded:
        held.append(one)
        seen.add(one.unit.stream)
        if len(seen) == count or one.unit.dts - held[0].unit.dts > _LATE_STREAM:
            break
    return held


def _first_audio(coded: Iterator[Coded]) -> Iterator[Coded]:
    """The units of the first stream of audio, and no others."""
    wanted = None
    for one in coded:
        if wanted is None and not one.format.codec.is_video:
            wanted = one.unit.stream
        if one.unit.stream == wanted:
            yield one


def _ends(ticks: int) -> str:
    return f"{ticks / TICKS_PER_SECOND:.3f} s"
