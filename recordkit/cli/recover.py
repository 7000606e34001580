"""``recordkit recover``: finish unfinished recordings, repair broken files."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from ..errors import RecordkitError, SettingsError, StillRecordingError
from ..printable import printable
from ..system import System
from ..telemetry.terminal import terminal
from ..telemetry.words import count_text
from .many import How, Jobs, ProblemsOnly, State, Summary, are_many, run_many
from .shared import FAULT, INTERRUPTED, advance, interrupt, print_json

if TYPE_CHECKING:
    from ..recovery.measure import Progress as ProgressCallback
    from ..recovery.outcome import Recovery


def recover(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Folders, or recordings by their final or unfinished name."),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print JSON: a list with one entry per recording; of many files a line as each is done."
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FIXED.ts|FOLDER",
            help="Repair: copy the valid packets of PATH, written by any program, to this new file; of several "
            "files to this folder, each under its own name.",
        ),
    ] = None,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir",
            metavar="FOLDER",
            help="Repair what is broken of all media below PATH, on all cores, into this folder.",
        ),
    ] = None,
    jobs: Jobs = None,
    problems_only: ProblemsOnly = False,
    summary: Summary = False,
    state: State = None,
) -> None:
    """Finish recordings that a crash left behind: add what their tails hold, and commit them.

    Nothing is overwritten, and running recordings are not touched. What
    cannot be used is kept in a .rejected file. It may be interrupted and
    run again.

    The exit code is 0 only if everything asked for is recovered or was
    finished before, or is repaired so that it passes verify; a running
    recording in a folder is no error.
    """
    paths = [Path(one) for one in files]
    if are_many([], output_dir, jobs, problems_only, summary, state):
        if output is not None:
            raise SettingsError("output", str(output), "is of one file: of many give --output-dir FOLDER")
        options = {"dry_run": True} if dry_run else {}
        run_many(
            context.obj,
            "recover",
            files,
            How(jobs, state, problems_only, summary, as_json, output_dir),
            options=options,
        )
        return
    if output is not None:
        _check_output(output, paths)
    from ..recovery.outcome import Outcome

    console: Console = context.obj
    signal.signal(signal.SIGTERM, interrupt)
    found: list[Recovery] = []
    ok = True
    try:
        for path in paths:
            is_folder = path.is_dir()
            here: list[Recovery] = []
            is_complete = False
            try:
                _recover_path(path, dry_run, output, here)
                is_complete = True
            finally:
                found += here
                ok &= all(one.ok or (is_folder and one.outcome is Outcome.RECORDING) for one in here)
                # Of a folder where the first was interrupted it is not true that nothing lies there.
                if not as_json and (here or is_complete):
                    _show(console, path, here)
    except KeyboardInterrupt:
        _tell_interruption(paths, dry_run, output, len(found))
        raise typer.Exit(INTERRUPTED) from None
    finally:
        if as_json:
            print_json(console, [one.to_dict() for one in found])
    if not ok:
        raise typer.Exit(FAULT)


def _check_output(output: Path, paths: Sequence[Path]) -> None:
    folder = next((path for path in paths if path.is_dir()), None)
    if folder is not None:
        advice = f"{folder} is a folder: name the files in it that are to be repaired"
        raise SettingsError("output", str(output), advice)
    if len(paths) > 1 and not output.is_dir():
        advice = f"{len(paths)} files are to be repaired, and this is one: name a folder that exists"
        raise SettingsError("output", str(output), advice)


def _recover_path(path: Path, dry_run: bool, output: Path | None, found: list[Recovery]) -> None:
    """Recovers one recording, or those of a folder; what became of each is added to ``found``."""
    from ..recovery.names import unfinished
    from ..recovery.outcome import Outcome, Recovery

    try:
        names = unfinished(path) if path.is_dir() else [path]
    except RecordkitError as error:
        found.append(Recovery(path, None, Outcome.FAILED, str(error), dry_run))
        return
    errors = terminal(stderr=True)
    # Only while the work goes on: while it shows, it takes over what is printed.
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    ) as progress:
        for number, name in enumerate(names, 1):
            count = f"{number}/{len(names)} " if len(names) > 1 else ""
            task = progress.add_task(f"{count}{printable(name.name)}", total=None)
            found.append(_recover(name, dry_run, output, partial(advance, progress, task)))
            progress.remove_task(task)


def _recover(path: Path, dry_run: bool, output: Path | None, on_progress: ProgressCallback) -> Recovery:
    from ..recovery.outcome import Outcome, Recovery
    from ..recovery.recover import recover_one
    from ..recovery.repair import repair

    system = System()
    if output is None:
        return recover_one(path, dry_run=dry_run, on_progress=on_progress, system=system)
    try:
        return repair(path, output, dry_run=dry_run, on_progress=on_progress, system=system)
    except RecordkitError as error:
        outcome = Outcome.RECORDING if isinstance(error, StillRecordingError) else Outcome.FAILED
        return Recovery(path, None, outcome, str(error), dry_run)


def _show(console: Console, path: Path, found: Sequence[Recovery]) -> None:
    from .recovery_report import recovery_block, recovery_table

    if path.is_dir():
        console.print(recovery_table(found, console.width))
    else:
        for one in found:
            console.print(recovery_block(one, path), crop=False)


def _tell_interruption(paths: Sequence[Path], dry_run: bool, output: Path | None, done: int) -> None:
    words = [*map(str, paths), *(["--dry-run"] if dry_run else []), *(["--output", str(output)] if output else [])]
    line = Text.assemble(
        ("Interrupted: ", "bold yellow"),
        f"{count_text(done, 'recording')} done; the others can still be recovered. To go on: ",
        (f"recordkit recover {printable(shlex.join(words))}", "bold"),
    )
    terminal(stderr=True, soft_wrap=True).print(line)
