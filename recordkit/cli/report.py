"""Figures for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ..printable import printable
from ..recorder.result import Recording
from ..sources.readback import Readback
from ..telemetry.watch import Watched, WatchedState
from ..telemetry.words import codec_text, count_text, size_text, times_text
from ..verification.check import Problem
from ..verification.verify import ProgramVerification, StreamVerification, Verification, kinds_text

T = TypeVar("T")

MOST_ROWS = 24
_WIDE = 100
_STATE_COLUMNS = 12
_STATE_STYLES = {
    WatchedState.RECORDING: ("●", "bold red"),
    WatchedState.STALE: ("◌", "yellow"),
    WatchedState.FINISHED: ("✔", "green"),
    WatchedState.UNREADABLE: ("?", "dim"),
}


def time_text(seconds: float) -> str:
    """Seconds as ``00:00:10.03``."""
    hundredths = round(seconds * 100)
    minutes, hundredths = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{hundredths // 100:02}.{hundredths % 100:02}"


def flush_table(recording: Recording) -> Table:
    """One row per flush; of a long recording only the last ones."""
    records = recording.flush_records[-MOST_ROWS:]
    hidden = len(recording.flush_records) - len(records)
    table = Table(box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False, padding=(0, 1, 0, 0))
    if hidden:
        table.title = f"the last {len(records)} of {len(recording.flush_records)} flushes"
    for name in ("flush", "at", "size", "reason", "media", "write", "sync", "file", "memory"):
        table.add_column(name, justify="left" if name == "reason" else "right", no_wrap=True)
    for record in records:
        table.add_row(
            str(record.index + 1),
            f"{record.elapsed_s:.2f} s",
            size_text(record.flush_bytes),
            record.reason,
            f"{record.media_s:.2f} s",
            f"{record.write_s * 1000:.1f} ms",
            f"{record.sync_s * 1000:.1f} ms",
            size_text(record.file_bytes),
            _known(record.rss_bytes, size_text),
        )
    return table


def verification_report(found: Verification) -> Group:
    """What is in a file, stream by stream, then the verdict and what is wrong."""
    head = Text.assemble(
        (found.path, "bold"),
        f"   {time_text(found.duration_s)}, {size_text(found.bytes)}, {rate_text(found.bit_rate)}",
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    is_mp4 = found.packet_bytes == 1
    for name in ("track" if is_mp4 else "PID", "codec", "what", "units", "duration", "bit rate", "gaps"):
        table.add_column(name, justify="left" if name in ("codec", "what") else "right")
    for stream in found.streams:
        table.add_row(
            f"{stream.pid}" if is_mp4 else f"0x{stream.pid:04X}",
            codec_text(stream.codec),
            _stream_text(stream),
            f"{stream.access_units:,}",
            f"{stream.duration_s:.3f} s",
            rate_text(stream.bit_rate),
            f"{stream.gaps} ({stream.gaps_s:.2f} s)" if stream.gaps else "none",
        )
    lines: list[Text | Table] = [head]
    if found.streams:
        lines.append(table)
    if len(found.programs) > 1:
        lines += [_program_text(one) for one in found.programs]
    lines += [_problem_text(problem, "problem", "red") for problem in found.problems]
    lines += [_problem_text(note, "note", "yellow") for note in found.notes]
    looked = "everything decoded" if found.decoded else "not decoded; use --decode to check that too"
    if found.ok:
        lines.append(Text.assemble(("✔ no problems found", "bold green"), f" ({looked})"))
    else:
        lines.append(Text.assemble((f"✘ {kinds_text(len(found.problems))}", "bold red"), f" ({looked})"))
    return Group(*lines)


def readback_text(back: Readback) -> Text:
    """What was read back of the synthetic source's marks."""
    sync = "not found" if back.sync_worst_s is None else f"at most {abs(back.sync_worst_s) * 1000:.1f} ms apart"
    return Text(
        f"synthetic source: {count_text(back.frames, 'frame')}, {back.lost} lost, {back.repeated} repeated, "
        f"{back.out_of_order} out of order, {back.unreadable} unreadable; {back.audio_s:.2f} s of audio; "
        f"flash and beep {sync}"
    )


def watch_table(found: Sequence[Watched], width: int, most_rows: int | None = None) -> Group:
    """The recordings of a folder, their alerts, and a line of sums, for a terminal of ``width`` columns.

    ``most_rows`` bounds the lines of recordings and alerts together; what is left out is counted.
    """
    alerts = [(one.name, alert.message) for one in found for alert in one.alerts]
    shown_alerts = alerts if most_rows is None else alerts[: max(1, most_rows // 3)]
    shown = found if most_rows is None else found[: max(1, most_rows - len(shown_alerts))]
    parts: list[Table | Text] = [_watched_rows(shown, width)] if shown else []
    for name, message in shown_alerts:
        line = Text.assemble(("▲ ", "bold yellow"), (printable(name), "bold"), "  ", printable(message))
        line.truncate(width, overflow="ellipsis")
        parts.append(line)
    if len(shown) < len(found) or len(shown_alerts) < len(alerts):
        more = (
            count_text(len(found) - len(shown), "recording"),
            count_text(len(alerts) - len(shown_alerts), "alert"),
        )
        hidden = f"… and {' and '.join(more)} more"
        parts.append(Text(hidden, style="dim"))
    parts.append(_watch_sums(found))
    return Group(*parts)


def _watched_rows(shown: Sequence[Watched], width: int) -> Table:
    wide = width >= _WIDE
    columns = {"elapsed": 8, "size": 8, "bit rate": 11, "flushed": 7, "flushes": 7, "memory": 8, "drops": 5}
    narrow = ("flushes", "drops")
    columns = {name: least for name, least in columns.items() if wide or name not in narrow}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, int(wide), 0, 0))
    # Where it is narrow the names give way, not the figures.
    left = width - _STATE_COLUMNS - sum(columns.values()) - (len(columns) + 2) * (1 + wide) - 1
    table.add_column("recording", no_wrap=True, overflow="ellipsis", min_width=8, max_width=max(9, left))
    table.add_column("state", no_wrap=True, min_width=_STATE_COLUMNS)
    for name, least in columns.items():
        table.add_column(name, justify="right", no_wrap=True, min_width=least)
    for one in shown:
        sign, style = _STATE_STYLES[one.state]
        figures = {
            "elapsed": _known(one.elapsed_s, lambda seconds: time_text(seconds)[:-3]),
            "size": _known(one.file_bytes, size_text),
            "bit rate": _known(one.bit_rate, rate_text),
            "flushed": _known(one.last_flush_s, age_text),
            "flushes": _known(one.flushes, lambda count: f"{count:,}"),
            "memory": _known(one.rss_bytes, size_text),
            "drops": _known(one.dropped_units, lambda count: f"{count:,}"),
        }
        state = Text(f"{sign} {one.state}", style)
        title = Text(printable(one.name), "bold yellow" if one.alerts else "bold")
        table.add_row(title, state, *(text for name, text in figures.items() if name in columns))
    return table


def _watch_sums(found: Sequence[Watched]) -> Text:
    counts = Counter(one.state for one in found)
    words = [f"{counts[state]} {state}" for state in WatchedState if counts[state]] or ["no recordings"]
    free = next((one.free_bytes for one in found if one.free_bytes is not None), None)
    full = min((one.full_in_s for one in found if one.full_in_s is not None), default=None)
    if free is not None:
        words.append(f"disk {size_text(free)} free" + (f", full in {age_text(full)}" if full is not None else ""))
    return Text("   ".join(words), style="dim")


def age_text(seconds: float) -> str:
    """A length of time in one unit: ``1.4 s``, ``12 min``, ``3.5 h``, ``90 d``."""
    for size, unit, most in ((1, "s", 100), (60, "min", 100), (3600, "h", 72)):
        if seconds / size < most:
            return f"{seconds / size:.1f} {unit}" if seconds / size < 10 else f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:,.0f} d"


def _known(value: T | None, words: Callable[[T], str]) -> str:
    return "-" if value is None else words(value)


def rate_text(bit_rate: float) -> str:
    """Bits a second in words: ``4.2 Mbit/s``."""
    return f"{bit_rate / 1e6:.2f} Mbit/s" if bit_rate >= 1e6 else f"{bit_rate / 1e3:.0f} kbit/s"


def _stream_text(stream: StreamVerification) -> str:
    if stream.is_video:
        sizes = ", ".join(f"{size.width}x{size.height}" for size in stream.sizes[:4])
        more = f" and {len(stream.sizes) - 4} more" if len(stream.sizes) > 4 else ""
        rate = "" if stream.frame_rate is None else f", {round(stream.frame_rate, 2):g} fps"
        return f"{sizes}{more}{rate}, {count_text(stream.keyframes, 'keyframe')}"
    parts = [f"{stream.sample_rate:,} Hz" if stream.sample_rate else ""]
    parts.append(count_text(stream.channels, "channel") if stream.channels else "")
    parts.append(stream.language or "")
    return ", ".join(part for part in parts if part)


def _program_text(program: ProgramVerification) -> Text:
    pids = ", ".join(f"0x{pid:04X}" for pid in program.pids) or "no streams"
    length, rate = time_text(program.duration_s), rate_text(program.bit_rate)
    return Text(f"program {program.number}: {length}, {rate}   {pids}")


def _problem_text(problem: Problem, word: str, colour: str) -> Text:
    place = "" if problem.offset is None else f", first at byte {problem.offset:,}"
    return Text.assemble(
        (f"{word} ", colour), (problem.kind, "bold"), f", {times_text(problem.count)}{place}: {problem.detail}"
    )
