"""``recordkit serve``: publishers from elsewhere into a folder."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..endpoint.whip import Whip
from ..settings import VideoSettings
from ..system import Clock, System, give_back_freed_memory
from ..telemetry.watch import WatchState, scan
from .arguments import count, picture_size
from .listening import HostOption, PageOption, PortOption, TokenOption
from .report import watch_table
from .shared import interrupt


def serve(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where the recordings go; made where it is missing.")],
    host: HostOption = Whip.host,
    port: PortOption = Whip.port,
    token: TokenOption = None,
    certificate: Annotated[str | None, typer.Option(help="PEM file for HTTPS, with --key.")] = None,
    key: Annotated[str | None, typer.Option(help="PEM file of the certificate's key.")] = None,
    publish_page: PageOption = False,
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="Let pages of this origin publish, or * for all; may be repeated.")
    ] = None,
    ice_server: Annotated[
        list[str] | None, typer.Option(help="stun:HOST:PORT for publishers behind NAT; may be repeated.")
    ] = None,
    name: Annotated[str, typer.Option(help="Template of the file names.")] = Whip.name_template,
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Encode all pictures in this size.")] = None,
    bit_rate: Annotated[str | None, typer.Option(help="Encode all video, in bits a second; 4M works.")] = None,
    max_publishers: Annotated[int, typer.Option(help="How many at once.")] = Whip.max_publishers,
    max_seconds: Annotated[float | None, typer.Option(help="Longest recording.")] = None,
    max_bytes: Annotated[str | None, typer.Option(help="Largest recording; 4G works.")] = None,
    min_free: Annotated[str, typer.Option(help="Bytes that stay free on the disk; 1G works.")] = "256M",
) -> None:
    """Take publishers by WHIP (OBS Studio, FFmpeg, browsers), and record each into its own file in FOLDER.

    They publish to http://HOST:PORT/whip/NAME. Ctrl-C commits all recordings and ends.
    """
    from ..endpoint.serve import serve as serve_publishers  # aiortc and aiohttp take a second to load

    console: Console = context.obj
    whip = Whip(
        host=host,
        port=port,
        token=token or None,
        certificate=certificate,
        key=key,
        publish_page=publish_page,
        allowed_origins=allow_origin or (),
        ice_servers=ice_server or (),
        name_template=name,
        max_publishers=max_publishers,
        max_seconds=max_seconds,
        max_bytes=count("max_bytes", max_bytes, 1024) if max_bytes else None,
        min_free_bytes=count("min_free", min_free, 1024),
    )
    video = VideoSettings(size=picture_size(size), bit_rate=count("bit_rate", bit_rate, 1000) if bit_rate else None)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup means what it says
            signal.signal(number, interrupt)
    give_back_freed_memory()
    clock, system, known = Clock(), System(), WatchState()
    with Live(Text(), console=console, auto_refresh=False, vertical_overflow="crop") as live:

        def ready(url: str) -> None:
            lines = [("Publish to  ", f"{url}/whip/NAME"), ("Look at     ", f"{url}/")]
            if publish_page:
                lines.append(("Camera      ", f"{url}/publish"))
            for words, address in lines:
                live.console.print(Text.assemble(words, (address, "bold")), soft_wrap=True, highlight=False)
            console.file.flush()

        def progress() -> None:
            if console.is_terminal:
                table = watch_table(scan(folder, clock.time_ns(), system, known), console.width, console.height - 9)
                live.update(table, refresh=True)

        serve_publishers(folder, whip, video=video, on_ready=ready, on_progress=progress)
