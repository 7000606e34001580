"""Options of the commands that take publishers by WHIP."""

from __future__ import annotations

from typing import Annotated

import typer

from ..endpoint.settings import TOKEN_VARIABLE

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
PageOption = Annotated[
    bool,
    typer.Option(
        "--publish-page",
        help="Serve a web page that publishes a browser's camera or screen.",
        rich_help_panel=_PANEL,
    ),
]
