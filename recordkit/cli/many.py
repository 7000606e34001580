"""Many files at once, for the commands that take them: a line as each file is done, and sums."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..errors import SettingsError
from ..printable import printable
from ..telemetry.terminal import terminal
from ..telemetry.words import count_text, json_text, size_text
from ..telemetry.words import time_text as short_time_text
from .report import age_text, time_text
from .shared import FAULT, INTERRUPTED, interrupt

if TYPE_CHECKING:
    from ..fleet.rows import Row, Sums

Jobs = Annotated[
    int | None,
    typer.Option("--jobs", metavar="N", help="How many processes work on many files (one for each core)."),
]
State = Annotated[
    Path | None,
    typer.Option(
        "--state", metavar="FILE", help="Note here what is done: the same command goes on after an interruption."
    ),
]
ProblemsOnly = Annotated[
    bool, typer.Option("--problems-only", help="Of many files show those that are not as they should be.")
]
Summary = Annotated[bool, typer.Option("--summary", help="Of many files show only how many have which problem.")]
OutputDir = Annotated[
    Path | None,
    typer.Option("--output-dir", metavar="FOLDER", help="Where copies of many files go, each in its place below."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Of many files print JSON, a line as each is done.")]


class How(NamedTuple):
    """How many files are gone through, as the options of the commands say it."""

    jobs: int | None = None
    state: Path | None = None
    problems_only: bool = False
    summary: bool = False
    as_json: bool = False
    output: Path | None = None


def are_many(paths: Sequence[str], *asked: object) -> bool:
    """Whether this is about many: a folder, a pattern or a URL is among ``paths``, or an option was given."""
    from ..fleet.files import is_pattern

    return any(asked) or any("://" in one or is_pattern(one) or os.path.isdir(one) for one in paths)  # noqa: PTH112


def run_many(
    console: Console,
    action: str,
    paths: Sequence[str],
    how: How,
    options: Mapping[str, Any] | None = None,
) -> None:
    """Do ``action`` to ``paths`` and show a line a file, as JSON Lines if asked; exit with what that means.

    Raises SettingsError and FleetError.
    """
    from ..fleet.files import given
    from ..fleet.many import Work, work
    from ..fleet.rows import Sums

    as_json = how.as_json
    if how.summary and how.problems_only:
        raise SettingsError("summary", how.summary, "give --summary or --problems-only, not both")
    signal.signal(signal.SIGTERM, interrupt)
    began, sums = time.monotonic(), Sums()
    # A bar and lines share one terminal only by one console.
    errors = terminal(stderr=True)
    bar = errors if errors.is_terminal and (as_json or not console.is_terminal) else console
    shows = bar.is_terminal and not (as_json and console.is_terminal)
    what = Work(action, given("paths", list(paths)), how.output, options or {})
    rows = work(what, jobs=how.jobs, state=how.state, progress=shows, console=bar)
    try:
        with closing(rows):
            for row in rows:
                sums.add(row)
                if not how.summary and not (how.problems_only and row["ok"]):
                    _show(console, row, as_json=as_json)
    except KeyboardInterrupt:
        way = "The same command goes on." if how.state else "With --state FILE the same command could go on."
        words = (("Interrupted: ", "bold yellow"), f"{count_text(sums.files, 'file')} done. {way}")
        terminal(stderr=True, soft_wrap=True).print(Text.assemble(*words))
        raise typer.Exit(INTERRUPTED) from None
    seconds = time.monotonic() - began
    if how.summary:
        _show_summary(console, sums, seconds, as_json=as_json)
    elif not as_json:
        console.print(sums_line(sums, seconds))
    if sums.bad or not sums.files:
        raise typer.Exit(FAULT)


def _show(console: Console, row: Row, *, as_json: bool) -> None:
    if as_json:
        console.file.write(json_text(row) + "\n")
        console.file.flush()
    else:
        console.print(row_text(row), soft_wrap=True)


def row_text(row: Row) -> Text:
    """A file in one line, its path last, so that it may be long; what is wrong with it in a second."""
    sign, style = ("✔", "green") if row["ok"] else ("✘", "red")
    length, size = row.get("duration_s"), row.get("bytes")
    facts = [f"{'' if not length else time_text(length):>11}", f"{'' if not size else size_text(size):>8}"]
    if (frames := row.get("frames")) is not None and "codecs" not in row:
        facts.append(f"{frames:>8,} frames")
    facts += [f"{row[name] or '':<10}" for name in ("codecs", "outcome") if name in row]
    text = Text.assemble((f"{sign} ", f"bold {style}"), "  ".join(facts), "  ", (printable(row["path"]), "bold"))
    made = row.get("output")
    if made and made != row["path"]:
        text.append(f" → {printable(made)}")
    if not row["ok"]:
        text.append(f"\n    {row['problem']}", style)
        text.append(f": {printable(row['detail'])}" if row.get("detail") else "")
    return text


def sums_line(sums: Sums, seconds: float) -> Text:
    """How many files, how many with problems, how much media, and how long that took."""
    if not sums.files:
        return Text.assemble(("✘ ", "bold red"), "no files were found")
    verdict = (f"✘ {sums.bad:,} with problems", "bold red") if sums.bad else ("✔ no problems found", "bold green")
    length, size = sum(one.duration_s for one in sums), sum(one.bytes for one in sums)
    known = f"   {short_time_text(length)}, {size_text(size)}" if size else ""
    return Text.assemble(verdict, f"   {count_text(sums.files, 'file')}{known}   in {age_text(seconds)}")


def _show_summary(console: Console, sums: Sums, seconds: float, *, as_json: bool) -> None:
    if as_json:
        for one in sums:
            console.file.write(json_text(one.to_dict()) + "\n")
    elif not sums.files:
        console.print(sums_line(sums, seconds))
    else:
        console.print(summary_table(sums))
        console.print(sums_line(sums, seconds))


def summary_table(sums: Sums) -> Table:
    """A row a verdict, the good one first, with one path as an example."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("verdict", no_wrap=True)
    for name in ("files", "length", "size"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("such as", no_wrap=True, overflow="ellipsis")
    for one in sums:
        verdict = Text("✔ ok", "green") if one.problem == "ok" else Text(f"✘ {one.problem}", "red")
        length = short_time_text(one.duration_s) if one.duration_s else "-"
        size = size_text(one.bytes) if one.bytes else "-"
        table.add_row(verdict, f"{one.files:,}", length, size, Text(printable(one.example)))
    return table
