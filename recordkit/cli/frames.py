"""``recordkit frames`` and ``recordkit image``: the frames of a file as a table, and one of them as an image."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from ..errors import SettingsError
from ..printable import printable
from ..values import one_of
from .many import AsJson, How, Jobs, OutputDir, ProblemsOnly, State, Summary, are_many, run_many

if TYPE_CHECKING:
    from ..reading.video import Video

_FIRST = 20


def frames(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|FOLDER|GLOB...",
            help="A recording, running or finished, or any video; of several a line each, on all cores.",
        ),
    ],
    csv: Annotated[Path | None, typer.Option("--csv", metavar="OUT", help="Write the table as CSV.")] = None,
    parquet: Annotated[
        Path | None, typer.Option("--parquet", metavar="OUT", help="Write the table as Parquet (needs pyarrow).")
    ] = None,
    output_dir: OutputDir = None,
    suffix: Annotated[
        str | None, typer.Option("--suffix", help="Of many files the tables: .parquet (as it is) or .csv.")
    ] = None,
    jobs: Jobs = None,
    problems_only: ProblemsOnly = False,
    summary: Summary = False,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """List the frames of a video: when each is shown, where it lies, what is lost before it."""
    from ..reading.opening import open as open_video

    console: Console = context.obj
    many = (output_dir, suffix, jobs, problems_only, summary, state, as_json, len(files) > 1)
    if are_many([one for one in files if "://" not in one], *many):
        if csv or parquet:
            raise SettingsError("csv" if csv else "parquet", str(csv or parquet), "of many files give --output-dir")
        run_many(
            console,
            "frames",
            files,
            How(jobs, state, problems_only, summary, as_json, output_dir),
            options={"suffix": one_of(".parquet", ".csv")("suffix", suffix or ".parquet")},
        )
        return
    path = files[0]
    with open_video(path) as video:
        table = video.frames
        if csv is not None:
            table.to_csv(csv)
        if parquet is not None:
            table.to_parquet(parquet)
        facts = f"{len(video):,} frames, {video.duration_s:.3f} s, {video.fps:.6g} fps"
        console.print(f"{printable(str(path))}: {facts}")
    for written in (csv, parquet):
        if written is not None:
            console.print(f"Written: {printable(str(written))}")
    if csv is not None or parquet is not None:
        return
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("number", "media", "bytes", "offset", ""):
        shown.add_column(column, justify="left" if not column else "right")
    for number, row in table.head(_FIRST).iterrows():
        notes = [
            "keyframe" if row["keyframe"] else "",
            f"{row['lost_before']} lost before" if row["lost_before"] else "",
            "damaged" if row["damaged"] else "",
        ]
        words = ", ".join(filter(None, notes))
        shown.add_row(str(number), f"{row['media_s']:.3f} s", f"{row['bytes']:,}", f"{row['offset']:,}", words)
    console.print(shown)
    if len(table) > _FIRST:
        console.print(f"… and {len(table) - _FIRST:,} more: --csv OUT writes them all.")


def image(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A recording, running or finished, or any video.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The image to write: .png, .jpg, .webp or .tiff.")],
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            help="Seconds of media, the name of a mark, or a time of day (2026-11-29T10:00:01.5Z).",
        ),
    ] = None,
    number: Annotated[
        int | None, typer.Option("--number", help="Which frame, from 0; negative from the end.")
    ] = None,
) -> None:
    """Write one frame of a video as an image: the first, or the one that is showing at a time."""
    from ..reading.opening import open as open_video

    if at is not None and number is not None:
        raise SettingsError("at", at, "give --at or --number, not both")
    console: Console = context.obj
    with open_video(path) as video:
        try:
            frame = video[number or 0] if at is None else video.at(_when(at, video))
        except (IndexError, KeyError) as error:
            raise SettingsError("number" if at is None else "at", at or number, str(error.args[0])) from error
        frame.save(output)
        console.print(f"Frame {frame.number:,} at {frame.media_s:.3f} s: {printable(str(output))}")


def _when(text: str, video: Video) -> float | str | datetime:
    """A time of day needs its zone, and is none if a mark has that name."""
    with suppress(ValueError):
        return float(text)
    if not any(mark.name == text for mark in video.marks_made()):
        with suppress(ValueError):
            when = datetime.fromisoformat(text)
            return text if when.tzinfo is None else when
    return text
