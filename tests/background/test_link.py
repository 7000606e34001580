"""Links over real pipes: who does not read costs nobody time, who is gone is noticed, nothing is left open."""

import os
import socket
import subprocess
import sys
import threading

import pytest

from recordkit.background.link import MOST_BYTES, SHED_BYTES, Link, Outbox

from ..steering import GUARD_S, recordkit_threads

LINE = b"x" * 1023 + b"\n"


class Ear:
    def __init__(self, enough=None):
        self.lines, self.gone, self.enough = [], threading.Event(), enough

    def heard(self, link, lines):
        self.lines += lines
        return self.enough is None or len(self.lines) < self.enough

    def hung_up(self, link):
        link.outbox.close()
        self.gone.set()


@pytest.fixture(autouse=True)
def _nothing_is_left():
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with recordkit_threads():
        yield
    assert set(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


def test_what_is_told_is_heard_in_order():
    reading, writing = os.pipe()
    outbox = Outbox("test", writing)
    outbox.put(b"1\n")
    outbox.put_all(iter([b"2\n", b"3\n"]))
    outbox.put(b"4\n")
    outbox.close(b"5\n")
    assert not outbox.put(b"6\n")
    assert outbox.join(GUARD_S)
    with os.fdopen(reading, "rb") as file:
        assert file.read() == b"1\n2\n3\n4\n5\n"


def test_a_reader_who_does_not_read_costs_samples_first_then_all_but_the_last_word():
    reading, writing = os.pipe()
    outbox = Outbox("test", writing)
    sheddable = sum(outbox.put(LINE, sheddable=True) for _ in range(2 * SHED_BYTES // len(LINE)))
    needed = sum(outbox.put(LINE) for _ in range(2 * MOST_BYTES // len(LINE)))
    assert SHED_BYTES <= sheddable * len(LINE) + len(LINE) <= SHED_BYTES + 2 * 65536
    assert sheddable + needed + outbox.lost == 2 * (SHED_BYTES + MOST_BYTES) // len(LINE)
    outbox.close(b"last\n")
    with os.fdopen(reading, "rb") as file:
        heard = file.readlines()
    assert outbox.join(GUARD_S)
    assert len(heard) == sheddable + needed + 1
    assert heard[-1] == b"last\n"


def test_a_reader_who_is_gone_ends_the_telling():
    reading, writing = os.pipe()
    outbox = Outbox("test", writing)
    os.close(reading)
    outbox.put(LINE)
    assert outbox.join(GUARD_S)
    assert not outbox.put(LINE)


@pytest.mark.parametrize("enough", [None, 1])
def test_a_link_ends_with_the_other_side_or_when_enough_was_heard(enough):
    (hearing, there), (here, telling) = os.pipe(), os.pipe()
    ear = Ear(enough)
    link = Link("test", hearing, telling, ear)
    link.start()
    os.write(there, b"one\ntw")
    if enough is None:
        os.write(there, b"o\n")
        os.close(there)
    assert ear.gone.wait(GUARD_S)
    link.join(GUARD_S)
    assert link.outbox.join(GUARD_S)
    assert ear.lines == [b"one", b"two"][: enough or 2]
    os.close(here)
    if enough is not None:
        os.close(there)


def test_who_hangs_up_ends_it_for_both_sides():
    ours, theirs = socket.socketpair()
    ear = Ear()
    writing = os.dup(ours.fileno())
    link = Link("test", ours.detach(), writing, ear)
    link.begin()
    link.hang_up()
    with theirs:
        assert theirs.recv(1) == b""
    assert ear.gone.wait(GUARD_S)
    link.join(GUARD_S)
    link.hang_up()  # once more does nothing
    assert link.outbox.join(GUARD_S)


def test_the_end_of_a_process_is_noticed_though_its_pipe_is_held_open():
    """A child that the other side forked has the same pipe, and may live on."""
    (hearing, there), (here, telling) = os.pipe(), os.pipe()
    ear = Ear()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        link = Link("test", hearing, telling, ear, os.pidfd_open(process.pid))
        link.start()
        os.write(there, b"one\n")
        process.kill()
    assert ear.gone.wait(GUARD_S)
    link.join(GUARD_S)
    assert link.outbox.join(GUARD_S)
    os.close(there)
    os.close(here)
