"""Processes that work on one file each, and what it costs if one dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from recordkit.errors import FleetError
from recordkit.fleet.pool import Pool, usual_jobs
from recordkit.fleet.rows import Row
from recordkit.fleet.task import Task
from tests.fleet.driving import Stand


def tasks(*names: str) -> Iterator[Task | None]:
    return (Task("verify", name) for name in names)


def rows(pool: Pool, *names: str) -> list[Row]:
    return [row for row in pool.rows(tasks(*names)) if row is not None]


def test_there_is_a_row_a_file_and_no_process_is_left() -> None:
    start = Stand()
    found = rows(Pool(2, start), *map(str, range(50)))
    assert sorted(int(row["path"]) for row in found) == list(range(50))
    assert len(start.begun) == 2
    assert [one.returncode for one in start.begun] == [0, 0]


def test_no_more_processes_begin_than_there_are_files() -> None:
    start = Stand()
    assert len(rows(Pool(8, start), "one")) == 1
    assert len(start.begun) == 1
    assert rows(Pool(8, start)) == []
    assert usual_jobs() >= 1


def test_a_process_that_dies_is_a_row_and_is_replaced() -> None:
    start = Stand()
    found = {row["path"]: row for row in rows(Pool(1, start), "a", "kill 1", "b", "fault", "kill 2", "c")}
    assert set(found) == {"a", "kill 1", "b", "fault", "kill 2", "c"}
    assert len(start.begun) == 4
    assert found["c"]["ok"]
    died = "the process that worked on it"
    assert found["kill 1"]["problem"] == "worker died"
    assert found["kill 1"]["detail"] == f"{died} was killed by signal 9 (SIGKILL)"
    assert found["fault"]["detail"] == f"{died} ended by itself (exit code 1): RuntimeError: something odd"
    assert found["fault"]["failed"]


QUICK = """
import json, os, signal, sys
print('{"version": "0"}', flush=True)
for line in sys.stdin:
    path = json.loads(line)["path"]
    if path.startswith("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    print(json.dumps({"path": path, "ok": True, "elapsed_s": 0.01}), flush=True)
"""


def test_small_files_are_given_ahead_and_one_that_kills_costs_its_own_row_alone() -> None:
    asked = []

    def given() -> Iterator[Task | None]:
        for name in (*map(str, range(200)), "kill", *map(str, range(200, 300))):
            asked.append(name)
            yield Task("verify", name)

    made = Pool(1, Stand(QUICK)).rows(given())
    found, ahead = [], []
    for row in made:
        if row is not None:
            found.append(row)
            ahead.append(len(asked) - len(found))
    assert sorted(row["path"] for row in found) == sorted(asked)
    assert [row["path"] for row in found if not row["ok"]] == ["kill"]
    assert max(ahead) in range(20, 52), "as many as take half a second"


def test_long_names_are_given_ahead_as_far_as_a_pipe_takes_them() -> None:
    names = [f"{number}/{'n' * 4000}" for number in range(60)]
    assert [row["path"] for row in rows(Pool(1, Stand(QUICK)), *names)] == names


def test_parts_are_given_to_who_has_nothing_else() -> None:
    asked = []

    def given() -> Iterator[Task | None]:
        for number in range(20):
            asked.append(number)
            yield Task("check part", str(number), part=f"1:{number}")

    done = 0
    for row in Pool(2, Stand(QUICK)).rows(given()):
        done += row is not None
        assert len(asked) - done <= 3
    assert done == 20


def test_what_a_dead_process_has_left_of_its_copy_is_removed(tmp_path: Path) -> None:
    original, target = tmp_path / "kill.ts", tmp_path / "kill.mp4"
    left = [tmp_path / "kill.mp4.exporting", tmp_path / "kill.repairing.mp4"]
    for path in (original, *left):
        path.write_bytes(b"1")
    task = Task("export", "kill it", str(target))
    assert [row for row in Pool(1, Stand()).rows(iter([task])) if row] != []
    assert list(tmp_path.iterdir()) == [original]


def test_no_more_files_are_asked_for_than_are_worked_on() -> None:
    asked = []

    def endless() -> Iterator[Task | None]:
        for number in range(10**9):
            asked.append(number)
            yield Task("verify", str(number))

    start = Stand()
    with closing(Pool(2, start).rows(endless())) as made:
        assert any(row is not None for row in made)
        assert len(asked) <= 4
    assert all(one.returncode is not None for one in start.begun)


def test_ended_early_it_stops_what_runs() -> None:
    start = Stand()
    with closing(Pool(2, start).rows(tasks("hang 1", "hang 2"))) as made:
        assert next(made) is None, "nothing is done, and it is told so"
    assert [one.returncode for one in start.begun] == [-signal.SIGTERM] * 2


def test_nothing_to_do_now_is_passed_on() -> None:
    assert list(Pool(1, Stand()).rows(iter([None, None]))) == [None, None]


def test_processes_that_cannot_begin_are_an_error() -> None:
    def refuse(module: str) -> object:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(FleetError, match="this machine: no process can be started: Permission denied"):
        rows(Pool(2, refuse), "a")
    with pytest.raises(FleetError, match=r"ended by itself.*no such thing"):
        rows(Pool(2, Stand("raise ImportError('no such thing')")), "a", "b")


def test_a_process_that_is_killed_before_it_begins_costs_a_row() -> None:
    program = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    (row,) = rows(Pool(1, Stand(program)), "a")
    assert (row["path"], row["problem"]) == ("a", "worker died")


def test_names_that_are_no_text_come_back() -> None:
    name = os.fsdecode(b"caf\xe9.ts")
    assert [row["path"] for row in rows(Pool(1, Stand()), name)] == [name]
