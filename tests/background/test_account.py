"""What a worker tells, put together: states, figures, and all that a worker should not say."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from recordkit.background.account import Account, SessionState
from recordkit.background.description import describe
from recordkit.background.faults import describe_error
from recordkit.background.protocol import PROTOCOL, Type, encode
from recordkit.errors import SourceError, StateError, WorkerError
from recordkit.model import Event, EventKind
from recordkit.recorder.result import Counters, Recording
from recordkit.telemetry.frames import Log
from recordkit.telemetry.journal import Contents
from recordkit.telemetry.logfile import record_line

from ..steering import FakeClock
from ..telemetry.records import flush

PATH = Path("/there/talk.ts")
NO_WORD = WorkerError(PATH, "no word")
RECORDING = Recording(PATH, 1880, 2.0, {}, Counters(video_units=60), Log({}, Contents((), (), ())))


def event(kind, **fields):
    return record_line(Event(0, 0.0, kind, fields))


STARTED = encode(Type.STARTED, protocol=PROTOCOL, pid=7, elapsed_s=0.5, header={"recording": "talk.ts"})
ALERT, CLEARED = (event(kind, rule="silent_s") for kind in (EventKind.ALERT_RAISED, EventKind.ALERT_CLEARED))
DEGRADED, RESTORED = (event(kind, part="disk") for kind in (EventKind.DEGRADED, EventKind.RESTORED))
STOP = event(EventKind.STOP)
ENDED = encode(Type.ENDED, recording=describe("recording", RECORDING))
FAILED = encode(Type.ENDED, error=describe_error(SourceError("camera", "came loose")))


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def account(clock):
    return Account(PATH, clock, lambda message: None)


def states(account, lines):
    found = [account.state]
    for line in lines:
        account.hear(line)
        found.append(account.state)
    account.end(NO_WORD)
    return [*found, account.state]


S = SessionState


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([STARTED, STOP, ENDED], [S.STARTING, S.RECORDING, S.STOPPING, S.STOPPING, S.STOPPED]),
        ([STARTED, ALERT, CLEARED], [S.STARTING, S.RECORDING, S.DEGRADED, S.RECORDING, S.FAILED]),
        ([STARTED, DEGRADED, RESTORED], [S.STARTING, S.RECORDING, S.DEGRADED, S.RECORDING, S.FAILED]),
        ([STARTED, ALERT, STOP, CLEARED], [S.STARTING, S.RECORDING, S.DEGRADED, S.STOPPING, S.STOPPING, S.FAILED]),
        ([STARTED, FAILED], [S.STARTING, S.RECORDING, S.RECORDING, S.FAILED]),
        ([FAILED], [S.STARTING, S.STARTING, S.FAILED]),
        ([], [S.STARTING, S.FAILED]),
    ],
)
def test_the_states(account, lines, expected):
    assert states(account, lines) == expected


def test_how_it_ended(account):
    states(account, [STARTED, ENDED])
    assert account.error is None
    assert replace(account.recording, flush_log=RECORDING.flush_log) == RECORDING
    assert account.figures.file_bytes == 1880


def test_an_error_is_the_worker_s_own(account):
    states(account, [STARTED, FAILED])
    assert isinstance(account.error, SourceError)
    assert account.error.source == "camera"


def test_the_clock_of_the_figures_runs_on_between_what_is_told(account, clock):
    account.hear(STARTED)
    clock.advance(2)
    assert account.figures.elapsed_s == 2.5
    account.hear(encode(Type.PROGRESS, elapsed_s=3.0, rss_bytes=9, file_bytes="many", free_bytes=None))
    assert (account.figures.elapsed_s, account.figures.rss_bytes, account.figures.file_bytes) == (3.0, 9, 0)
    account.end(NO_WORD)
    clock.advance(9)
    assert account.figures.elapsed_s == 3.0


def test_flushes_make_the_figures_and_the_frame(account):
    account.hear(STARTED)
    for number in range(12):
        account.hear(record_line(flush(number)))
    assert account.figures.flush_count == len(account.log.flushes) == 12
    last = [flush(number) for number in range(2, 12)]
    rate = sum(one.flush_bytes for one in last) * 8 / sum(one.interval_s for one in last)
    assert account.figures.bit_rate == pytest.approx(rate)


def test_garbage_is_passed_over_and_told_once(account, caplog):
    garbage = [b"\x00\xff", b"[]", b"Traceback (most recent call last):", encode(Type.SIGNAL, message=3)]
    garbage += [b'{"type":"flush"}', b'{"type":"unheard of"}', encode(Type.LOG, level="high")]
    with caplog.at_level(logging.WARNING):
        assert states(account, [STARTED, *garbage, ENDED])[-1] is S.STOPPED
    assert account.misunderstood == 3
    assert caplog.text.count("is no message") == 1


@pytest.mark.parametrize("recording", [3, {"type": "Recording", "fields": {}}, describe("x", Counters())])
def test_an_outcome_that_makes_no_sense_is_a_failure(account, recording):
    assert states(account, [STARTED, encode(Type.ENDED, recording=recording)])[-1] is S.FAILED
    assert account.error is not None


def test_a_worker_of_another_version_is_refused(account):
    account.hear(encode(Type.STARTED, protocol=PROTOCOL + 1, recordkit="9.9", header={}, pid=1))
    assert account.is_refused
    account.end(NO_WORD)
    assert isinstance(account.error, StateError)
    assert "9.9" in str(account.error)


def test_what_is_logged_there_is_logged_here(account, caplog):
    with caplog.at_level(logging.INFO):
        account.hear(encode(Type.LOG, level=logging.INFO, words="Flushed buffer"))
    assert caplog.messages == ["talk.ts: Flushed buffer"]


def test_signals_are_handed_on(clock):
    heard = []
    Account(PATH, clock, heard.append).hear(json.dumps({"type": "signal", "message": {"sdp": "v=0"}}).encode())
    assert heard == [{"sdp": "v=0"}]
