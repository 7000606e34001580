"""Options of the commands that take publishers by WHIP."""

from __future__ import annotations

from typing import Annotated

import typer

from ..endpoint.settings import TOKEN_VARIABLE

_PANEL = "WHIP endpoint"

HostOption = Annotated[
    str, typer.Option(help="The address to listen at; 0.0.0.0 for all of this machine's.", rich_help_panel=_PANEL)
]
PortOption = Annotated[int, typer.Option(help="The port; 0 takes a free one.", rich_help_panel=_PANEL)]
TokenOption = Annotated[
    str | None,
    typer.Option(
        envvar=TOKEN_VARIABLE,
        show_envvar=True,
        help="What publishers must show; needed for any address but loopback. Others see it in the list of "
        "processes: the variable is the better place.",
        rich_help_panel=_PANEL,
    ),
]
PageOption = Annotated[
    bool,
    typer.Option(
        "--publish-page", help="Serve a page that publishes a browser's camera or screen.", rich_help_panel=_PANEL
    ),
]
