"""Who listens to a worker, and what their leaving means for its recording."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import av
import pytest

import recordkit as rk
from recordkit.background import audience
from recordkit.background.audience import Audience
from recordkit.background.link import Link
from recordkit.background.protocol import Lines, OnParentExit, Type, decode, encode

from ..steering import GUARD_S, recordkit_threads


class Hears:
    """What a worker does with its links."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.gone = threading.Event()
        self.reading, self.parents_end = os.pipe()
        self.parents_ear, self.writing = os.pipe()
        self.audience = Audience(self.reading, self.writing, self, self.stop)
        self.audience.parent.begin()

    def heard(self, link: Link, lines: list[bytes]) -> bool:
        return True

    def hung_up(self, link: Link) -> None:
        self.audience.left(link)
        self.gone.set()

    def parent_goes(self) -> None:
        os.close(self.parents_end)
        assert self.gone.wait(GUARD_S)

    def told(self) -> list[str]:
        """The kinds of all that the parent was told, to the end."""
        lines, told = Lines(), []
        while data := os.read(self.parents_ear, 65536):
            told += [str((decode(line) or {})["type"]) for line in lines.feed(data)]
        return told


@pytest.mark.parametrize(("mode", "stops"), [("finish", True), ("continue", False)])
def test_what_the_parents_end_means(mode: OnParentExit, stops: bool, tmp_path: Path) -> None:
    hears = Hears()
    hears.audience.mode = mode
    with rk.Recorder(tmp_path / "talk.ts", audio=None) as recorder:
        hears.audience.attend(recorder, str(tmp_path / "talk.ts"))
        hears.parent_goes()
        assert hears.stop.is_set() is stops
    hears.audience.take_leave(encode(Type.ENDED))
    os.close(hears.parents_ear)


def test_one_that_waits_for_somebody_is_ended_when_nobody_comes(tmp_path: Path) -> None:
    hears = Hears()
    hears.audience.mode, hears.audience.alone_s = "wait", 0.0
    with rk.Recorder(tmp_path / "talk.ts", audio=None) as recorder:
        hears.audience.attend(recorder, str(tmp_path / "talk.ts"))
        hears.parent_goes()
        assert hears.stop.wait(GUARD_S)
    hears.audience.take_leave(encode(Type.ENDED))
    os.close(hears.parents_ear)


def test_before_there_is_a_recording_the_parents_end_is_the_end() -> None:
    hears = Hears()
    hears.audience.mode = "continue"
    hears.parent_goes()
    assert hears.stop.is_set()
    hears.audience.take_leave(encode(Type.ENDED))
    os.close(hears.parents_ear)


def test_all_is_told_before_the_leave_is_taken(tmp_path: Path) -> None:
    hears = Hears()
    with rk.Recorder(tmp_path / "talk.ts", audio=None) as recorder:
        hears.audience.attend(recorder, str(tmp_path / "talk.ts"))
        recorder.write(av.VideoFrame(64, 48, "yuv420p"))
        recorder.mark("one")
    hears.audience.take_leave(encode(Type.ENDED))
    told = hears.told()
    assert told[0] == Type.STARTED
    assert told[-1] == Type.ENDED
    assert len(told) > 3
    hears.parent_goes()
    os.close(hears.parents_ear)


def test_who_took_it_up_hears_the_last_word_however_late_he_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audience, "_LONGEST_FAREWELL_S", 0.0)
    monkeypatch.setattr(audience, "_SLICE_S", 0.001)
    ours, theirs = socket.socketpair()
    hears = Hears()
    hears.audience.mode = "wait"
    hears.parent_goes()
    with recordkit_threads():
        link = Link("2", os.dup(ours.fileno()), ours.detach(), hears)
        hears.audience._links[link] = lambda record: None
        while link.outbox.put(b"x" * 65535 + b"\n"):  # more than the socket holds
            pass
        waits, join = threading.Semaphore(0), link.outbox.join
        monkeypatch.setattr(link.outbox, "join", lambda timeout_s: (waits.release(), join(timeout_s))[1])
        leaving = threading.Thread(target=hears.audience.take_leave, args=(b"last\n",))
        leaving.start()
        assert all(waits.acquire(timeout=GUARD_S) for _ in range(3))
        with theirs, theirs.makefile("rb") as file:
            link.begin()
            assert b"last\n" in iter(file.readline, b"")
        leaving.join(GUARD_S)
        link.join(GUARD_S)
    os.close(hears.parents_ear)
