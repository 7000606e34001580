"""``recordkit marks``: the marks of a recording."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from ..model import EventKind
from ..printable import printable
from .report import time_text
from .shared import print_json


def marks(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A recording, running or finished, or its log.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, a list with one entry per mark.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, one line per mark, for a spreadsheet.")] = False,
) -> None:
    """List the marks of a recording: where in the media, when, and the name. They are read from its log."""
    from ..telemetry.frames import read_flush_log

    console: Console = context.obj
    events = [one for one in read_flush_log(path).contents.events if one.kind is EventKind.MARK]
    found = [
        {
            "media_s": one.fields.get("media_s"),
            "time": datetime.fromtimestamp(one.time_ns / 1e9, UTC).isoformat(timespec="milliseconds"),
            "name": str(one.fields.get("name", "")),
        }
        for one in events
    ]
    if as_json:
        print_json(console, found)
    elif as_csv:
        rows = io.StringIO()
        writer = csv.DictWriter(rows, ("media_s", "time", "name"))
        writer.writeheader()
        writer.writerows(found)
        console.file.write(rows.getvalue())
    elif not found:
        console.print("No marks.")
    else:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("media", justify="right")
        table.add_column("UTC", no_wrap=True)
        table.add_column("name", overflow="fold")
        for one in found:
            place = one["media_s"]
            at = time_text(float(place)) if isinstance(place, int | float) else ""
            table.add_row(
                at, str(one["time"]).replace("T", " ").removesuffix("+00:00"), printable(str(one["name"]))
            )
        console.print(table)
