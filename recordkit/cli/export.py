"""``recordkit export``: a recording, or a clip of it, into another container, without encoding."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..printable import printable


def export(
    context: typer.Context,
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="A recording, running or finished, or any MPEG-TS or MP4.")
    ],
    target: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="A .ts or .mp4; .m4a, .wav, .mp3 or .ogg for audio alone."),
    ],
    start: Annotated[
        str | None, typer.Option("--start", metavar="TIME", help="Seconds of media, or the name of a mark.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--end", metavar="TIME", help="Seconds of media, or the name of a mark.")
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Encode the frames from the start to the next keyframe anew.")
    ] = False,
) -> None:
    """Copy a recording, or a clip of it, into another container, and check that nothing changed."""
    from ..reading.export import export as export_file

    made = export_file(source, target, start=start, end=end, exact=exact)
    console: Console = context.obj
    console.print(
        f"{printable(str(made.path))}: {made.duration_s:.3f} s, {made.bytes:,} bytes, {made.units:,} units"
    )
    if made.encoded:
        console.print(f"{made.encoded:,} frames were encoded anew.")
    if start is not None:
        console.print(f"It begins at {made.begins_s:.3f} s of {printable(str(source))}.")
