"""Observers of a writer: what the plain one does, and what one that raises costs."""

from pathlib import Path

import pytest

from recordkit.writer.observer import Closed, Guarded, Observer, QueueStatus

CLOSED = Closed(Path("talk.ts"), 188, committed=True, because=None, error=None)
CALLS = [
    ("flushed", ("a record",), None),
    ("room", (), None),
    ("waiting", ("no space is left",), None),
    ("full", (), True),
    ("over", (CLOSED,), None),
    ("queue", (), QueueStatus()),
]


@pytest.mark.parametrize(("name", "given", "answer"), CALLS)
def test_the_plain_one_does_nothing(name, given, answer):
    assert getattr(Observer(), name)(*given) == answer


@pytest.mark.parametrize(("name", "given", "answer"), CALLS)
def test_one_that_raises_is_logged_and_answered_for(name, given, answer, caplog):
    def broken(*_):
        raise ValueError("broken observer")

    observer = Observer()
    setattr(observer, name, broken)
    assert getattr(Guarded(observer, Path("talk.ts")), name)(*given) == answer
    assert "talk.ts: an observer failed" in caplog.text
    assert "broken observer" in caplog.text


def test_what_is_told_and_answered_goes_through():
    told = []
    answers = {"full": False, "queue": QueueStatus(17, 3)}
    observer = Observer()
    for name, _, _ in CALLS:
        setattr(observer, name, lambda *given, name=name: (told.append((name, given)), answers.get(name))[1])
    guarded = Guarded(observer, Path("talk.ts"))
    for name, given, _ in CALLS:
        assert getattr(guarded, name)(*given) == answers.get(name)
    assert told == [(name, given) for name, given, _ in CALLS]
