"""``recordkit record``: record a source to a file."""

from __future__ import annotations

import logging
import signal
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from ..endpoint.whep import Whep
from ..endpoint.whip import Whip
from ..recorder.record import record as record_source
from ..recorder.recorder import Recorder
from ..settings import AudioSettings, VideoSettings
from ..sources.media_file import MediaFile
from ..sources.reconnect import Reconnect
from ..sources.source import Source
from ..sources.synthetic import Synthetic
from ..system import give_back_freed_memory
from ..values import named_values
from .arguments import exactly, frame_size
from .filing import (
    Asks,
    AtClockOption,
    RingBytesOption,
    RingOption,
    SegmentBytesOption,
    SegmentOption,
    ring_of,
    segments_of,
)
from .keep import FreeOption, KeepAgeOption, KeepBytesOption, KeepCountOption, OnCommitOption, bounds, command_of
from .listening import (
    AnnounceOption,
    HostOption,
    MaxSilenceOption,
    MediaPortsOption,
    PageOption,
    PortOption,
    TokenOption,
    port_range,
)
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
from .recorded import plot as draw
from .recorded import progress_line, show
from .shared import FAULT, interrupt


class SourceKind(StrEnum):
    """Where the media comes from."""

    FILE = "file"
    SYNTHETIC = "synthetic"
    LOOPBACK = "loopback"
    WHIP = "whip"
    WHEP = "whep"


class PartialChoice(StrEnum):
    """What to do with an unfinished recording of the same name."""

    ERROR = "error"
    RECOVER = "recover"
    RENAME = "rename"


class FinishChoice(StrEnum):
    """What a finished MP4 is."""

    PLAIN = "plain"
    FRAGMENTED = "fragmented"


class FullDiskChoice(StrEnum):
    """What to do when the disk is full."""

    STOP = "stop"
    WAIT = "wait"


class DurabilityKind(StrEnum):
    """How safe a flush is against a power cut."""

    FLUSH = "flush"
    PROCESS = "process"


def record(
    context: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="[INPUT] OUTPUT", help="The input (a file, URL or device), and the output, a .ts or .mp4 file."
        ),
    ],
    source: Annotated[SourceKind, typer.Option(help="Where the media comes from.")] = SourceKind.FILE,
    seconds: Annotated[str | None, typer.Option(help="Stop after this much media, such as 90, 5min or 1h.")] = None,
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Frame size, such as 1280x720.")] = None,
    fps: Annotated[str | None, typer.Option(help="Frames per second, such as 30 or 30000/1001.")] = None,
    bit_rate: Annotated[
        str | None, typer.Option(help="Video bit rate in bits per second, such as 4M or 800k.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="libx264 preset, from ultrafast to veryslow.")] = None,
    transcode: Annotated[bool, typer.Option("--transcode", help="Re-encode what could be passed through.")] = False,
    no_audio: Annotated[bool, typer.Option("--no-audio", help="Leave out the audio.")] = False,
    audio: Annotated[
        str | None,
        typer.Option(help="Which audio of a file or URL: languages and stream numbers, such as deu or eng,3."),
    ] = None,
    program: Annotated[
        int | None,
        typer.Option(help="Which program of several, counted from 1. Without it, that of the largest video."),
    ] = None,
    no_video: Annotated[bool, typer.Option("--no-video", help="Leave out the video.")] = False,
    input_format: Annotated[
        str | None, typer.Option(help="Input format, by FFmpeg's name for it, such as v4l2 or alsa.")
    ] = None,
    input_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Option for the input format, such as framerate=30; may be repeated."
        ),
    ] = None,
    reconnect: Annotated[
        bool, typer.Option("--reconnect", help="A live source that goes away is asked for again, and goes on.")
    ] = False,
    give_up_after: Annotated[
        str | None,
        typer.Option(help="With --reconnect: end when it is away for so long, such as 10min. Without: never."),
    ] = None,
    flush_threshold: Annotated[
        str, typer.Option(help="Flush when this much is buffered, such as 4M or 512k.")
    ] = "4M",
    flush_interval: Annotated[str, typer.Option(help="Flush at least this often, such as 2s or 500ms.")] = "2s",
    durability: Annotated[
        DurabilityKind,
        typer.Option(help="flush: sync each flush to the disk; process: let the system decide when."),
    ] = DurabilityKind.FLUSH,
    on_partial: Annotated[
        PartialChoice, typer.Option(help="What to do if there is an unfinished recording of the same name.")
    ] = PartialChoice.ERROR,
    on_disk_full: Annotated[
        FullDiskChoice, typer.Option(help="When the disk is full: stop and commit, or wait for room.")
    ] = FullDiskChoice.STOP,
    finish: Annotated[
        FinishChoice, typer.Option(help="An MP4 is finished as a plain one, or stays in its fragments.")
    ] = FinishChoice.PLAIN,
    no_times: Annotated[
        bool, typer.Option("--no-times", help="Do not put into each frame when it was taken.")
    ] = False,
    no_admission: Annotated[
        bool, typer.Option("--no-admission", help="Start even if this machine seems too small for it.")
    ] = False,
    keep_age: KeepAgeOption = None,
    keep_bytes: KeepBytesOption = None,
    keep_count: KeepCountOption = None,
    min_free: FreeOption = None,
    on_commit: OnCommitOption = None,
    segment: SegmentOption = None,
    segment_bytes: SegmentBytesOption = None,
    at_clock: AtClockOption = False,
    ring: RingOption = None,
    ring_bytes: RingBytesOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUTPUT if it exists.")] = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="Synthetic source: run as fast as possible, not in real time.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw memory, file growth and flushes into this image file.")
    ] = None,
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
    media_ports: MediaPortsOption = None,
    announce: AnnounceOption = None,
    max_silence: MaxSilenceOption = None,
) -> None:
    """Record INPUT, or a built-in source, into OUTPUT.

    The synthetic source is a test pattern with beeps. Loopback sends it by
    WebRTC from one peer to another. Whip records whoever publishes to
    http://HOST:PORT/whip/NAME, one publisher after the other. Whep records
    what a WebRTC server gives at the URL INPUT.

    Ctrl-C stops and commits (gives the file its final name). A second
    Ctrl-C leaves the recording unfinished. With --ring nothing is kept
    but what a SIGUSR1 asks for (kill -USR1 PID).

    The exit code is 0 if everything asked for is in the file. It is 1 if no
    file was made, if the source broke off, or if the recording ended by
    itself, as on a full disk; what came before is committed.
    """
    console: Console = context.obj
    wanted_size = None if size is None else frame_size("size", size)
    encodes_video = transcode or wanted_size is not None or bit_rate is not None or preset is not None
    video = VideoSettings(
        preset=preset or VideoSettings().preset,
        bit_rate=bit_rate,
        size=wanted_size,
    )
    if source is SourceKind.SYNTHETIC:
        (output,) = exactly(paths, 1, "OUTPUT")
        width, height = wanted_size or (1280, 720)
        media: Source = Synthetic(
            width=width,
            height=height,
            fps=fps or 30,
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
        media = options.source(wanted_size, fps, seconds, video.bit_rate, video=not no_video, audio=not no_audio)
        # Size and bit rate are the sender's: what it sends is kept as it comes.
        video = VideoSettings(preset=video.preset, transcode=transcode)
    elif source is SourceKind.WHIP:
        (output,) = exactly(paths, 1, "OUTPUT")
        media = Whip(
            host=host,
            port=port,
            token=token or None,
            publish_page=publish_page,
            media_ports=port_range(media_ports),
            announced_address=announce,
            max_silence=max_silence,
        )
        video = replace(video, transcode=transcode)
        # It tells where to publish to: with port 0 nobody else knows.
        logging.getLogger("recordkit.endpoint").setLevel(logging.INFO)
    elif source is SourceKind.WHEP:
        url, output = exactly(paths, 2, "URL OUTPUT")
        again = Reconnect(give_up_after=give_up_after) if reconnect or give_up_after else None
        media = Whep(url, token=token or None, video=not no_video, audio=not no_audio, reconnect=again)
        video = replace(video, transcode=transcode)
    else:
        url, output = exactly(paths, 2, "INPUT OUTPUT")
        media = MediaFile(
            url=url,
            format=input_format,
            video=not no_video,
            audio=(audio or True) if not no_audio else False,
            program=program,
            transcode=encodes_video,
            transcode_audio=transcode,
            fps=fps,
            options=named_values("input_option", input_option or ()),
            reconnect=Reconnect(give_up_after=give_up_after) if reconnect or give_up_after else None,
        )
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup means what it says
            signal.signal(number, interrupt)
    give_back_freed_memory()
    held = ring_of(ring, ring_bytes)
    asks = Asks(held)
    with progress_line(console) as shows:

        def look(recorder: Recorder) -> None:
            asks.pass_on(recorder)
            shows(recorder)

        recording = record_source(
            media,
            output,
            seconds=seconds,
            video=None if no_video else video,
            audio=None if no_audio else AudioSettings(),
            flush_threshold=flush_threshold,
            flush_interval=flush_interval,
            durability=durability.value,
            on_partial=on_partial.value,
            on_disk_full=on_disk_full.value,
            finish=finish.value,
            embed_times=not no_times,
            admission="off" if no_admission else "check",
            overwrite=overwrite,
            keep=bounds(keep_age, keep_bytes, min_free, keep_count, verified_only=False),
            on_commit=command_of(on_commit),
            segments=segments_of(segment, segment_bytes, at_clock=at_clock),
            ring=held,
            on_progress=look,
        )
    show(console, recording)
    if plot is not None and recording.path is not None:
        draw(recording, plot)
        console.print(Text.assemble("  ", (str(plot), "bold")), soft_wrap=True)
    if (recording.path is None and held is None) or recording.ended_because is not None:
        raise typer.Exit(FAULT)
