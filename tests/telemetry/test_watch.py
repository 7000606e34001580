"""Watching a folder: from logs and locks alone, read once, whatever lies in the folder."""

import errno
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict

import pytest
from rich.console import Console

from recordkit.cli import FAULT, USAGE, run
from recordkit.cli.report import age_text, watch_table
from recordkit.errors import LogError
from recordkit.model import EventKind
from recordkit.printable import printable
from recordkit.system import System
from recordkit.telemetry.logfile import LogFile, log_path
from recordkit.telemetry.watch import Watched, WatchedState, WatchState, scan
from recordkit.writer.output import Output
from tests.steering import GUARD_S, FaultySystem
from tests.telemetry.records import BEGUN_NS, event, flush, sample

STARTED_NS = BEGUN_NS
SECOND = 1_000_000_000


def at(seconds):
    return STARTED_NS + round(seconds * SECOND)


class Folder:
    """A folder with recordings in it as a test wants them, and one look after the other at it."""

    def __init__(self, path):
        self.path = path
        self.system = FaultySystem(free=10**9)
        self.state = WatchState()
        self._outputs = []
        self.files = {}

    def record(self, name="talk", size=188_000, written_s=2.0, *, log=True, locked=True):
        """A recording that runs; without ``locked`` one that died."""
        output = Output(self.path / f"{name}.ts", System())
        output.open(overwrite=True, needed_bytes=0)
        output.partial_path.write_bytes(b"\0" * size)
        self.touch(output.partial_path, written_s)
        if log:
            self.files[name] = LogFile(log_path(output.final_path), {"started_ns": STARTED_NS})
            self.note(name, event(EventKind.START, 0.0))
        if locked:
            self._outputs.append(output)
        else:
            output.close()
        return output

    def note(self, name, *records):
        for record in records:
            self.files[name].add(record)
        self.files[name].write()

    def commit(self, name="talk", elapsed_s=5.0):
        self.note(name, event(EventKind.COMMIT, elapsed_s, bytes=1))
        self.files[name].close()
        partial = self.path / f"{name}.recording.ts"
        partial.replace(self.path / f"{name}.ts")
        self.touch(log_path(partial), elapsed_s)

    def touch(self, path, seconds):
        os.utime(path, ns=(at(seconds), at(seconds)))

    def look(self, seconds=3.0):
        return scan(self.path, at(seconds), self.system, self.state)

    def close(self):
        for output in self._outputs:
            output.close()
        for file in self.files.values():
            file.close()


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path)
    yield made
    made.close()


def states(found):
    return {one.name: one.state.value for one in found}


def rules(found):
    return {one.name: [alert.rule for alert in one.alerts] for one in found if one.alerts}


# What is seen.


def test_an_empty_folder(folder):
    assert folder.look() == []


def test_a_running_recording(folder):
    folder.record(size=400_000)
    folder.note(
        "talk", sample(1.0, rss_bytes=7), flush(0), sample(3.0, rss_bytes=9, full_in_s=99.0, dropped_units=4)
    )
    assert folder.look(3.5) == [
        Watched(
            name="talk.ts",
            state=WatchedState.RECORDING,
            elapsed_s=3.5,
            file_bytes=400_000,
            bit_rate=188_000 * 8 / 2.0,
            last_flush_s=1.5,
            flushes=1,
            rss_bytes=9,
            dropped_units=4,
            free_bytes=10**9,
            full_in_s=99.0,
            alerts=(),
        )
    ]


def test_one_that_died_and_one_that_has_finished(folder):
    folder.record("dead", locked=False)
    folder.note("dead", flush(0), event(EventKind.ALERT_RAISED, 2.0, rule="own", message="hot"))
    folder.record("done")
    folder.note("done", flush(0), event(EventKind.ALERT_RAISED, 2.0, rule="own", message="hot"))
    folder.commit("done")
    dead, done = folder.look(6.0)
    assert (dead.state, dead.elapsed_s, dead.bit_rate, dead.flushes) == (WatchedState.STALE, 2.0, None, 1)
    assert [(alert.rule, alert.message) for alert in dead.alerts] == [("own", "hot")]
    assert (done.state, done.elapsed_s, done.file_bytes) == (WatchedState.FINISHED, 5.0, 188_000)
    assert done.bit_rate == pytest.approx(188_000 * 8 / 5)
    assert done.alerts == ()
    assert states(folder.look(304.9)) == {"dead.ts": "stale", "done.ts": "finished"}
    assert states(folder.look(305.1)) == {"dead.ts": "stale"}


def test_without_a_log_the_file_tells_what_it_can(folder):
    folder.record("bare", size=1880, written_s=2.0, log=False)
    (one,) = folder.look(5.0)
    assert (one.state, one.file_bytes, one.last_flush_s) == (WatchedState.RECORDING, 1880, 3.0)
    assert one.elapsed_s is one.flushes is one.rss_bytes is one.bit_rate is None


def test_the_log_of_an_earlier_recording_of_this_name_says_nothing_of_this_one(folder):
    folder.record("talk")
    folder.note("talk", flush(0))
    folder.commit("talk")
    folder.record("talk", written_s=9.0, log=False)
    (one,) = folder.look(10.0)
    assert (one.state, one.flushes, one.last_flush_s) == (WatchedState.RECORDING, None, 1.0)


def test_running_ones_come_first(folder):
    folder.record("b", locked=False)
    folder.record("d")
    folder.record("a", locked=False)
    folder.record("c")
    assert [one.name for one in folder.look()] == ["c.ts", "d.ts", "a.ts", "b.ts"]


# Alerts.


def test_alerts_stand_from_being_raised_to_being_cleared(folder):
    folder.record()
    folder.note("talk", flush(0), event(EventKind.ALERT_RAISED, 2.0, rule="memory_bytes", message="much"))
    (one,) = folder.look()
    assert [alert.message for alert in one.alerts] == ["much"]
    folder.note("talk", event(EventKind.ALERT_RAISED, 2.5, rule="own", message="hot"))
    assert rules(folder.look()) == {"talk.ts": ["memory_bytes", "own"]}
    folder.note("talk", event(EventKind.ALERT_CLEARED, 3.0, rule="memory_bytes"))
    folder.note("talk", event(EventKind.ALERT_CLEARED, 3.0, rule="never"))
    assert rules(folder.look()) == {"talk.ts": ["own"]}


def test_no_flush_for_ten_seconds(folder):
    folder.record(written_s=2.0)
    folder.note("talk", flush(0), event(EventKind.ALERT_RAISED, 11.0, rule="flush_gap_s", message="theirs"))
    assert folder.look(11.9)[0].alerts[0].message == "theirs"
    (one,) = folder.look(12.0)
    assert [(alert.rule, alert.message) for alert in one.alerts] == [("flush_gap_s", "no flush for 10 s")]
    assert one.bit_rate == 0.0
    folder.note("talk", event(EventKind.ALERT_CLEARED, 12.0, rule="flush_gap_s"), flush(5))
    folder.touch(folder.path / "talk.recording.ts", 12.0)
    assert rules(folder.look(13.0)) == {}


def test_a_stale_partial_is_an_alert_after_an_hour(folder):
    folder.record("dead", locked=False, written_s=0.0)
    assert rules(folder.look(3599.0)) == {}
    (one,) = folder.look(3600.0)
    assert [(alert.rule, alert.message) for alert in one.alerts] == [
        ("partial_age_s", "unfinished, and nobody has written it for 1.0 h")
    ]


# Reading on.


def test_a_log_is_read_once_and_then_only_what_was_added(folder):
    folder.record()
    folder.note("talk", *(flush(number) for number in range(1000)))
    folder.look()
    reader = folder.state.logs["talk"]
    size = log_path(folder.path / "talk.ts").stat().st_size
    assert reader.read_bytes == size
    folder.look()
    assert reader.read_bytes == size
    folder.note("talk", flush(1000))
    (one,) = folder.look()
    assert one.flushes == 1001
    assert folder.state.logs["talk"] is reader
    assert reader.read_bytes == log_path(folder.path / "talk.ts").stat().st_size


def test_a_line_that_comes_in_pieces(folder):
    folder.record()
    folder.note("talk", flush(0))
    path = log_path(folder.path / "talk.ts")
    whole = path.read_bytes()
    fields = '{"rule":"own","message":"hot"}'
    raised = f'{{"type":"event","time_ns":1,"elapsed_s":2.0,"kind":"alert raised","fields":{fields}}}'.encode()
    for cut in range(0, len(raised), 7):
        path.write_bytes(whole + raised[:cut])
        assert rules(folder.look()) == {}
    path.write_bytes(whole + raised + b"\n")
    assert rules(folder.look()) == {"talk.ts": ["own"]}


@pytest.mark.parametrize("size", [1 << 19, (1 << 20) - 1, 1 << 20, 3 << 20])
def test_huge_and_damaged_lines_hide_nothing_behind_them(folder, size):
    folder.record()
    path = log_path(folder.path / "talk.ts")
    with path.open("ab") as file:
        file.write(b"x" * size + b"\n\xff\n{}\n[1]\n" + b"[" * 50_000 + b"\n")
    folder.note("talk", flush(7), event(EventKind.ALERT_RAISED, 2.0, rule="own", message="hot"))
    (one,) = folder.look()
    assert one.flushes == 8
    assert rules([one]) == {"talk.ts": ["own"]}
    assert len(folder.state.logs["talk"]._rest) < 1 << 20


def test_lines_of_somebody_with_another_taste_in_spaces(folder):
    folder.record()
    folder.note("talk", flush(3), sample(9.0, rss_bytes=5))
    path = log_path(folder.path / "talk.ts")
    path.write_text("".join(json.dumps(json.loads(line)) + "\n" for line in path.read_text().splitlines()))
    (one,) = folder.look(10.0)
    assert (one.flushes, one.rss_bytes, one.elapsed_s) == (4, 5, 10.0)


def test_a_log_that_is_cut_replaced_or_removed(folder):
    folder.record()
    folder.note("talk", flush(0), event(EventKind.ALERT_RAISED, 2.0, rule="own", message="hot"))
    path = log_path(folder.path / "talk.ts")
    assert rules(folder.look()) == {"talk.ts": ["own"]}
    header = path.read_bytes().splitlines(keepends=True)[0]
    path.write_bytes(header)
    (one,) = folder.look()
    assert (one.flushes, one.alerts) == (None, ())
    new = path.with_name("new")
    LogFile(new, {"started_ns": at(1.0)}).close()
    file = LogFile(new, {"started_ns": at(1.0)})
    file.add(flush(8))
    file.close()
    new.replace(path)
    (one,) = folder.look()
    assert (one.flushes, one.elapsed_s) == (9, 2.0)
    path.unlink()
    (one,) = folder.look()
    assert one.flushes is None
    assert folder.state.logs == {}


def test_recordings_that_come_and_go(folder):
    folder.record("a")
    assert states(folder.look()) == {"a.ts": "recording"}
    folder.record("b")
    assert states(folder.look()) == {"a.ts": "recording", "b.ts": "recording"}
    folder.commit("a")
    assert states(folder.look(6.0)) == {"a.ts": "finished", "b.ts": "recording"}
    (folder.path / "b.recording.ts").unlink()
    assert states(folder.look(6.0)) == {"a.ts": "finished"}


def test_old_logs_are_not_even_opened(folder):
    for number in range(50):
        folder.record(f"{number}", locked=False)
        folder.commit(f"{number}")
    assert folder.look(1000.0) == []
    assert folder.state.logs == {}


def test_hundreds_at_once(folder):
    for number in range(300):
        folder.record(f"{number:03}", locked=False)
        folder.note(f"{number:03}", flush(number))
    assert [one.flushes for one in folder.look()] == list(range(1, 301))
    read = sum(reader.read_bytes for reader in folder.state.logs.values())
    folder.look()
    assert sum(reader.read_bytes for reader in folder.state.logs.values()) == read


# What else may lie there.


def test_what_is_no_recording_is_passed_over(folder):
    folder.record("real")
    (folder.path / "link.recording.ts").symlink_to(folder.path / "real.recording.ts")
    (folder.path / "broken.recording.ts").symlink_to(folder.path / "nowhere")
    (folder.path / "folder.recording.ts").mkdir()
    (folder.path / "folder.flushes.jsonl").mkdir()
    (folder.path / "nothing.flushes.jsonl").symlink_to(folder.path / "nowhere")
    (folder.path / "loop.flushes.jsonl").symlink_to(folder.path / "loop.flushes.jsonl")
    os.mkfifo(folder.path / "pipe.recording.ts")
    os.mkfifo(folder.path / "pipe.flushes.jsonl")
    (folder.path / "notes.txt").touch()
    folder.record("silent", log=False)
    os.mkfifo(folder.path / "silent.flushes.jsonl")
    assert states(folder.look()) == {"real.ts": "recording", "silent.ts": "recording"}


def test_a_log_behind_a_link_is_not_read(folder):
    folder.record("talk", log=False)
    other = folder.path / "elsewhere"
    file = LogFile(other, {"started_ns": STARTED_NS})
    file.add(flush(4))
    file.close()
    (folder.path / "talk.flushes.jsonl").symlink_to(other)
    assert folder.look()[0].flushes is None


class Shy(FaultySystem):
    def is_locked(self, path):
        raise OSError(self.number, os.strerror(self.number))


def test_a_partial_that_may_not_be_looked_at_and_one_that_is_gone_just_now(folder):
    folder.record()
    folder.system = Shy(free=5)
    folder.system.number = errno.EACCES
    assert states(folder.look()) == {"talk.ts": "unreadable"}
    folder.system.number = errno.ENOENT
    assert folder.look() == []


def test_a_log_that_may_not_be_read(folder, monkeypatch):
    folder.record()
    folder.note("talk", flush(0))
    opened = os.open

    def refuse(path, *arguments, **options):
        if str(path).endswith(".jsonl"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    (one,) = folder.look()
    assert (one.state, one.flushes) == (WatchedState.RECORDING, None)


def test_a_folder_that_cannot_be_looked_through_and_a_disk_that_does_not_tell(folder):
    folder.record()
    folder.system.fail("free_bytes", 1, errno.EIO)
    assert folder.look()[0].free_bytes is None
    with pytest.raises(LogError):
        scan(folder.path / "none", 0, folder.system, folder.state)


# The table.


def shown(found, width=80, most_rows=None):
    text = io.StringIO()
    Console(file=text, width=width).print(watch_table(found, width, most_rows))
    lines = text.getvalue().splitlines()
    assert all(len(line.rstrip()) <= width for line in lines)
    return "\n".join(lines)


def test_the_table_shows_every_figure_at_80_columns(folder):
    folder.record("a lecture with quite a long name, as they are", written_s=2.0)
    name = next(iter(folder.files))
    folder.note(
        name,
        flush(0),
        sample(2.5, rss_bytes=123_456_789, full_in_s=1e6),
        event(EventKind.ALERT_RAISED, 2.0, rule="own", message="hot"),
    )
    found = folder.look(3723.0)
    text = shown(found)
    for words in ("● recording", "01:02:03", "188 kB", "0 kbit/s", "62 min", "123 MB", "▲ a lecture", "hot"):
        assert words in text, text
    assert "1 recording   disk 1.00 GB free, full in 12 d" in text
    assert {len(line) for line in text.splitlines()[1:3]} <= {79, 80}
    wide = shown(found, 120)
    assert "flushes" in wide
    assert "drops" in wide


def test_many_recordings_leave_room_for_the_rest(folder):
    for number in range(60):
        folder.record(f"{number:02}", locked=False, written_s=0.0, log=False)
    text = shown(folder.look(7200.0), 80, 20)
    assert len(text.splitlines()) <= 20 + 6
    assert "… and 46 recordings and 54 alerts more" in text
    assert "60 stale" in text


def test_names_cannot_play_with_the_terminal(folder):
    folder.record("[bold]x[red] \x1b[2J\udce9 \u202e", log=False)
    text = shown(folder.look(), 120)
    assert "[bold]x[red] \N{REPLACEMENT CHARACTER}[2J" in text
    assert "\x1b" not in text
    text.encode()
    assert printable("snö 1") == "snö 1"


def test_no_recordings():
    assert "no recordings" in shown([])


def test_lengths_of_time():
    seconds = (0.04, 9.9, 42, 100, 3600, 86_400, 90 * 86_400)
    assert [age_text(one) for one in seconds] == ["0.0 s", "9.9 s", "42 s", "1.7 min", "60 min", "24 h", "90 d"]


# The command.


def call(*argv):
    out, errors = io.StringIO(), io.StringIO()
    code = run([str(one) for one in argv], Console(file=out, width=100), Console(file=errors, width=100))
    return code, out.getvalue(), errors.getvalue()


def test_once_as_json(folder):
    assert call("watch", folder.path, "--once", "--json") == (0, "[]\n", "")
    folder.record("dead", locked=False, written_s=0.0)
    folder.note("dead", flush(0))
    code, out, _ = call("watch", folder.path, "--once", "--json")
    assert code == FAULT  # long over an hour ago
    (document,) = json.loads(out)
    expected = json.loads(json.dumps([asdict(one) for one in folder.look()]))[0]
    assert document.keys() == expected.keys()
    assert (document["name"], document["state"], document["flushes"]) == ("dead.ts", "stale", 1)
    assert document["alerts"][0]["rule"] == "partial_age_s"


def test_a_recording_that_has_just_crashed_is_no_success(folder):
    output = folder.record("dead", locked=False, written_s=0.0)
    os.utime(output.partial_path)
    code, out, _ = call("watch", folder.path, "--once")
    assert (code, "stale" in out, "▲" in out) == (FAULT, True, False)


def test_once_as_a_table(folder):
    output = folder.record("talk", log=False)
    os.utime(output.partial_path)
    code, out, _ = call("watch", folder.path, "--once")
    assert (code, "● recording" in out) == (0, True)


def test_no_folder(tmp_path):
    code, _, errors = call("watch", tmp_path / "none", "--once")
    assert (code, "give a folder" in errors) == (USAGE, True)


@contextmanager
def watching(folder, *options):
    """The command on a terminal of its own, and a function that waits for words on it."""
    master, slave = pty.openpty()
    command = [sys.executable, "-c", "from recordkit.cli import main; main()", "watch", str(folder), *options]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100", "LINES": "24"}
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    seen = bytearray()

    def wait_for(words):
        end = time.monotonic() + GUARD_S
        while words.encode() not in seen:
            assert time.monotonic() < end, seen.decode(errors="replace")
            seen.extend(os.read(master, 4096))

    try:
        yield process, wait_for
    finally:
        process.kill()
        process.wait(GUARD_S)
        os.close(master)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_live_until_interrupted_with_the_last_state_as_its_code(folder, how):
    output = folder.record("talk", log=False)
    # Written just now for as long as the test may take: it is about the other one.
    soon = time.time() + GUARD_S
    os.utime(output.partial_path, (soon, soon))
    with watching(folder.path) as (process, wait_for):
        wait_for("talk.ts")
        other = folder.record("dead", locked=False, log=False)
        os.utime(other.partial_path, (0, 0))
        wait_for("dead.ts")
        wait_for("nobody has written it")
        process.send_signal(how)
        assert process.wait(GUARD_S) == FAULT
    with watching(folder.path, "--json") as (process, wait_for):
        wait_for('"state": "stale"')
        other.partial_path.unlink()
        wait_for('"alerts": []}]')
        process.send_signal(how)
        assert process.wait(GUARD_S) == 0
