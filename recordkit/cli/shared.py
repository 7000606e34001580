"""What the commands share: exit codes, how they end, how they show their progress."""

from __future__ import annotations

from collections.abc import Iterable
from types import FrameType
from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.progress import Progress, TaskID
from rich.segment import Segment

from ..printable import printable
from ..telemetry.words import json_text

FAULT, USAGE, INTERRUPTED = 1, 2, 130


class _Printable(RenderHook):
    """Whatever is printed, of whatever is in it nothing is obeyed by the terminal but what is our own."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Shown(one) for one in renderables]


class _Shown:
    def __init__(self, what: ConsoleRenderable) -> None:
        self._what = what

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        return self._segments(console.render(self._what, options))

    @staticmethod
    def _segments(segments: Iterable[Segment]) -> Iterable[Segment]:
        for one in segments:
            if one.control:
                yield one
            else:
                yield Segment("\n".join(map(printable, one.text.split("\n"))), one.style)


def terminal(**options: Any) -> Console:  # noqa: ANN401 - those of a console
    """The console for all that the commands print: text is no markup, and cannot steer the terminal."""
    console = Console(markup=False, emoji=False, **options)
    console.push_render_hook(_Printable())
    return console


def interrupt(number: int, frame: FrameType | None) -> None:
    """Signal handler that treats a signal like Ctrl-C, so that the command ends in the same way."""
    raise KeyboardInterrupt


def advance(progress: Progress, task: TaskID, done: int, total: int) -> None:
    """Show that ``done`` of ``total`` bytes of a task have been looked at."""
    progress.update(task, completed=done, total=total)


def print_json(console: Console, document: object) -> None:
    """Print JSON as it is: not wrapped, not coloured."""
    console.file.write(json_text(document, indent=2) + "\n")
