"""The process that works on one file after the other, ``python -m recordkit.fleet.worker``.

It is told a task a line, and answers a row a line. When whoever started it is gone it ends with the task that it
has; SIGTERM ends it at once, and what it had begun to write is removed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from types import FrameType

from ..telemetry.words import json_text
from ..verification.room import Room
from ..version import __version__
from .actions import run
from .task import Task


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def main() -> int:
    """Work until there are no further tasks."""
    signal.signal(signal.SIGTERM, _end)
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # whatever is printed is no answer
    try:
        print(json_text({"version": __version__}), file=answers, flush=True)
        room = Room()
        for line in sys.stdin.buffer:
            # What stands in the file of errors at the end is about the last task.
            os.ftruncate(2, 0)
            os.lseek(2, 0, os.SEEK_SET)
            print(json_text(run(Task(**json.loads(line)), room)), file=answers, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), answers.fileno())  # so that closing it is no error
    return 0


if __name__ == "__main__":
    sys.exit(main())
