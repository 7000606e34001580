"""``recordkit keep`` and ``recordkit pin``: a folder within bounds, and what stays whatever they are."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from ..errors import SettingsError
from ..printable import printable
from ..settings import Keep
from ..system import Clock, System
from ..telemetry.words import size_text
from .shared import FAULT, print_json

AgeOption = Annotated[str | None, typer.Option(help="Delete recordings that ended so long ago, such as 7d or 12h.")]
BytesOption = Annotated[
    str | None, typer.Option(help="Delete the oldest when all are larger together, such as 200G.")
]
FreeOption = Annotated[
    str | None, typer.Option(help="Delete the oldest when less is free on the disk, such as 20G.")
]
CountOption = Annotated[int | None, typer.Option(help="Delete the oldest when there are more recordings.")]
VerifiedOption = Annotated[
    bool, typer.Option("--verified-only", help="Delete only what verify finds nothing wrong with.")
]
KeepAgeOption = Annotated[
    str | None, typer.Option(help="Delete recordings of the folder that ended so long ago, such as 7d.")
]
KeepBytesOption = Annotated[
    str | None, typer.Option(help="Delete the folder's oldest when all are larger together, such as 200G.")
]
KeepCountOption = Annotated[
    int | None, typer.Option(help="Delete the folder's oldest when there are more recordings.")
]
OnCommitOption = Annotated[
    str | None,
    typer.Option(metavar="COMMAND", help="Run this with each finished file, as {path}; without a shell."),
]


def command_of(text: str | None) -> list[str] | None:
    """The words of a command. Raises SettingsError."""
    try:
        return None if text is None else shlex.split(text)
    except ValueError as error:
        raise SettingsError("on_commit", text, f"is no command: {error}") from error


def bounds(
    max_age: str | None, max_bytes: str | None, min_free: str | None, max_count: int | None, *, verified_only: bool
) -> Keep | None:
    """What is kept, by the options; None if none is given. Raises SettingsError."""
    if max_age is None and max_bytes is None and min_free is None and max_count is None:
        return None
    return Keep(
        max_age=max_age, max_bytes=max_bytes, min_free=min_free, max_count=max_count, verified_only=verified_only
    )


def keep(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="The folder with the recordings.")],
    max_age: AgeOption = None,
    max_bytes: BytesOption = None,
    min_free: FreeOption = None,
    max_count: CountOption = None,
    verified_only: VerifiedOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: a list with one entry per recording.")
    ] = False,
) -> None:
    """Delete the oldest recordings of FOLDER until it is within the bounds.

    Only what recordkit has recorded there is deleted; nothing that is being
    recorded, read, unfinished or pinned (recordkit pin), and nothing in
    folders below or behind links.

    The exit code is 1 if the folder is still beyond a bound afterwards.
    """
    from ..keeping.keep import passed

    console: Console = context.obj
    wanted = bounds(max_age, max_bytes, min_free, max_count, verified_only=verified_only) or Keep()
    found = passed(folder, wanted, dry_run=dry_run, clock=Clock(), system=System())
    if as_json:
        rows: list[dict[str, Any]] = [
            {
                "path": str(one.path),
                "bytes": one.bytes,
                "ended": _time(one.ended_ns),
                "because": one.because,
                "fate": str(one.fate),
                "problem": one.problem,
            }
            for one in found.judged
        ]
        print_json(console, rows)
    elif not found.judged:
        console.print("Nothing is beyond the bounds.")
    else:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("recording", "ended (UTC)", "size", "because", "what becomes of it"):
            table.add_column(heading, justify="right" if heading == "size" else "left", overflow="fold")
        for one in found.judged:
            fate = f"{one.fate}: {one.problem}" if one.problem else str(one.fate)
            ended = _time(one.ended_ns)[:19].replace("T", " ")
            table.add_row(printable(one.path.name), ended, size_text(one.bytes), one.because, fate)
        console.print(table)
    if found.beyond is not None:
        if not as_json:
            console.print(f"Still {found.beyond}, and there is nothing more that may be deleted.")
        raise typer.Exit(FAULT)


def pin(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A recording, running or finished.")],
    off: Annotated[bool, typer.Option("--off", help="Take the pin away again.")] = False,
) -> None:
    """Pin a recording: it is never deleted, whatever bounds its folder has."""
    from ..keeping import pins

    console: Console = context.obj
    if off:
        was_pinned = pins.unpin(path)
        console.print("Not pinned any more." if was_pinned else "It was not pinned.")
    else:
        console.print(f"Pinned: {pins.pin(path)}", soft_wrap=True, highlight=False)


def _time(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="milliseconds")
