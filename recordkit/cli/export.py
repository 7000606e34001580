"""``recordkit export``: a recording, or a clip of it, into another container, without encoding."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..errors import SettingsError
from ..names import SUFFIXES
from ..printable import printable
from ..values import one_of
from .arguments import exactly
from .many import AsJson, How, Jobs, OutputDir, ProblemsOnly, State, Summary, are_many, run_many


def export(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE OUT",
            help="A recording, running or finished, or any MPEG-TS or MP4, and the copy: a .ts or .mp4; .m4a, "
            ".wav, .mp3 or .ogg for audio alone. With --suffix or --output-dir files, folders and patterns.",
        ),
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
    suffix: Annotated[
        str | None, typer.Option("--suffix", help="Copy many files, each to one with this suffix (.mp4).")
    ] = None,
    output_dir: OutputDir = None,
    jobs: Jobs = None,
    problems_only: ProblemsOnly = False,
    summary: Summary = False,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Copy a recording, or a clip of it, into another container, and check that nothing changed."""
    from ..reading.export import export as export_file

    if suffix or output_dir:
        if start or end or exact:
            raise SettingsError("start", start, "a clip is made of one file: give FILE OUT")
        run_many(
            context.obj,
            "export",
            files,
            How(jobs, state, problems_only, summary, as_json, output_dir),
            options={"suffix": one_of(*SUFFIXES)("suffix", suffix or ".mp4")},
        )
        return
    if are_many([], jobs, problems_only, summary, state, as_json):
        raise SettingsError("suffix", None, "of many files give --suffix or --output-dir")
    source, target = map(Path, exactly(files, 2, "FILE OUT; of many files --suffix or --output-dir"))
    made = export_file(source, target, start=start, end=end, exact=exact)
    console: Console = context.obj
    console.print(
        f"{printable(str(made.path))}: {made.duration_s:.3f} s, {made.bytes:,} bytes, {made.units:,} units"
    )
    if made.encoded:
        console.print(f"{made.encoded:,} frames were encoded anew.")
    if start is not None:
        console.print(f"It begins at {made.begins_s:.3f} s of {printable(str(source))}.")
