"""``recordkit serve``: record publishers into a folder."""

from __future__ import annotations

import logging
import signal
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from ..endpoint.whip import Whip
from ..names import stem_of
from ..settings import VideoSettings
from ..system import Clock, System, give_back_freed_memory
from ..telemetry.watch import WatchState, scan
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
from .keep import KeepAgeOption, KeepBytesOption, KeepCountOption, OnCommitOption, bounds, command_of
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
from .record import PartialChoice
from .report import watch_table
from .shared import interrupt

_MIN_FREE = "256M"


def serve(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder for the recordings; it is created if needed.")],
    host: HostOption = Whip.host,
    port: PortOption = Whip.port,
    token: TokenOption = None,
    certificate: Annotated[str | None, typer.Option(help="Certificate for HTTPS, a PEM file; needs --key.")] = None,
    key: Annotated[str | None, typer.Option(help="Private key of the certificate, a PEM file.")] = None,
    publish_page: PageOption = False,
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="Web origin whose pages may publish, or * for all; may be repeated.")
    ] = None,
    ice_server: Annotated[
        list[str] | None,
        typer.Option(help="STUN server for publishers behind NAT, stun:HOST:PORT; may be repeated."),
    ] = None,
    media_ports: MediaPortsOption = None,
    announce: AnnounceOption = None,
    name: Annotated[str, typer.Option(help="Template for file names.")] = Whip.name_template,
    container: Annotated[
        Literal["ts", "mp4"] | None, typer.Option(help="What the recordings are, whatever the template says.")
    ] = None,
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Re-encode all video to this frame size.")] = None,
    bit_rate: Annotated[str | None, typer.Option(help="Re-encode all video at this bit rate, such as 4M.")] = None,
    max_publishers: Annotated[int, typer.Option(help="Most publishers at the same time.")] = Whip.max_publishers,
    workers: Annotated[int, typer.Option(help="Processes that share the publishers, to use as many cores.")] = 1,
    max_seconds: Annotated[str | None, typer.Option(help="Length at which a new file begins, such as 1h.")] = None,
    max_bytes: Annotated[str | None, typer.Option(help="Bytes after which a new file begins, such as 4G.")] = None,
    max_silence: MaxSilenceOption = None,
    on_partial: Annotated[
        PartialChoice, typer.Option(help="What to do with the unfinished recordings of an earlier run in FOLDER.")
    ] = PartialChoice.ERROR,
    min_free: Annotated[
        str,
        typer.Option(
            help="Bytes to keep free on the disk, such as 1G: with a --keep option by deleting the oldest, else by "
            "taking no publishers."
        ),
    ] = _MIN_FREE,
    keep_age: KeepAgeOption = None,
    keep_bytes: KeepBytesOption = None,
    keep_count: KeepCountOption = None,
    on_commit: OnCommitOption = None,
    segment: SegmentOption = None,
    segment_bytes: SegmentBytesOption = None,
    at_clock: AtClockOption = False,
    ring: RingOption = None,
    ring_bytes: RingBytesOption = None,
) -> None:
    """Record whoever publishes by WHIP (OBS Studio, FFmpeg, browsers), each into its own file in FOLDER.

    They publish to http://HOST:PORT/whip/NAME. Ctrl-C commits all recordings and ends. With --ring nothing is kept
    but what a SIGUSR1 asks for.
    """
    from ..endpoint.serve import serve as serve_publishers  # aiortc and aiohttp take a second to load

    console: Console = context.obj
    keep = bounds(keep_age, keep_bytes, None, keep_count, verified_only=False)
    if keep is not None and min_free != _MIN_FREE:
        # Who keeps a folder within bounds makes room before a publisher would be refused for want of it.
        keep, min_free = replace(keep, min_free=min_free), _MIN_FREE
    whip = Whip(
        host=host,
        port=port,
        token=token or None,
        certificate=certificate,
        key=key,
        publish_page=publish_page,
        allowed_origins=allow_origin or (),
        ice_servers=ice_server or (),
        media_ports=port_range(media_ports),
        announced_address=announce,
        name_template=name if container is None else f"{stem_of(name)}.{container}",
        max_publishers=max_publishers,
        max_seconds=max_seconds,
        max_bytes=max_bytes,
        max_silence=max_silence,
        min_free_bytes=min_free,
    )
    video = VideoSettings(size=size, bit_rate=bit_rate)
    held = ring_of(ring, ring_bytes)
    asks = Asks(held)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup means what it says
            signal.signal(number, interrupt)
    give_back_freed_memory()
    # A line for each publisher that comes, is recorded, ends, is refused: whoever runs this has to learn of it.
    logging.getLogger("recordkit.endpoint").setLevel(logging.INFO)
    clock, system, known = Clock(), System(), WatchState()
    with Live(Text(), console=console, auto_refresh=False, vertical_overflow="crop") as live:

        def ready(url: str) -> None:
            lines = [("Publish to  ", f"{url}/whip/NAME"), ("Recordings  ", f"{url}/")]
            if publish_page:
                lines.append(("Camera      ", f"{url}/publish"))
            for words, address in lines:
                live.console.print(Text.assemble(words, (address, "bold")), soft_wrap=True, highlight=False)
            console.file.flush()

        def progress() -> None:
            if console.is_terminal:
                try:
                    found = scan(folder, clock.time_ns(), system, known)
                    shown: RenderableType = watch_table(found, console.width, console.height - 9)
                    live.update(shown, refresh=True)
                except Exception as error:  # noqa: BLE001 - it is told, and whoever publishes is recorded all the same
                    live.update(Text(f"What is recorded cannot be shown: {error}", "yellow"), refresh=True)

        serve_publishers(
            folder,
            whip,
            video=video,
            on_partial=on_partial.value,
            on_ready=ready,
            on_progress=progress,
            keep=keep,
            on_commit=command_of(on_commit),
            segments=segments_of(segment, segment_bytes, at_clock=at_clock),
            ring=held,
            keep_rings=asks.is_asked,
            workers=workers,
        )
