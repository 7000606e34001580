"""``recordkit partials``: the unfinished recordings of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..system import Clock
from .shared import print_json


def partials(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="The folder with the recordings.")] = Path(),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: a list with one entry per recording.")
    ] = False,
) -> None:
    """List the unfinished recordings of a folder, and how much of each can be recovered. Nothing is changed."""
    from ..recovery.listing import partials as list_partials
    from .recovery_report import advice, partials_table

    console: Console = context.obj
    clock = Clock()
    found = list_partials(folder, _clock=clock)
    if as_json:
        print_json(console, [one.to_dict() for one in found])
    else:
        console.print(partials_table(found, clock.time_ns(), console.width))
        what_to_do = advice(found, folder)
        if what_to_do is not None:
            console.print(what_to_do, soft_wrap=True)
