"""The commands put together: their options in common, their exit codes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.text import Text

from ..errors import RecordkitError, SettingsError
from ..telemetry.terminal import terminal
from ..version import __version__
from .export import export
from .frames import frames, image
from .keep import keep, pin
from .marks import marks
from .partials import partials
from .record import record
from .recover import recover
from .serve import serve
from .shared import FAULT, INTERRUPTED, USAGE
from .verify import verify
from .watch import watch

app = typer.Typer(
    name="recordkit",
    help="Record live audio and video straight to disk: flat memory, a file that grows, nothing lost in a crash.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command(no_args_is_help=True)(record)
app.command(no_args_is_help=True)(verify)
app.command()(watch)
app.command(no_args_is_help=True)(marks)
app.command(no_args_is_help=True)(frames)
app.command(no_args_is_help=True)(image)
app.command(no_args_is_help=True)(export)
app.command(no_args_is_help=True)(serve)
app.command(no_args_is_help=True)(recover)
app.command()(partials)
app.command(no_args_is_help=True)(keep)
app.command(no_args_is_help=True)(pin)


def run(argv: Sequence[str], console: Console | None = None, errors: Console | None = None) -> int:
    """Run the command line with ``argv`` (without the program's name) and return its exit code.

    0: success; 1: the recording failed, broke off or made no file, a file is damaged or cannot be
    recovered, or a recording that was looked at has crashed; 2: bad arguments; 130: interrupted, the
    partial was left.
    """
    errors = errors or terminal(stderr=True, soft_wrap=True)
    try:
        app(list(argv), prog_name="recordkit", obj=console or terminal())
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0 if ended.code is None else FAULT
    except SettingsError as error:
        errors.print(Text.assemble(("error ", "bold red"), str(error)))
        return USAGE
    except RecordkitError as error:
        errors.print(Text.assemble(("error ", "bold red"), str(error)))
        return FAULT
    except KeyboardInterrupt:
        errors.print("Interrupted. What was not committed yet is left as it is; see: recordkit partials")
        return INTERRUPTED
    return 0


def main() -> None:
    """Entry point of the ``recordkit`` command."""
    sys.exit(run(sys.argv[1:]))


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show log messages, one for each flush too.")
    ] = False,
) -> None:
    """Set up what all commands share."""
    if version:
        context.obj.print(f"recordkit {__version__}", highlight=False)
        raise typer.Exit
    handler = RichHandler(console=terminal(stderr=True), show_path=False, markup=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    if verbose:
        logging.getLogger("recordkit").setLevel(logging.INFO)
