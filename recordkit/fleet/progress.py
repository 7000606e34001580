"""How far many files are, in the terminal or in the notebook cell that waits for them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from ..printable import for_page
from ..telemetry.words import count_text, time_text

if TYPE_CHECKING:
    from rich.console import Console

_EACH_S = 0.1
_COUNTING_S = 0.02


class Counting:
    """How many files there are, counted a little at a time while others are worked on."""

    def __init__(self, files: Iterator[object], clock: Callable[[], float] = monotonic) -> None:
        self._files = files
        self._clock = clock
        self._count = 0
        self.total: int | None = None
        """Known once all are counted."""

    def advance(self) -> None:
        """Count on for a fiftieth of a second."""
        end = self._clock() + _COUNTING_S
        while self.total is None and self._clock() < end:
            for _ in range(256):
                if next(self._files, None) is None:
                    self.total = self._count
                    return
                self._count += 1


class Show(Protocol):
    """Shows a state; called again and again."""

    def __call__(self, done: int, bad: int, total: int | None) -> None:
        """``done`` files of ``total``, of which ``bad`` are not as they should be."""


class Progress:
    """Counts rows, and shows them at most ten times a second."""

    def __init__(self, show: Show | None, counting: Counting, clock: Callable[[], float] = monotonic) -> None:
        self.done = self.bad = 0
        self._show = show
        self._counting = counting
        self._clock = clock
        self._shown_at = -1.0

    def tick(self) -> None:
        """Nothing new, or something: show how it stands if that has not been done just now."""
        if self._show is None or self._clock() - self._shown_at < _EACH_S:
            return
        self._counting.advance()
        self._show(self.done, self.bad, self._counting.total)
        self._shown_at = self._clock()

    def add(self, *, ok: bool) -> None:
        """One more file is done."""
        self.done += 1
        self.bad += not ok
        self.tick()

    def end(self) -> None:
        """All are."""
        if self._show is not None:
            self._show(self.done, self.bad, self.done)


@contextmanager
def showing(title: str, console: Console | None = None) -> Iterator[Show | None]:
    """What shows the progress of ``title`` here: this cell, this terminal (or ``console``'s), or nothing."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is not None and hasattr(shell, "kernel"):
        yield _Cell(title)
    elif console is not None or sys.stderr.isatty():
        with _bar(title, console) as show:
            yield show
    else:
        yield None


@contextmanager
def _bar(title: str, console: Console | None) -> Iterator[Show]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from ..telemetry.terminal import terminal

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[words]}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console or terminal(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=None, words="")

        def show(done: int, bad: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total, words=words(done, bad, total))

        yield show


def words(done: int, bad: int, total: int | None) -> str:
    """``1,200 of 2,000 files, 3 with problems``."""
    files = count_text(done, "file") if total is None else f"{done:,} of {count_text(total, 'file')}"
    return f"{files}, {bad:,} with problems" if bad else files


class _Cell:
    """One line of output with a bar, which changes in its place."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._handle: Any = None
        self._began = monotonic()

    def __call__(self, done: int, bad: int, total: int | None) -> None:
        """Show it."""
        from IPython.display import display

        plain = f"{self._title}  {words(done, bad, total)}, {time_text(monotonic() - self._began)}"
        bar = f'<progress max="{total}" value="{done}"></progress>' if total else "<progress></progress>"
        shown = {"text/plain": plain, "text/html": f"{bar} <code>{for_page(plain)}</code>"}
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(shown, raw=True)
