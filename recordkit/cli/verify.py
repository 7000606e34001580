"""``recordkit verify``: what is in a file, and what is wrong with it."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from ..errors import SettingsError, SourceError
from ..sources.readback import read_back
from ..telemetry.terminal import terminal
from ..verification.verify import verify as verify_file
from .many import How, Jobs, ProblemsOnly, State, Summary, are_many, run_many
from .report import readback_text, verification_report
from .shared import FAULT, advance, print_json


def verify(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|FOLDER|GLOB...",
            help="The files to check; of a folder or a pattern all media, on all cores.",
        ),
    ],
    decode: Annotated[bool, typer.Option("--decode", help="Decode everything too.")] = False,
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="Read back the marks of the synthetic source too.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; of many files a line as each is done.")
    ] = False,
    jobs: Jobs = None,
    problems_only: ProblemsOnly = False,
    summary: Summary = False,
    state: State = None,
) -> None:
    """Show what is in MPEG-TS, MP4 and audio files, and what is wrong with them.

    The exit code is 0 only if nothing is wrong.
    """
    console: Console = context.obj
    if are_many(files, jobs, problems_only, summary, state):
        if synthetic:
            raise SettingsError(
                "synthetic", synthetic, "the marks are read back of files that are named, one by one"
            )
        options = {"decode": True} if decode else {}
        run_many(
            console,
            "verify",
            files,
            How(jobs, state, problems_only, summary, as_json),
            options=options,
        )
        return
    paths = [Path(one) for one in files]
    documents: list[dict[str, Any]] = []
    all_ok = True
    columns = (TextColumn("{task.description}", markup=False), BarColumn())
    with Progress(*columns, console=terminal(stderr=True), transient=True, disable=as_json) as progress:
        for path in paths:
            task = progress.add_task(path.name, total=None)
            try:
                found = verify_file(path, decode=decode, on_progress=partial(advance, progress, task))
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
        print_json(console, documents[0] if len(documents) == 1 else documents)
    if not all_ok:
        raise typer.Exit(FAULT)
