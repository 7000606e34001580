"""``recordkit watch``: the recordings of a folder while they run."""

from __future__ import annotations

import signal
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..errors import SettingsError
from ..system import Clock, System
from ..telemetry.watch import Watched, WatchedState, WatchState, scan
from ..telemetry.words import json_text
from .report import watch_table
from .shared import FAULT, interrupt

WATCH_INTERVAL_S = 1.0


def watch(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="The folder with the recordings.")] = Path(),
    once: Annotated[bool, typer.Option("--once", help="Look once and exit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one line per second.")] = False,
) -> None:
    """Show the running and crashed recordings of a folder; Ctrl-C ends it.

    The exit code is 1 if there is an alert or a crashed recording, else 0.
    """
    if not folder.is_dir():
        raise SettingsError("folder", str(folder), "give a folder")
    console: Console = context.obj
    signal.signal(signal.SIGTERM, interrupt)
    clock, system, known = Clock(), System(), WatchState()
    found: list[Watched] = []
    with ExitStack() as shown:
        live = None
        if not once and not as_json:
            live = shown.enter_context(Live(Text(), console=console, auto_refresh=False, vertical_overflow="crop"))
        with suppress(KeyboardInterrupt):
            while True:
                found = scan(folder, clock.time_ns(), system, known)
                if as_json:
                    console.file.write(json_text([asdict(one) for one in found]) + "\n")
                    console.file.flush()
                elif live is None:
                    console.print(watch_table(found, console.width))
                else:
                    live.update(watch_table(found, console.width, max(4, console.height - 7)), refresh=True)
                if once:
                    break
                clock.sleep(WATCH_INTERVAL_S, Event())
    if any(one.alerts or one.state in (WatchedState.STALE, WatchedState.UNREADABLE) for one in found):
        raise typer.Exit(FAULT)
