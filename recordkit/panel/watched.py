"""What the panel shows of a session, kept up as its records come: a redraw costs the same after a day."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path

from ..background.figures import Figures
from ..background.session import Session
from ..model import Event, EventKind, FlushRecord, Sample
from ..names import is_pattern
from ..plots.live import Drawn, LiveCharts
from ..telemetry.alerts import AlertSettings
from ..telemetry.words import size_text, time_text

DISK_SOON_FULL_S = 600
MOST_FILES = 200
MOST_WAITING = 65_536
"""Records waiting to be drawn, more than a session holds; the oldest are dropped first."""

Tile = tuple[str, str, bool]


@dataclass(frozen=True, slots=True)
class CommittedFile:
    """One of several files of a recording that has its final name; ``time_ns`` is when it got it."""

    path: Path
    bytes: int
    duration_s: float
    time_ns: int


class Watched:
    """Follows ``session`` until ``close``; ``update`` takes in what has come. One thread at a time."""

    def __init__(self, session: Session) -> None:
        self.address: str | None = None
        """The address at which a listening source can be reached."""
        self._session = session
        self._waiting: deque[FlushRecord | Sample | Event] = deque(maxlen=MOST_WAITING)
        self._charts = LiveCharts(AlertSettings().limits()["memory_bytes"].threshold)
        self._standing: dict[object, str] = {}
        self._full_in_s: float | None = None
        self.is_paused = False
        """Whether what comes is left out."""
        self.number = 1
        """Which file is in hand, counted from 1."""
        self.committed = 0
        """How many files have been committed."""
        self.files: deque[CommittedFile] = deque(maxlen=MOST_FILES)
        """The newest files that have been committed, oldest first; those that were deleted are not among them."""
        self.is_several = is_pattern(str(session.path))
        """Whether the recording has several files."""
        self._take_off = session.follow(self._waiting.append)

    def close(self) -> None:
        """Follow no more."""
        self._take_off()

    def update(self) -> tuple[Drawn, Drawn]:
        """Take in what has come since, and draw: the memory chart and the growth chart."""
        records: list[FlushRecord | Sample] = []
        while self._waiting:
            record = self._waiting.popleft()
            if isinstance(record, Event):
                self._take(record)
                continue
            records.append(record)
            if isinstance(record, Sample):
                self._full_in_s = record.full_in_s
        self._charts.add(records)
        return self._charts.draw()

    @property
    def alerts(self) -> list[str]:
        """What the alerts say that have been raised and not cleared."""
        return list(self._standing.values())

    @property
    def tiles(self) -> list[Tile]:
        """The newest figures: name, figure, whether it deserves a look."""
        figures = self._session.figures
        is_silent = self.is_paused and not self._session.has_ended
        return tiles(replace(figures, bit_rate=None) if is_silent else figures, self._full_in_s)

    def _take(self, event: Event) -> None:
        rule = event.fields.get("rule")
        if event.kind is EventKind.ALERT_RAISED:
            self._standing[rule] = str(event.fields.get("message"))
        elif event.kind is EventKind.ALERT_CLEARED:
            self._standing.pop(rule, None)
        elif event.kind is EventKind.LISTENING:
            self.address = str(event.fields.get("url"))
        elif event.kind in (EventKind.PAUSE, EventKind.RESUME):
            self.is_paused = event.kind is EventKind.PAUSE
        else:
            self._take_file(event)

    def _take_file(self, event: Event) -> None:
        fields = event.fields
        path = Path(str(fields.get("path")))
        if event.kind is EventKind.SEGMENT:
            self.number = max(self.number, int(fields.get("number") or 1))
        elif event.kind is EventKind.COMMIT:
            size, duration_s = int(fields.get("bytes") or 0), float(fields.get("duration_s") or 0.0)
            self.committed += 1
            self.files.append(CommittedFile(path, size, duration_s, event.time_ns))
        elif event.kind is EventKind.DELETED:
            for one in [one for one in self.files if one.path == path]:
                self.files.remove(one)


def tiles(figures: Figures, full_in_s: float | None) -> list[Tile]:
    """The tiles: name, figure, whether it deserves a look."""
    return [
        ("elapsed", time_text(figures.elapsed_s), False),
        ("on disk", size_text(figures.file_bytes), False),
        ("bit rate", "—" if figures.bit_rate is None else f"{figures.bit_rate / 1e6:.2f} Mbit/s", False),
        ("flushes", f"{figures.flush_count:,}", False),
        ("dropped", f"{figures.dropped_units:,}", figures.dropped_units > 0),
        ("at risk", size_text(figures.bytes_at_risk), False),
        ("memory", _size_or_dash(figures.rss_bytes), False),
        ("disk left", _size_or_dash(figures.free_bytes), full_in_s is not None and full_in_s < DISK_SOON_FULL_S),
    ]


def _size_or_dash(size: int | None) -> str:
    return "—" if size is None else size_text(size)
