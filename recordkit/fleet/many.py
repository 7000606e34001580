"""``rk.verify_all`` and its like: one call for many files, a row for each."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import SettingsError
from ..names import SUFFIXES
from ..signatures import named
from ..values import PathLike, flag, function, maybe, one_of, whole
from ..values import path as read_path
from .actions import ACTIONS, stem
from .cluster import Cluster, is_client
from .files import Found, Wanted, find, given
from .parts import Parts
from .pool import Pool, usual_jobs
from .progress import Counting, Progress, showing
from .rows import Row, failed, sums, table
from .task import WAIT, Task

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from .state import State

Files = PathLike | Iterable[PathLike]
"""A path, a folder, a pattern such as ``"archive/**/*.ts"``, or several of them."""
OnRow = Callable[[Row], object]

_MOST_JOBS = 1024
_AT_ONCE = 256
_EXPORTS = SUFFIXES
_TABLES = (".parquet", ".csv")


class Engine(Protocol):
    """What works on tasks."""

    def rows(self, tasks: Iterator[Task | None]) -> Generator[Row | None]:
        """A row for each task when it is done, None now and then if nothing is."""


@dataclass(frozen=True)
class Work:
    """What is to be done: an action to ``files``, with ``options``; copies go to the folder ``output``."""

    action: str
    files: Collection[str]
    output: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def wanted(self) -> Wanted:
        """What of folders is meant."""
        action = ACTIONS[self.action]
        beside = self.options.get("suffix") if self.output is None and self.action == "export" else None
        return Wanted(
            # What lies beside what it was made of is not made once more.
            tuple(suffix for suffix in action.suffixes if suffix != beside),
            unfinished=self.action == "recover" and self.output is None,
            apart=None if self.output is None else os.path.realpath(self.output),
        )

    def target(self, found: Found) -> str | None:
        """Where the copy of a file goes: its place below what was asked for is kept below the output."""
        makes = ACTIONS[self.action].makes
        if makes is None or (self.output is None and self.action != "export"):
            return None
        folder, name = os.path.split(found.below)
        name = stem(name) + makes(name, self.options)
        where = os.path.dirname(found.path) if self.output is None else os.path.join(self.output, folder)  # noqa: PTH118, PTH120
        return os.path.join(where, name)  # noqa: PTH118


def work(
    what: Work,
    *,
    jobs: Any = None,  # noqa: ANN401 - whatever a caller gives
    engine: Any = None,  # noqa: ANN401 - a distributed.Client, of an optional package
    state: Any = None,  # noqa: ANN401 - whatever a caller gives
    progress: bool = True,
    console: Console | None = None,
    on_begun: Callable[[], object] | None = None,
) -> Generator[Row]:
    """The rows of ``what``, each when it is done. Arguments are those of ``verify_all``.

    ``on_begun`` is called once, when the work is given out and the first rows will take a while.
    """
    count = maybe(whole(1, _MOST_JOBS, "processes"))("jobs", jobs) or usual_jobs()
    kept = maybe(read_path)("state", state)
    chosen = _engine(engine, count)
    return _worked(what, chosen, kept, progress=progress, console=console, on_begun=on_begun)


def _engine(engine: Any, jobs: int) -> Engine:  # noqa: ANN401 - a distributed.Client, of an optional package
    if engine is None:
        return Pool(jobs)
    if not is_client(engine):
        advice = "give a distributed.Client, or None for the processes of this machine"
        raise SettingsError("engine", engine, advice)
    return Cluster(engine)


def _worked(
    what: Work,
    engine: Engine,
    kept: Path | None,
    *,
    progress: bool,
    console: Console | None,
    on_begun: Callable[[], object] | None,
) -> Generator[Row]:
    with ExitStack() as stack:
        options = {**what.options, "output": None if what.output is None else str(what.output)}
        state = None if kept is None else stack.enter_context(_state(kept, what.action, options))
        title = what.action.capitalize()
        show = stack.enter_context(showing(title, console)) if progress else None
        shown = Progress(show, Counting(find(what.files, what.wanted)))
        known: deque[Row] = deque()
        parts = Parts()
        rows = engine.rows(_tasks(what, state, known, parts))
        stack.callback(rows.close)
        for told in rows:
            if on_begun is not None:
                on_begun()
                on_begun = None
            row = None if told is None else parts.whole(told)
            if row is None:
                shown.tick()
            else:
                if state is not None:
                    state.add(row)
                known.append(row)
            yield from _counted(known, shown)
        yield from _counted(known, shown)
        shown.end()


def _state(path: Path, action: str, options: Mapping[str, Any]) -> State:
    from .state import State  # which loads NumPy

    return State(path, action, options)


def _counted(known: deque[Row], shown: Progress) -> Iterator[Row]:
    while known:
        shown.add(ok=known[0]["ok"])
        yield known.popleft()


def _tasks(what: Work, state: State | None, known: deque[Row], parts: Parts) -> Iterator[Task | None]:
    """What is to be done; ``known`` gets the rows that need no work, after some of which there is a None."""
    for task in _whole(what, state, known):
        if task is None:
            yield None
        else:
            yield from parts.of(task)
        yield from parts.due()
    while parts.are_waited_for:
        yield from parts.due()
        yield WAIT


def _whole(what: Work, state: State | None, known: deque[Row]) -> Iterator[Task | None]:
    """The same, a task a file."""
    for found in find(what.files, what.wanted):
        row = None if state is None else state.row(found.path)
        if found.problem is not None:
            row = failed(found.path, "cannot be listed", found.problem.removeprefix("cannot be listed: "))
        if row is not None:
            known.append(row)
            if len(known) >= _AT_ONCE:
                yield None
            continue
        task = Task(what.action, found.path, what.target(found), dict(what.options))
        if state is not None:
            if state.was_begun(found.path) and task.target is not None and Path(task.target).exists():
                # It gets its name only when it is whole, and had none when its work was begun.
                row = {
                    "path": found.path,
                    "ok": True,
                    "detail": "made before the interruption",
                    "output": task.target,
                }
                state.add(row)
                known.append(row)
                continue
            state.begin(task)
        yield task


@named
def verify_all(
    files: Files,
    *,
    jobs: int | None = None,
    engine: Any = None,  # noqa: ANN401 - a distributed.Client, of an optional package
    decode: bool = False,
    state: PathLike | None = None,
    progress: bool = True,
    on_row: OnRow | None = None,
) -> pd.DataFrame:
    """Check many files as ``verify`` does, on all cores, and return a row for each, in the order of their paths.

    ``files`` is a path, a folder (all media below it), a pattern such as ``"archive/**/*.ts"``, a URL of any of
    these that fsspec knows, such as ``"s3://bucket/2026/**"`` (the extra ``remote``), or a list of them. Files
    whose names begin with a dot and unfinished recordings are left out unless they are named.

    Columns: ``path``; ``ok``, whether nothing is wrong; ``problem``, the worst kind, and ``detail``, that in words;
    ``problems``, how many kinds; ``streams`` and ``codecs``; ``duration_s``; ``bytes``; ``bit_rate`` in bit/s;
    ``gaps`` and ``gaps_s``; ``frames`` and ``keyframes``; ``width`` and ``height`` in pixels; ``frame_rate`` a
    second; ``decoded``; ``elapsed_s``, how long this file took. A file that cannot be read is a row that says why,
    and so is one at which the process that worked on it died; the others go on.

    ``jobs`` is how many processes work, by default one for each core. With ``engine``, a ``distributed.Client``
    (the extra ``fleet``), its workers do the same; paths must lead to the same files there. ``state`` names a file
    that notes what is done: the same call with it goes on after an interruption. ``progress`` shows a bar in a
    terminal or a notebook. ``on_row`` is called with each row as a dict when it is done. Nothing but ``state`` is
    written.

    Raises SettingsError for arguments that cannot be used, FleetError if no process can be started, or the
    engine's scheduler is not there, has no workers or workers with another version of recordkit.
    """
    options = {"decode": flag("decode", decode)} if decode else {}
    what = Work("verify", given("files", files), options=options)
    return _table(what, jobs=jobs, engine=engine, state=state, progress=progress, on_row=on_row)


@named
def recover_all(
    files: Files,
    *,
    output: PathLike | None = None,
    dry_run: bool = False,
    jobs: int | None = None,
    engine: Any = None,  # noqa: ANN401 - a distributed.Client, of an optional package
    state: PathLike | None = None,
    progress: bool = True,
    on_row: OnRow | None = None,
) -> pd.DataFrame:
    """Finish all unfinished recordings below folders as ``recover`` does; a row for each.

    With ``output`` broken files are repaired instead: each is checked, and what of a broken one is valid is copied
    into this folder, under its own name and its place below what was asked for. Whole files are not copied
    (``outcome`` is "whole"), and no file that is there is touched.

    Columns: ``path``, ``ok``, ``problem``, ``detail``, ``outcome`` (as of ``recover``), ``output`` (where it is
    now), ``duration_s``, ``bytes``, ``tail_bytes`` that came from the tail, ``cut_bytes`` that could not be used,
    ``elapsed_s``. A recording that is running is left alone, and no problem. Other arguments, and what is raised,
    as of ``verify_all``.
    """
    options = {"dry_run": flag("dry_run", dry_run)} if dry_run else {}
    what = Work("recover", given("files", files), maybe(read_path)("output", output), options)
    return _table(what, jobs=jobs, engine=engine, state=state, progress=progress, on_row=on_row)


@named
def export_all(
    files: Files,
    *,
    suffix: str = ".mp4",
    output: PathLike | None = None,
    jobs: int | None = None,
    engine: Any = None,  # noqa: ANN401 - a distributed.Client, of an optional package
    state: PathLike | None = None,
    progress: bool = True,
    on_row: OnRow | None = None,
) -> pd.DataFrame:
    """Copy many recordings into another container as ``export`` does; a row for each.

    The copies have ``suffix``, and lie beside their originals or, with ``output``, in that folder, each in its
    place below what was asked for. A copy gets its name when it is whole; a name that
    is taken is a row that says so.

    Columns: ``path``, ``ok``, ``problem``, ``detail``, ``output`` (the copy), ``duration_s``, ``bytes``, ``units``
    copied, ``encoded`` anew, ``elapsed_s``. Other arguments, and what is raised, as of ``verify_all``.
    """
    options = {"suffix": one_of(*_EXPORTS)("suffix", suffix)}
    what = Work("export", given("files", files), maybe(read_path)("output", output), options)
    return _table(what, jobs=jobs, engine=engine, state=state, progress=progress, on_row=on_row)


@named
def frames_all(
    files: Files,
    *,
    output: PathLike | None = None,
    suffix: str = ".parquet",
    jobs: int | None = None,
    engine: Any = None,  # noqa: ANN401 - a distributed.Client, of an optional package
    state: PathLike | None = None,
    progress: bool = True,
    on_row: OnRow | None = None,
) -> pd.DataFrame:
    """Count the frames of many videos; a row for each. With ``output`` the table of each goes to that folder.

    ``suffix`` of the tables is ``.parquet`` (needs pyarrow) or ``.csv``.

    Columns: ``path``, ``ok`` (no frame is lost or damaged), ``problem``, ``detail``, ``frames``, ``keyframes``,
    ``duration_s``, ``frame_rate`` a second, ``lost``, ``damaged``, ``output`` (the table), ``elapsed_s``. Other
    arguments, and what is raised, as of ``verify_all``.
    """
    options = {"suffix": one_of(*_TABLES)("suffix", suffix)}
    what = Work("frames", given("files", files), maybe(read_path)("output", output), options)
    return _table(what, jobs=jobs, engine=engine, state=state, progress=progress, on_row=on_row)


@named
def summary(files: Any, **arguments: Any) -> pd.DataFrame:  # noqa: ANN401 - a DataFrame, of an optional import, or files
    """How many files are well, and how many have which problem: a row for each, ``ok`` first.

    ``files`` is what ``verify_all`` takes, with its ``arguments``, or a table that it or its like returned.
    Columns: ``files``, ``bytes``, ``duration_s`` and ``example``, the path of one; the index is ``problem``.
    """
    import pandas as pd

    return sums(files if isinstance(files, pd.DataFrame) else verify_all(files, **arguments))


def _table(what: Work, *, on_row: OnRow | None, **how: Any) -> pd.DataFrame:  # noqa: ANN401 - those of work
    told = maybe(function)("on_row", on_row)
    flag("progress", how["progress"])
    with closing(work(what, **how, on_begun=_import_pandas)) as rows:
        return table((_told(row, told) for row in rows), ACTIONS[what.action].columns)


def _import_pandas() -> None:
    """What makes the table, while the first files are worked on."""
    import pandas  # noqa: F401


def _told(row: Row, told: OnRow | None) -> Row:
    if told is not None:
        told(row)
    return row
