"""``recordkit record``: a source into a file."""

from __future__ import annotations

import logging
import signal
from dataclasses import asdict, replace
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..endpoint.whip import Whip
from ..errors import SettingsError
from ..recorder.record import record as record_source
from ..recorder.recorder import Recorder
from ..recorder.result import Recording
from ..settings import AudioSettings, VideoSettings
from ..sources.media_file import MediaFile
from ..sources.source import Source
from ..sources.synthetic import Synthetic
from ..system import give_back_freed_memory
from ..telemetry.words import size_text
from .arguments import count, exactly, frame_rate, picture_size
from .listening import HostOption, PageOption, PortOption, TokenOption
from .loopback import (
    AudioDelayOption,
    CodecOption,
    DelayOption,
    DuplicationOption,
    JitterOption,
    LoopbackOptions,
    LossOption,
    OutageOption,
    ReorderingOption,
    SeedOption,
    SizeAtOption,
)
from .report import flush_table, time_text
from .shared import interrupt

_WORTH_TELLING = {
    "dropped_items",
    "late_items",
    "mistimed_items",
    "rejected_items",
    "skipped_units",
    "restarts",
    "late_units",
    "gap_count",
    "abandoned_items",
}


class SourceKind(StrEnum):
    """Where the media comes from."""

    FILE = "file"
    SYNTHETIC = "synthetic"
    LOOPBACK = "loopback"
    WHIP = "whip"


class PartialChoice(StrEnum):
    """What becomes of an unfinished recording in the way."""

    ERROR = "error"
    RECOVER = "recover"
    RENAME = "rename"


class FullDiskChoice(StrEnum):
    """What a full disk does."""

    STOP = "stop"
    WAIT = "wait"


class DurabilityKind(StrEnum):
    """What a flush does for the power cut."""

    FLUSH = "flush"
    PROCESS = "process"


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
    on_partial: Annotated[
        PartialChoice, typer.Option(help="Where an unfinished recording of that name lies: what becomes of it.")
    ] = PartialChoice.ERROR,
    on_disk_full: Annotated[
        FullDiskChoice, typer.Option(help="Where the disk is full: end and commit, or wait for room.")
    ] = FullDiskChoice.STOP,
    no_admission: Annotated[
        bool, typer.Option("--no-admission", help="Start even where this machine seems unable to carry it.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUTPUT where it exists.")] = False,
    fast: Annotated[bool, typer.Option("--fast", help="Synthetic source: as fast as possible.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw memory, growth and flushes into this picture.")] = None,
    codec: CodecOption = "h264",
    loss: LossOption = 0.0,
    duplication: DuplicationOption = 0.0,
    reordering: ReorderingOption = 0.0,
    delay: DelayOption = 0.0,
    jitter: JitterOption = 0.0,
    audio_delay: AudioDelayOption = 0.0,
    outage: OutageOption = None,
    size_at: SizeAtOption = None,
    seed: SeedOption = 0,
    host: HostOption = Whip.host,
    port: PortOption = Whip.port,
    token: TokenOption = None,
    publish_page: PageOption = False,
) -> None:
    """Record INPUT, or a built-in source, into OUTPUT.

    The synthetic source paints and plays; loopback sends that by WebRTC from one peer to another; whip
    records who publishes to http://HOST:PORT/whip/NAME, one after the other.

    Ctrl-C stops and commits; a second one leaves the unfinished recording.
    """
    console: Console = context.obj
    wanted_size = picture_size(size)
    rate = frame_rate(fps)
    encodes_video = transcode or wanted_size is not None or bit_rate is not None or preset is not None
    video = VideoSettings(
        preset=preset or VideoSettings().preset,
        bit_rate=count("bit_rate", bit_rate, 1000) if bit_rate else None,
        size=wanted_size,
    )
    if source is SourceKind.SYNTHETIC:
        (output,) = exactly(paths, 1, "OUTPUT")
        width, height = wanted_size or (1280, 720)
        media: Source = Synthetic(
            width=width,
            height=height,
            fps=rate or Fraction(30),
            seconds=seconds,
            realtime=not fast,
            video=not no_video,
            audio=not no_audio,
        )
    elif source is SourceKind.LOOPBACK:
        (output,) = exactly(paths, 1, "OUTPUT")
        options = LoopbackOptions(
            codec=codec,
            loss=loss,
            duplication=duplication,
            reordering=reordering,
            delay_s=delay,
            jitter_s=jitter,
            audio_delay_s=audio_delay,
            outage=outage,
            size_at=size_at,
            seed=seed,
        )
        media = options.source(wanted_size, rate, seconds, video.bit_rate, video=not no_video, audio=not no_audio)
        # Size and bit rate are the sender's: what it sends is kept as it comes.
        video = VideoSettings(preset=video.preset, transcode=transcode)
    elif source is SourceKind.WHIP:
        (output,) = exactly(paths, 1, "OUTPUT")
        media = Whip(host=host, port=port, token=token or None, publish_page=publish_page)
        video = replace(video, transcode=transcode)
        # It tells where to publish to: with port 0 nobody else knows.
        logging.getLogger("recordkit.endpoint").setLevel(logging.INFO)
    else:
        url, output = exactly(paths, 2, "INPUT OUTPUT")
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
            signal.signal(number, interrupt)
    give_back_freed_memory()
    with Live(Text(), console=console, auto_refresh=False) as live:
        recording = record_source(
            media,
            output,
            seconds=seconds,
            video=None if no_video else video,
            audio=None if no_audio else AudioSettings(),
            flush_threshold=count("flush_threshold", flush_threshold, 1024),
            flush_interval=flush_interval,
            durability=durability.value,
            on_partial=on_partial.value,
            on_disk_full=on_disk_full.value,
            admission="off" if no_admission else "check",
            overwrite=overwrite,
            on_progress=lambda recorder: live.update(_progress(recorder), refresh=True),
        )
    _show(console, recording)
    if plot is not None and recording.path is not None:
        _plot(recording, plot)
        console.print(Text.assemble("  ", (str(plot), "bold")), soft_wrap=True)


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
    if recording.ended_because is not None:
        console.print(Text.assemble(("note ", "yellow"), f"ended by itself: {recording.ended_because}"))
    told = {name: value for name, value in asdict(recording.counters).items() if value and name in _WORTH_TELLING}
    if told:
        words = ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in told.items())
        console.print(Text.assemble(("note ", "yellow"), words), soft_wrap=True)


def _plot(recording: Recording, path: Path) -> None:
    from ..plots.charts import plot_overview
    from ..plots.style import page

    figure = page(10, 5.6)
    plot_overview(recording, figure=figure)
    try:
        figure.savefig(path, dpi=110, facecolor="white")
    except (OSError, ValueError) as error:
        raise SettingsError("plot", str(path), f"cannot be written: {error}") from error
