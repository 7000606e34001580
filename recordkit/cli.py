"""The command line: a thin face over the package."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from enum import StrEnum
from fractions import Fraction
from functools import partial
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.live import Live
from rich.logging import RichHandler
from rich.progress import Progress, TaskID
from rich.text import Text

from .errors import RecordkitError, SettingsError, SourceError
from .feed import record as record_source
from .recorder import Recorder
from .recording import Recording
from .report import flush_table, readback_text, time_text, verification_report, watch_table
from .settings import AudioSettings, VideoSettings
from .sources.media_file import MediaFile
from .sources.readback import read_back
from .sources.source import Source
from .sources.synthetic import Synthetic
from .system import Clock, System, give_back_freed_memory
from .telemetry.words import size_text
from .verification.verify import verify as verify_file
from .version import __version__
from .watch import Watched, WatchState, scan

FAULT, USAGE, INTERRUPTED = 1, 2, 130
_WORTH_TELLING = {
    "dropped_items",
    "late_items",
    "mistimed_items",
    "rejected_items",
    "skipped_units",
    "restarts",
    "late_units",
    "gap_count",
}
WATCH_INTERVAL_S = 1.0

app = typer.Typer(
    name="recordkit",
    help="Record live audio and video straight to disk: flat memory, a file that grows, nothing lost in a crash.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class SourceKind(StrEnum):
    """Where the media comes from."""

    FILE = "file"
    SYNTHETIC = "synthetic"


class DurabilityKind(StrEnum):
    """What a flush does for the power cut."""

    FLUSH = "flush"
    PROCESS = "process"


def run(argv: Sequence[str], console: Console | None = None, errors: Console | None = None) -> int:
    """Run the command line with ``argv`` (without the program's name) and give its exit code.

    0: all well; 1: the recording failed, or a file has something wrong with it; 2: bad arguments;
    130: interrupted, the partial was left.
    """
    errors = errors or Console(stderr=True, soft_wrap=True)
    try:
        app(list(argv), prog_name="recordkit", obj=console or Console())
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0 if ended.code is None else FAULT
    except SettingsError as error:
        errors.print(Text.assemble(("error ", "bold red"), str(error)))
        return USAGE
    except RecordkitError as error:
        errors.print(Text.assemble(("error ", "bold red"), str(error)))
        return FAULT
    except KeyboardInterrupt:
        errors.print("Interrupted: what was not committed by now was left as it is.")
        return INTERRUPTED
    return 0


def main() -> None:
    """Entry point of the ``recordkit`` command."""
    sys.exit(run(sys.argv[1:]))


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what is logged, each flush too.")] = False,
) -> None:
    """Set up what all commands share."""
    if version:
        context.obj.print(f"recordkit {__version__}", highlight=False)
        raise typer.Exit
    handler = RichHandler(console=Console(stderr=True), show_path=False, markup=False)
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(message)s", handlers=[handler]
    )


@app.command(no_args_is_help=True)
def record(
    context: typer.Context,
    paths: Annotated[list[str], typer.Argument(metavar="[INPUT] OUTPUT", help="A file, URL or device; and a .ts.")],
    source: Annotated[SourceKind, typer.Option(help="Where the media comes from.")] = SourceKind.FILE,
    seconds: Annotated[float | None, typer.Option(help="Stop after so many seconds of media.")] = None,
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Size of the pictures, such as 1280x720.")] = None,
    fps: Annotated[str | None, typer.Option(help="Pictures a second, such as 30 or 30000/1001.")] = None,
    bit_rate: Annotated[str | None, typer.Option(help="Of the video, in bits a second; 4M and 800k work.")] = None,
    preset: Annotated[str | None, typer.Option(help="libx264 preset, ultrafast to veryslow.")] = None,
    transcode: Annotated[
        bool, typer.Option("--transcode", help="Encode anew what could be passed through.")
    ] = False,
    no_audio: Annotated[bool, typer.Option("--no-audio", help="Leave the sound out.")] = False,
    no_video: Annotated[bool, typer.Option("--no-video", help="Leave the pictures out.")] = False,
    input_format: Annotated[str | None, typer.Option(help="libavformat's name of the input format.")] = None,
    flush_threshold: Annotated[str, typer.Option(help="Bytes that make a flush; 4M and 512k work.")] = "4M",
    flush_interval: Annotated[float, typer.Option(help="Seconds after which a flush comes anyway.")] = 2.0,
    durability: Annotated[
        DurabilityKind, typer.Option(help="Sync each flush to the disk, or leave that to the system.")
    ] = DurabilityKind.FLUSH,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUTPUT where it exists.")] = False,
    fast: Annotated[bool, typer.Option("--fast", help="Synthetic source: as fast as possible.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw memory, growth and flushes into this picture.")] = None,
) -> None:
    """Record INPUT, or the built-in synthetic source, into OUTPUT.

    Ctrl-C stops and commits; a second one leaves the unfinished recording.
    """
    console: Console = context.obj
    picture_size = _size(size)
    rate = _fraction(fps)
    encodes_video = transcode or picture_size is not None or bit_rate is not None or preset is not None
    video = VideoSettings(
        preset=preset or VideoSettings().preset,
        bit_rate=_count("bit_rate", bit_rate, 1000) if bit_rate else None,
        size=picture_size,
    )
    if source is SourceKind.SYNTHETIC:
        (output,) = _exactly(paths, 1, "OUTPUT")
        width, height = picture_size or (1280, 720)
        media: Source = Synthetic(
            width=width,
            height=height,
            fps=rate or Fraction(30),
            seconds=seconds,
            realtime=not fast,
            video=not no_video,
            audio=not no_audio,
        )
    else:
        url, output = _exactly(paths, 2, "INPUT OUTPUT")
        media = MediaFile(
            url=url,
            format=input_format,
            video=not no_video,
            audio=not no_audio,
            transcode=encodes_video,
            transcode_audio=transcode,
            fps=rate,
        )
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup means what it says
            signal.signal(number, _interrupt)
    give_back_freed_memory()
    with Live(Text(), console=console, auto_refresh=False) as live:
        recording = record_source(
            media,
            output,
            seconds=seconds,
            video=None if no_video else video,
            audio=None if no_audio else AudioSettings(),
            flush_threshold=_count("flush_threshold", flush_threshold, 1024),
            flush_interval=flush_interval,
            durability=durability.value,
            overwrite=overwrite,
            on_progress=lambda recorder: live.update(_progress(recorder), refresh=True),
        )
    _show(console, recording)
    if plot is not None and recording.path is not None:
        _plot(recording, plot)
        console.print(Text.assemble("  ", (str(plot), "bold")), soft_wrap=True)


@app.command(no_args_is_help=True)
def verify(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="The files to look at.")],
    decode: Annotated[bool, typer.Option("--decode", help="Decode everything, too.")] = False,
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="Read back the marks of the synthetic source, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what is in transport streams, and what is wrong with them; exit code 0 only when nothing is."""
    console: Console = context.obj
    documents: list[dict[str, Any]] = []
    all_ok = True
    with Progress(console=Console(stderr=True), transient=True, disable=as_json) as progress:
        for path in paths:
            task = progress.add_task(path.name, total=None)
            try:
                found = verify_file(path, decode=decode, on_progress=partial(_advance, progress, task))
            except SourceError as error:
                all_ok = False
                documents.append({"path": str(path), "ok": False, "error": str(error)})
                if not as_json:
                    console.print(Text.assemble(("✘ ", "bold red"), str(error)))
                continue
            finally:
                progress.remove_task(task)
            back = read_back(path) if synthetic and found.streams else None
            all_ok &= found.ok
            documents.append(found.to_dict() | ({"synthetic": asdict(back)} if back else {}))
            if not as_json:
                console.print(verification_report(found))
                console.print(readback_text(back) if back else "")
    if as_json:
        shown = documents[0] if len(documents) == 1 else documents
        console.file.write(json.dumps(shown, indent=2, default=str) + "\n")
    if not all_ok:
        raise typer.Exit(FAULT)


@app.command()
def watch(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="The folder that is recorded into.")] = Path(),
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one line a look.")] = False,
) -> None:
    """Show the running and stale recordings of a folder, whoever started them; Ctrl-C ends it.

    The exit code is 1 while an alert stands, else 0.
    """
    if not folder.is_dir():
        raise SettingsError("folder", str(folder), "give a folder")
    console: Console = context.obj
    signal.signal(signal.SIGTERM, _interrupt)
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
                    console.file.write(json.dumps([asdict(one) for one in found]) + "\n")
                    console.file.flush()
                elif live is None:
                    console.print(watch_table(found, console.width))
                else:
                    live.update(watch_table(found, console.width, max(4, console.height - 7)), refresh=True)
                if once:
                    break
                clock.sleep(WATCH_INTERVAL_S, Event())
    if any(one.alerts for one in found):
        raise typer.Exit(FAULT)


def _advance(progress: Progress, task: TaskID, done: int, total: int) -> None:
    progress.update(task, completed=done, total=total)


def _interrupt(number: int, frame: FrameType | None) -> None:
    # As from the keyboard: the recording ends and is committed.
    raise KeyboardInterrupt


def _progress(recorder: Recorder) -> Text:
    counters = recorder.counters
    memory = psutil.Process().memory_info().rss
    parts: list[str | tuple[str, str]] = [
        ("● REC ", "bold red"),
        (time_text(recorder.duration_s), "bold"),
        "   file ",
        (size_text(recorder.file_bytes), "bold"),
        "   flushes ",
        (str(len(recorder.flush_records)), "bold"),
        "   memory ",
        (size_text(memory), "bold"),
    ]
    if counters.dropped_items:
        parts += ["   dropped ", (str(counters.dropped_items), "bold yellow")]
    return Text.assemble(*parts)


def _show(console: Console, recording: Recording) -> None:
    if not console.is_terminal:
        console.print()  # the progress line has no end of its own there
    if recording.path is None:
        console.print("No media came: no file was made.")
        return
    console.print(flush_table(recording))
    line = Text.assemble(
        ("✔ ", "bold green"),
        (str(recording.path), "bold"),
        f"   {time_text(recording.duration_s)}, {size_text(recording.bytes)}",
    )
    console.print(line, soft_wrap=True)
    told = {name: value for name, value in asdict(recording.counters).items() if value and name in _WORTH_TELLING}
    if told:
        words = ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in told.items())
        console.print(Text.assemble(("note ", "yellow"), words), soft_wrap=True)


def _plot(recording: Recording, path: Path) -> None:
    from .plots.charts import plot_overview
    from .plots.style import page

    figure = page(10, 5.6)
    plot_overview(recording, figure=figure)
    try:
        figure.savefig(path, dpi=110, facecolor="white")
    except (OSError, ValueError) as error:
        raise SettingsError("plot", str(path), f"cannot be written: {error}") from error


def _exactly(paths: list[str], count: int, form: str) -> list[str]:
    if len(paths) != count:
        raise SettingsError("paths", " ".join(paths), f"give {form}")
    return paths


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise SettingsError("size", text, "give WIDTHxHEIGHT in pixels, such as 1280x720")
    return int(width), int(height)


def _fraction(text: str | None) -> Fraction | None:
    if text is None:
        return None
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise SettingsError("fps", text, "give pictures a second, such as 30, 29.97 or 30000/1001")
    return rate


def _count(name: str, text: str, kilo: int) -> int:
    number, unit = text[:-1], text[-1:].lower()
    factor = {"k": kilo, "m": kilo**2, "g": kilo**3}.get(unit)
    try:
        return round(float(text) if factor is None else float(number) * factor)
    except (ValueError, OverflowError):
        raise SettingsError(name, text, "give a number, with k or M behind it if you like") from None
