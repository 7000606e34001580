"""What the commands share: exit codes, how they end, how they show their progress."""

from __future__ import annotations

from types import FrameType

from rich.console import Console
from rich.progress import Progress, TaskID

from ..telemetry.words import json_text

FAULT, USAGE, INTERRUPTED = 1, 2, 130


def interrupt(number: int, frame: FrameType | None) -> None:
    """Signal handler that treats a signal like Ctrl-C, so that the command ends in the same way."""
    raise KeyboardInterrupt


def advance(progress: Progress, task: TaskID, done: int, total: int) -> None:
    """Show that ``done`` of ``total`` bytes of a task have been looked at."""
    progress.update(task, completed=done, total=total)


def print_json(console: Console, document: object) -> None:
    """Print JSON as it is: not wrapped, not coloured."""
    console.file.write(json_text(document, indent=2) + "\n")
