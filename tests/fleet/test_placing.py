"""Which source records where, in a world of machines that are made up, and in no time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from recordkit.fleet.placed import Placed
from recordkit.fleet.placing import GONE_AFTER_S, Placing
from recordkit.fleet.site import nth_path

ROOM = {"memory_bytes": 8 << 30, "descriptors": 1000, "free_bytes": 1 << 40}


@dataclass
class World:
    """Workers on machines, and what records there: ``alive`` its machine, None once its process is gone."""

    workers: dict[str, str]
    slots: dict[str, float] = field(default_factory=dict)
    rooms: dict[str, dict[str, Any]] = field(default_factory=dict)
    deaf: set[str] = field(default_factory=set)
    refusing: set[str] = field(default_factory=set)
    alive: dict[str, str | None] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    size: dict[str, int] = field(default_factory=dict)
    locked: set[str] = field(default_factory=set)
    now: float = 0.0
    asked: list[tuple[str, str]] = field(default_factory=list)

    def living(self) -> dict[str, float | None]:
        return {address: self.slots.get(address) for address in self.workers}

    def ask(self, questions: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return {one: self.answer(one, asked) for one, asked in questions.items() if one not in self.deaf}

    def answer(self, address: str, asked: dict[str, Any]) -> dict[str, Any]:
        machine = self.workers[address]
        for order in asked.get("begin", ()):
            if address in self.refusing:
                self.ended[order["path"]] = "refused"
            else:
                self.ended.pop(order["path"], None)
                self.alive[order["path"]] = machine
        for path in asked.get("stop", ()):
            self.ended[path] = "stopped"
            self.alive[path] = None
        recovered = {}
        for path in asked.get("recover", ()):
            self.asked.append((address, path))
            recovered[path] = {"outcome": None if path in self.locked else "recovered", "bytes": 7}
        standings = {path: self.standing(machine, path) for path in asked.get("watch", ())}
        for path in asked.get("seek", ()):
            attempt = max((n for n in range(1, 9) if nth_path(path, n) in self.alive), default=1)
            standings[path] = self.standing(machine, nth_path(path, attempt)) | {"attempt": attempt}
        room = {"machine": machine, **ROOM, **self.rooms.get(address, {})}
        return {"room": room, "standings": standings, "recovered": recovered}

    def standing(self, machine: str, path: str) -> dict[str, Any]:
        size = self.size.get(path)
        if path in self.ended:
            return {"state": self.ended[path], "problem": "for a reason", "partial_bytes": size}
        if path not in self.alive:
            return {"state": "absent", "partial_bytes": size}
        if self.alive[path] == machine:
            return {"state": "recording", "partial_bytes": size}
        return {"state": "died" if self.alive[path] is None else "away", "partial_bytes": size}


class Run:
    """Sources that are placed in a world, a step a second."""

    def __init__(self, world: World, *names: str) -> None:
        self.world = world
        self.events: list[dict[str, Any]] = []
        sources = [Placed(name, {}, f"/cam/{name}.ts") for name in names]
        self.placing = Placing(sources, world, 100 << 20, self.events.append, lambda: world.now)

    def steps(self, count: int, *growing: str) -> None:
        for _ in range(count):
            for path in growing:
                self.world.size[path] = self.world.size.get(path, 0) + 1
            self.placing.step()
            self.world.now += 1

    def what(self, name: str) -> list[str]:
        return [one["what"] for one in self.events if one["name"] == name]

    def site(self, name: str) -> str | None:
        return next(one.site for one in self.placing.sources if one.name == name)


def test_each_goes_where_there_are_the_fewest_and_no_more_than_there_are_slots() -> None:
    run = Run(World({"a": "1", "b": "2"}, slots={"a": 1, "b": 2}), *"wxyz")
    run.steps(3)
    assert sorted(filter(None, map(run.site, "wxyz"))) == ["a", "b", "b"]
    assert run.what("z") == ["no room"]
    run.world.workers["c"] = "3"
    run.steps(2)
    assert run.site("z") == "c"


@pytest.mark.parametrize("short", ["memory_bytes", "descriptors", "free_bytes"])
def test_where_there_is_no_room_nothing_is_placed(short: str) -> None:
    run = Run(World({"a": "1", "b": "2"}, rooms={"a": {short: 1}}), "x", "y")
    run.steps(2)
    assert (run.site("x"), run.site("y")) == ("b", "b")


def test_whoever_refuses_is_not_asked_again_at_once() -> None:
    run = Run(World({"a": "1", "b": "2"}, refusing={"a"}), "x")
    run.steps(4)
    assert run.what("x") == ["placed", "refused", "placed", "recording"]
    assert run.site("x") == "b"
    assert run.placing.sources[0].path == "/cam/x.ts"


def test_a_recording_whose_worker_is_gone_is_found_again_on_its_machine() -> None:
    run = Run(World({"a": "1", "b": "2", "c": "1"}), "x")
    run.steps(2)
    assert run.site("x") == "a"
    del run.world.workers["a"]
    run.steps(2)
    assert run.what("x")[-1] == "found again"
    assert (run.site("x"), run.placing.sources[0].state) == ("c", "recording")


def test_a_recording_of_an_earlier_call_is_found_again() -> None:
    run = Run(World({"a": "1", "b": "2"}, alive={"/cam/x.ts": "2"}), "x")
    run.steps(2)
    assert run.what("x") == ["found again", "recording"]
    assert run.site("x") == "b"


def test_one_that_an_earlier_call_had_to_place_anew_is_found_in_its_newest_file() -> None:
    run = Run(World({"a": "1", "b": "2"}, alive={"/cam/x.ts": None, "/cam/x-3.ts": "2"}), "x")
    run.steps(2)
    assert run.what("x") == ["found again", "recording"]
    assert (run.site("x"), run.placing.sources[0].path) == ("b", "/cam/x-3.ts")


def test_what_an_earlier_call_left_unfinished_is_recovered_and_its_source_placed_anew() -> None:
    run = Run(World({"a": "1"}, alive={"/cam/x.ts": None}, size={"/cam/x.ts": 5}), "x")
    run.steps(12)
    assert run.what("x") == ["found again", "lost", "placed", "recording", "recovered"]
    assert run.placing.sources[0].path == "/cam/x-2.ts"
    assert run.world.asked == [("a", "/cam/x.ts")]


def test_what_is_recorded_by_somebody_who_cannot_be_called_is_not_recorded_twice() -> None:
    path = "/cam/x.ts"
    run = Run(World({"a": "1"}, alive={path: "another machine"}, size={path: 5}), "x")
    run.steps(30, path)
    assert (run.what("x"), run.placing.sources[0].state) == (["found again"], "silent")
    run.world.ended[path] = "done"
    run.steps(2)
    assert run.placing.has_ended


def test_no_source_is_placed_into_the_file_of_another() -> None:
    run = Run(World({"a": "1"}), "x", "x-2")
    run.steps(2)
    run.world.alive["/cam/x.ts"] = None
    run.steps(3)
    assert [one.path for one in run.placing.sources] == ["/cam/x-3.ts", "/cam/x-2.ts"]


def test_a_machine_without_a_worker_is_gone_once_its_file_grows_no_more() -> None:
    path = "/cam/x.ts"
    run = Run(World({"a": "1", "b": "2"}), "x")
    run.steps(3, path)
    del run.world.workers["a"]
    run.steps(20, path)
    assert (run.placing.sources[0].state, run.what("x")) == ("silent", ["placed", "recording"])
    run.world.alive[path], gone_s = "a machine that is gone", run.world.now
    while run.what("x")[-1] != "placed" or run.world.now == gone_s:
        run.steps(1)
        assert run.world.now - gone_s < 10
    assert run.world.now - gone_s >= GONE_AFTER_S
    run.steps(2)
    assert run.what("x")[2:] == ["lost", "placed", "recording", "recovered"]
    assert max(one.get("without_s") or 0 for one in run.events) == pytest.approx(GONE_AFTER_S + 1)
    assert (run.site("x"), run.placing.sources[0].path) == ("b", "/cam/x-2.ts")
    assert run.world.asked == [("b", path)]


def test_a_process_that_was_killed_is_recovered_and_its_source_placed_anew() -> None:
    run = Run(World({"a": "1"}), "x")
    run.steps(2)
    run.world.alive["/cam/x.ts"] = None
    run.steps(3)
    assert run.what("x")[2:] == ["lost", "placed", "recording", "recovered"]
    assert run.site("x") == "a"


def test_who_cannot_recover_a_partial_is_followed_by_the_next() -> None:
    run = Run(World({"a": "1", "b": "2"}, locked={"/cam/x.ts"}), "x")
    run.steps(2)
    run.world.alive["/cam/x.ts"] = None
    run.steps(8)
    assert [address for address, _ in run.world.asked] == ["a", "b"]
    run.world.locked.clear()
    run.steps(6)
    assert run.what("x").count("recovered") == 1


def test_nothing_is_taken_for_lost_while_nobody_answers() -> None:
    run = Run(World({"a": "1", "b": "2"}), "x")
    run.steps(2)
    run.world.deaf = {"a", "b"}
    run.steps(30)
    run.world.deaf = set()
    run.steps(2)
    assert run.what("x") == ["placed", "recording"]
    assert run.placing.sources[0].state == "recording"


def test_a_worker_that_does_not_answer_for_a_while_loses_nothing() -> None:
    run = Run(World({"a": "1", "b": "1"}), "x")
    run.steps(2)
    run.world.deaf = {"a"}
    run.steps(1)
    assert run.site("x") == "a"
    run.steps(1)
    assert (run.site("x"), run.what("x")) == ("b", ["placed", "recording", "found again"])


def test_all_are_stopped_but_those_whom_nobody_can_reach() -> None:
    run = Run(World({"a": "1", "b": "2"}), "x", "y")
    run.steps(2)
    del run.world.workers["a"]
    run.placing.is_stopping = True
    run.steps(10, "/cam/x.ts")
    assert [one.state for one in run.placing.sources] == ["left", "stopped"]
    assert run.what("x")[-1] == "left"
    assert run.placing.has_ended


def test_what_cannot_be_recorded_is_told_and_the_others_go_on() -> None:
    run = Run(World({"a": "1"}), "x", "y")
    run.steps(1)
    run.world.ended["/cam/x.ts"] = "failed"
    run.steps(5)
    assert run.what("x") == ["placed", "failed"]
    assert run.what("y") == ["placed", "recording"]
    assert not run.placing.has_ended
