"""Options of the commands that take publishers by WHIP."""

from __future__ import annotations

from typing import Annotated

import typer

from ..endpoint.settings import TOKEN_VARIABLE
from ..errors import SettingsError

_PANEL = "WHIP endpoint"

HostOption = Annotated[
    str,
    typer.Option(
        help="The address to listen on; 0.0.0.0 listens on all addresses of this machine.", rich_help_panel=_PANEL
    ),
]
PortOption = Annotated[int, typer.Option(help="The port to listen on; 0 picks a free one.", rich_help_panel=_PANEL)]
TokenOption = Annotated[
    str | None,
    typer.Option(
        envvar=TOKEN_VARIABLE,
        show_envvar=True,
        help="The token that publishers must send; required for any address but loopback. Prefer the "
        "variable: other users of this machine can read the command line.",
        rich_help_panel=_PANEL,
    ),
]
MediaPortsOption = Annotated[
    str | None,
    typer.Option(
        metavar="FIRST-LAST",
        help="UDP ports of the media, such as 50000-50015, where only some reach this machine.",
        rich_help_panel=_PANEL,
    ),
]
AnnounceOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="IP address that publishers reach the media ports at, where that is not this machine's own.",
        rich_help_panel=_PANEL,
    ),
]
MaxSilenceOption = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="End a publisher that sends neither video nor audio for so long, such as 30s; what came is committed.",
        rich_help_panel=_PANEL,
    ),
]
PageOption = Annotated[
    bool,
    typer.Option(
        "--publish-page",
        help="Serve a web page that publishes a browser's camera or screen.",
        rich_help_panel=_PANEL,
    ),
]


def port_range(text: str | None) -> tuple[int, int] | None:
    """``50000-50015``, or one port, as the first and the last. Raises SettingsError."""
    if text is None:
        return None
    first, _, last = text.partition("-")
    try:
        return int(first), int(last or first)
    except ValueError as error:
        raise SettingsError("media_ports", text, "give FIRST-LAST, such as 50000-50015") from error
