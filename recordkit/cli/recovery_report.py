"""Unfinished recordings and recoveries, for the terminal."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..names import final_of
from ..printable import printable
from ..recovery.outcome import Cut, Outcome, Partial, Recovery
from ..telemetry.words import size_text, span_text
from .report import age_text, time_text

MOST_CUTS = 8
_WIDE = 100
_MARKS = {
    Outcome.RECOVERED: ("✔", "green"),
    Outcome.CLEANED: ("✔", "green"),
    Outcome.REPAIRED: ("✔", "green"),
    Outcome.IN_PART: ("▲", "yellow"),
    Outcome.REMOVED: ("✔", "green"),
    Outcome.RECORDING: ("●", "red"),
    Outcome.NOTHING: ("✘", "red"),
    Outcome.FAILED: ("✘", "red"),
}
_COPIES = (Outcome.REPAIRED, Outcome.IN_PART)
_SOURCES = {"file": "of the file", "slot": "of the recording, in the tail", "tail": "of the tail"}


def recovery_block(found: Recovery, asked: Path) -> Group:
    """The recovery of ``asked`` in full: where it is, what was kept, what was cut and why."""
    sign, style = _mark(found)
    head = Text.assemble(
        (f"{sign} ", f"bold {style}"),
        (printable(str(found.final_path or asked)), "bold"),
        (f"   {_outcome_word(found)}", style),
        "   dry run: nothing was changed" if found.dry_run else "",
        no_wrap=True,
        overflow="ignore",  # a path that is broken cannot be copied
    )
    rows = Table.grid(padding=(0, 2, 0, 0))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    if found.bytes:
        rows.add_row("kept", _kept(found))
    if not found.bytes or found.outcome is Outcome.IN_PART or found.added_bytes:
        rows.add_row("what" if found.bytes else "why", _message(found))
    for number, cut in enumerate(found.cuts[:MOST_CUTS]):
        rows.add_row("" if number else _cut_word(found), _cut(cut))
    if len(found.cuts) > MOST_CUTS:
        rows.add_row("", _more_cuts(found))
    if found.rejected_path is not None:
        rows.add_row("set aside", printable(str(found.rejected_path)))
    for problem in found.problems:
        rows.add_row(Text("problem", "yellow"), printable(problem))
    return Group(head, *([Padding(rows, (0, 0, 0, 2))] if rows.row_count else []))


def recovery_table(found: Sequence[Recovery], width: int) -> Group:
    """The recoveries of a folder, one row each; what is to be said of some of them; a line of sums."""
    if not found:
        return Group(Text.assemble(("✔ ", "bold green"), "no unfinished recordings here"))
    wide = width >= _WIDE
    columns = {"outcome": 13, "kept": 7, "length": 11, "from the tail": 13, "tail's length": 13, "cut": 7}
    if not wide:
        del columns["tail's length"]
    table = _table(columns, width)
    for one in found:
        sign, style = _mark(one)
        cells: dict[str, Text | str] = {
            "outcome": Text(f"{sign} {_outcome_word(one)}", style),
            "kept": size_text(one.bytes) if one.bytes else "-",
            "length": time_text(one.duration_s) if one.duration_s else "-",
            "from the tail": size_text(one.tail_bytes) if one.tail_bytes else "-",
            "tail's length": span_text(one.tail_s) if one.tail_bytes else "-",
            "cut": Text(size_text(one.cut_bytes), "yellow") if one.ok and one.cuts else "-",
        }
        table.add_row(Text(_title(one), "bold"), *(cells[name] for name in columns))
    return Group(table, *_notes((_title(one), _recovery_notes(one)) for one in found), *_sums(found, width))


def partials_table(found: Sequence[Partial], now_ns: int, width: int) -> Group:
    """What lies unfinished in a folder at ``now_ns`` (since the epoch), one row each; problems; a line of sums."""
    if not found:
        return Group(Text.assemble(("✔ ", "bold green"), "no unfinished recordings here"))
    columns = {"state": 13, "age": 6, "size": 7, "tail": 7, "flushed": 7, "recoverable": 11}
    table = _table(columns, width)
    for one in found:
        sign, state, style = _state(one)
        flushed = "-" if one.last_flush_ns is None else age_text(max(0.0, (now_ns - one.last_flush_ns) / 1e9))
        table.add_row(
            Text(printable(one.final_path.name), "bold"),
            Text(f"{sign} {state}", style),
            age_text(one.age_s) if one.age_s else "-",
            size_text(one.bytes),
            size_text(one.tail_bytes) if one.tail_bytes else "-",
            flushed,
            Text(size_text(one.recoverable_bytes), "bold") if one.recoverable_bytes else "-",
        )
    notes = _notes(
        (printable(one.final_path.name), [printable(part) for part in _problem(one).split("; ")])
        for one in found
        if one.problem is not None
    )
    dead = [one for one in found if not one.is_recording]
    usable = [one for one in dead if one.recoverable_bytes]
    words = [f"{len(usable):,} recoverable, {size_text(sum(one.recoverable_bytes for one in usable))}"]
    words = words if usable else []
    words += [f"{len(dead) - len(usable):,} with nothing to recover"] if len(dead) > len(usable) else []
    words += [f"{len(found) - len(dead):,} being recorded"] if len(found) > len(dead) else []
    in_rings = sum(one.is_of_ring for one in found)
    words += [f"{in_rings:,} of a ring, which nobody asked to keep"] if in_rings else []
    return Group(table, *notes, _sum_line(words, width))


def advice(found: Sequence[Partial], folder: Path) -> Text | None:
    """What to do about the partials of ``folder``, to be printed unwrapped; None if nothing can be done."""
    usable = [one for one in found if one.recoverable_bytes and not one.is_recording]
    if not usable:
        return None
    command = f"recordkit recover {printable(shlex.quote(str(folder)))}"
    them = "it" if len(usable) == 1 else "them"
    return Text.assemble(("→ ", "bold"), (command, "bold"), f"   finishes {them}")


def _table(columns: Mapping[str, int], width: int) -> Table:
    """A table of recordings with these columns and their least widths; where it is narrow the names give way."""
    gap = 1 + int(width >= _WIDE)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, gap - 1, 0, 0))
    left = width - sum(columns.values()) - len(columns) * gap - 3
    table.add_column("recording", no_wrap=True, overflow="ellipsis", min_width=8, max_width=max(8, left))
    for number, (name, least) in enumerate(columns.items()):
        table.add_column(name, justify="right" if number else "left", no_wrap=True, min_width=least)
    return table


def _mark(found: Recovery) -> tuple[str, str]:
    return ("✔", "green") if found.ok else _MARKS[found.outcome]


def _outcome_word(found: Recovery) -> str:
    match found.outcome:
        case Outcome.RECOVERED if found.dry_run:
            return "recoverable"
        case Outcome.REPAIRED if found.dry_run:
            return "repairable"
        case Outcome.IN_PART if found.dry_run:
            return "repairable in part"
        case Outcome.CLEANED:
            return "finished"
        case Outcome.REMOVED:
            return "empty"
        case Outcome.NOTHING:
            return "finished" if found.ok else "no media"
    return found.outcome


def _cut_word(found: Recovery) -> str:
    if not found.bytes:
        return "unusable"
    return "left out" if found.outcome in _COPIES else "cut"


def _title(found: Recovery) -> str:
    if found.final_path is not None:
        return printable(found.final_path.name)
    return printable(final_of(found.path.name))


def _message(found: Recovery) -> str:
    words = found.message.removeprefix(f"{found.path}: ").removeprefix(f"{found.path.with_name(_title(found))}: ")
    return printable(words)


def _kept(found: Recovery) -> Text:
    text = Text.assemble((size_text(found.bytes), "bold"), f" ({found.bytes:,} bytes)")
    if found.duration_s:
        text.append(f", {time_text(found.duration_s)}")
    if found.tail_bytes:
        text.append(f"; {size_text(found.tail_bytes)}")
        text.append(f" and {found.tail_s:.2f} s of it from the tail")
    if not found.cuts:
        text.append("; nothing was left out" if found.outcome in _COPIES else "; nothing was cut")
    return text


def _cut(cut: Cut) -> Text:
    return Text.assemble(
        (size_text(cut.bytes), "yellow"), f" at byte {cut.offset:,} {_SOURCES[cut.source]}: {printable(cut.reason)}"
    )


def _more_cuts(found: Recovery) -> str:
    rest = found.cuts[MOST_CUTS:]
    return f"{len(rest):,} more, {size_text(sum(cut.bytes for cut in rest))}; --json has all"


def _state(one: Partial) -> tuple[str, str, str]:
    if one.is_recording:
        return "●", "recording", "bold red"
    if one.recoverable_bytes:
        return "◌", "unfinished", "yellow"
    if not one.age_s:
        return "✘", "unreadable", "red"
    return ("✘", "no media", "red") if one.bytes or one.tail_bytes else ("○", "empty", "dim")


def _problem(one: Partial) -> str:
    return (one.problem or "").removeprefix(f"{one.path}: ")


def _recovery_notes(found: Recovery) -> list[str]:
    notes = []
    if not found.ok and found.outcome is not Outcome.RECORDING:
        notes.append(_message(found))
    elif found.cuts:
        notes += [f"cut {_cut(cut)}" for cut in found.cuts[:MOST_CUTS]]
        notes += [_more_cuts(found)] if len(found.cuts) > MOST_CUTS else []
        if found.rejected_path is not None:
            aside = "would be set aside" if found.dry_run else "set aside"
            notes.append(f"{aside} in {printable(found.rejected_path.name)}")
    return [*notes, *map(printable, found.problems)]


def _notes(of_recordings: Iterable[tuple[str, list[str]]]) -> list[RenderableType]:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", max_width=24)
    grid.add_column(overflow="fold")
    for name, notes in of_recordings:
        for number, note in enumerate(notes):
            # The name once: what follows is of the same recording.
            grid.add_row(*(("", "") if number else (Text("▲", "bold yellow"), Text(name, "bold"))), note)
    return [grid, ""] if grid.row_count else []


def _sum_line(words: Sequence[str], width: int) -> Text:
    """The words beside each other, where it is narrow on several lines."""
    lines = [""]
    for word in words:
        longer = f"{lines[-1]}   {word}" if lines[-1] else word
        if len(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return Text("\n".join(lines), "dim")


def _sums(found: Sequence[Recovery], width: int) -> Iterator[Text]:
    in_order = sorted(found, key=lambda one: list(Outcome).index(one.outcome))
    counts = Counter(_outcome_word(one) for one in in_order)
    words = [f"{count:,} {word}" for word, count in counts.items()]
    kept = [one for one in found if one.outcome is Outcome.RECOVERED]
    if kept:
        length, size = sum(one.duration_s for one in kept), sum(one.bytes for one in kept)
        words.append(f"{size_text(size)} and {time_text(length)} kept")
    cut_bytes = sum(one.cut_bytes for one in found if one.ok)
    words.append(f"{size_text(cut_bytes)} cut" if cut_bytes else "nothing cut")
    yield _sum_line(words, width)
    if any(one.dry_run for one in found):
        yield Text("dry run: nothing was changed", "yellow")
