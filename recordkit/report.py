"""Figures for the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from .recording import Recording
from .sources.readback import Readback
from .verification.verify import Problem, StreamVerification, Verification

MOST_ROWS = 24


def size_text(size: float) -> str:
    """A count of bytes in words, in units of 1,000: ``4.2 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def time_text(seconds: float) -> str:
    """Seconds as ``00:00:10.03``."""
    hundredths = round(seconds * 100)
    minutes, hundredths = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{hundredths // 100:02}.{hundredths % 100:02}"


def flush_table(recording: Recording) -> Table:
    """One row a flush; of a long recording the last ones."""
    records = recording.flush_records[-MOST_ROWS:]
    hidden = len(recording.flush_records) - len(records)
    table = Table(box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False, padding=(0, 1, 0, 0))
    if hidden:
        table.title = f"the last {len(records)} of {len(recording.flush_records)} flushes"
    for name in ("flush", "at", "size", "why", "media", "write", "sync", "file", "memory"):
        table.add_column(name, justify="left" if name == "why" else "right", no_wrap=True)
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
            size_text(record.rss_bytes),
        )
    return table


def verification_report(found: Verification) -> Group:
    """What is in a file, stream by stream, then the verdict and what is wrong."""
    head = Text.assemble(
        (found.path, "bold"),
        f"   {time_text(found.duration_s)}, {size_text(found.bytes)}, {rate_text(found.bit_rate)}",
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("PID", "codec", "what", "units", "duration", "bit rate", "gaps"):
        table.add_column(name, justify="left" if name in ("codec", "what") else "right")
    for stream in found.streams:
        table.add_row(
            f"0x{stream.pid:04X}",
            stream.codec,
            _stream_text(stream),
            f"{stream.access_units:,}",
            f"{stream.duration_s:.3f} s",
            rate_text(stream.bit_rate),
            f"{stream.gaps} ({stream.gaps_s:.2f} s)" if stream.gaps else "none",
        )
    lines: list[Text | Table] = [head]
    if found.streams:
        lines.append(table)
    lines += [_problem_text(problem, "problem", "red") for problem in found.problems]
    lines += [_problem_text(note, "note", "yellow") for note in found.notes]
    looked = "every unit decoded" if found.decoded else "not decoded: --decode looks inside the units too"
    if found.ok:
        lines.append(Text.assemble(("✔ nothing is wrong", "bold green"), f" ({looked})"))
    else:
        kinds = len(found.problems)
        lines.append(Text.assemble((f"✘ {kinds} kind{'s' * (kinds != 1)} of problem", "bold red"), f" ({looked})"))
    return Group(*lines)


def readback_text(back: Readback) -> Text:
    """What came back of the synthetic source's marks."""
    sync = "no marks" if back.sync_worst_s is None else f"{abs(back.sync_worst_s) * 1000:.1f} ms apart at the worst"
    return Text(
        f"synthetic source: {back.pictures} pictures, {back.lost} lost, {back.repeated} repeated, "
        f"{back.out_of_order} out of order, {back.unreadable} unreadable; {back.sound_s:.2f} s of sound; "
        f"flash and beep {sync}"
    )


def rate_text(bit_rate: float) -> str:
    """Bits a second in words: ``4.2 Mbit/s``."""
    return f"{bit_rate / 1e6:.2f} Mbit/s" if bit_rate >= 1e6 else f"{bit_rate / 1e3:.0f} kbit/s"


def _stream_text(stream: StreamVerification) -> str:
    if stream.is_video:
        sizes = ", ".join(f"{size.width}x{size.height}" for size in stream.sizes[:4])
        more = f" and {len(stream.sizes) - 4} more" if len(stream.sizes) > 4 else ""
        rate = "" if stream.frame_rate is None else f", {round(stream.frame_rate, 2):g} fps"
        return f"{sizes}{more}{rate}, {stream.keyframes} keyframes"
    parts = [f"{stream.sample_rate:,} Hz" if stream.sample_rate else ""]
    parts.append(f"{stream.channels} channel{'s' * (stream.channels != 1)}" if stream.channels else "")
    parts.append(stream.language or "")
    return ", ".join(part for part in parts if part)


def _problem_text(problem: Problem, word: str, colour: str) -> Text:
    place = "" if problem.offset is None else f", first at byte {problem.offset:,}"
    return Text.assemble(
        (f"{word} ", colour), (problem.kind, "bold"), f", {problem.count:,} times{place}: {problem.detail}"
    )
