"""The process that works, spoken to as the pool does."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import asdict
from pathlib import Path

import pytest

from recordkit.background.process import start_worker
from recordkit.fleet import worker
from recordkit.fleet.task import Task
from recordkit.version import __version__


def test_it_answers_a_row_a_line_and_ends_with_its_input(tmp_path: Path) -> None:
    process = start_worker("recordkit.fleet.worker")
    hearing, speaking = process.descriptors()
    with os.fdopen(hearing) as answers, os.fdopen(speaking, "w") as tasks:
        assert json.loads(answers.readline()) == {"version": __version__}
        for name in ("a.ts", "b.ts"):
            print(json.dumps(asdict(Task("verify", str(tmp_path / name)))), file=tasks, flush=True)
            assert json.loads(answers.readline())["path"] == str(tmp_path / name)
        tasks.close()
        assert answers.readline() == ""
    assert process.last_words() == (0, "")


def test_sigterm_ends_it_by_an_exception_so_that_nothing_half_is_left() -> None:
    with pytest.raises(SystemExit) as ended:
        worker._end(signal.SIGTERM, None)
    assert ended.value.code == 128 + signal.SIGTERM
