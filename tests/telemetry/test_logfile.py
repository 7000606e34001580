"""The log on disk: written whole, read back whatever has happened to it, and never in the recording's way."""

import json
import os
import threading
import tracemalloc
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recordkit.errors import LogError
from recordkit.model import EventKind
from recordkit.telemetry.journal import Journal
from recordkit.telemetry.logfile import LONGEST_LINE_BYTES, SUFFIX, LogFile, log_path, parse_line, read_log

from ..steering import GUARD_S, FakeClock
from .records import event, flush, sample

HEADER = {"recording": "talk.ts", "path": "talk.ts", "pid": 1}
RECORDS = [
    event(EventKind.START, 0.0),
    event(EventKind.STREAM, 0.1, stream=0, codec="h264", width=64, height=48),
    sample(1.0),
    sample(2.0, uss_bytes=None, open_files=None, full_in_s=None, loop_lag_s=None),
    flush(0),
    event(EventKind.ALERT_RAISED, 3.0, rule="silent_s", value=5.5, threshold=5.0, message="ein Ström fehlt"),
    flush(1),
]
DAY_S = 24 * 3600
MOST_LOG_BYTES_A_DAY = 80e6
NOBODY = 65_534


def written(path, records=RECORDS, header=HEADER):
    file = LogFile(path, header)
    for record in records:
        file.add(record)
    file.close()
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / f"talk{SUFFIX}"


@pytest.fixture
def whole(path):
    return written(path).read_bytes()


def test_its_name(tmp_path):
    for name in ("talk.ts", "talk.recording.ts"):
        assert log_path(tmp_path / name) == tmp_path / "talk.flushes.jsonl"
    assert log_path(tmp_path / "a.b.ts").name == "a.b.flushes.jsonl"


def test_what_is_written_is_read_back(path, whole):
    assert read_log(path) == ({"schema_version": 1, **HEADER}, RECORDS)
    assert all(isinstance(json.loads(line), dict) for line in whole.splitlines())
    assert len(whole.splitlines()) == 1 + len(RECORDS)


def test_the_header_is_there_at_once_and_the_rest_with_write(path):
    file = LogFile(path, HEADER)
    file.add(RECORDS[0])
    assert read_log(path)[1] == []
    file.write()
    assert read_log(path)[1] == [RECORDS[0]]
    file.close()
    file.close()
    file.add(RECORDS[0])
    file.write()
    assert read_log(path)[1] == [RECORDS[0]]


@pytest.mark.parametrize("lines_before", [0, 1, 7])
def test_a_log_cut_at_every_byte_of_a_line_loses_that_line_alone(path, whole, lines_before):
    lines = whole.splitlines(keepends=True)
    start = sum(map(len, lines[:lines_before]))
    for cut in range(len(lines[lines_before])):
        path.write_bytes(whole[: start + cut])
        if lines_before == 0:
            with pytest.raises(LogError):
                read_log(path)
        else:
            assert read_log(path)[1] == RECORDS[: lines_before - 1]


GARBAGE = [
    b"\n",
    b"{}\n",
    b"[]\n",
    b"7\n",
    b"null\n",
    b"\xff\xfe\x00\n",
    b"\0" * 4096 + b"\n",
    b'{"type":"flush"}\n',
    b'{"type":["flush"]}\n',
    b'{"type":"weather","sun":1}\n',
    b"[" * 100_000 + b"\n",
    b'{"a":' * 100_000 + b"\n",
    b"1" * 10_000 + b"\n",
    b'{"type":"header","schema_version":"1"}\n',
    b'{"type":"header","schema_version":true}\n',
    b"x" * (LONGEST_LINE_BYTES - 1) + b"\n",
    b"x" * LONGEST_LINE_BYTES + b"\n",
    b"x" * (3 * LONGEST_LINE_BYTES + 5) + b"\n",
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda line: repr(line[:20]))
@pytest.mark.parametrize("at", [0, 1, 4, 8])
def test_damaged_lines_are_left_out_and_nothing_else(path, whole, garbage, at, caplog):
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:at], garbage, *lines[at:]]))
    assert read_log(path) == ({"schema_version": 1, **HEADER}, RECORDS)
    assert "damaged lines were left out: 1" in caplog.text


def test_a_line_without_end_is_read_in_bounded_memory(path, whole):
    with path.open("ab") as file:
        for _ in range(64):
            file.write(b"x" * LONGEST_LINE_BYTES)
    tracemalloc.start()
    try:
        assert read_log(path)[1] == RECORDS
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * LONGEST_LINE_BYTES


def changed(record_line, **values):
    return json.dumps(json.loads(record_line) | values).encode() + b"\n"


@pytest.mark.parametrize(
    ("index", "values"),
    [
        (5, {"flush_bytes": None}),
        (5, {"flush_bytes": 1.5}),
        (5, {"flush_bytes": True}),
        (5, {"flush_bytes": "many"}),
        (5, {"flush_bytes": 2**63}),
        (5, {"time_ns": 1e18}),
        (5, {"write_s": None}),
        (5, {"write_s": 10**400}),
        (5, {"reason": "boredom"}),
        (5, {"reason": {}}),
        (3, {"uss_bytes": [1]}),
        (3, {"full_in_s": "soon"}),
        (6, {"kind": "weather"}),
        (6, {"kind": None}),
        (6, {"fields": None}),
        (6, {"fields": [["rule", 1]]}),
        (6, {"fields": {"rule": {}}}),
    ],
)
def test_a_record_of_the_wrong_types_is_damaged(path, whole, index, values):
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:index], changed(lines[index], **values), *lines[index + 1 :]]))
    assert read_log(path)[1] == [*RECORDS[: index - 1], *RECORDS[index:]]


def test_what_a_later_version_adds_is_passed_over(path, whole):
    lines = [changed(line, colour="blue", more={"deep": [1]}) for line in whole.splitlines()]
    path.write_bytes(b"".join(lines))
    header, records = read_log(path)
    assert records == RECORDS
    assert header["colour"] == "blue"


def test_a_log_of_a_later_schema_says_so(path, whole):
    header, rest = whole.split(b"\n", 1)
    path.write_bytes(changed(header, schema_version=2) + rest)
    with pytest.raises(LogError, match="later recordkit"):
        read_log(path)


def test_no_log_at_all(tmp_path):
    for path in (tmp_path / "none", tmp_path, tmp_path / "a\0b"):
        with pytest.raises(LogError) as caught:
            read_log(path)
        assert caught.value.path == path
    (tmp_path / "empty").touch()
    with pytest.raises(LogError, match="no header"):
        read_log(tmp_path / "empty")


REAL_LINES = st.sampled_from([json.dumps({"type": "header", "schema_version": 1}).encode()])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@st.composite
def broken_records(draw):
    template = json.loads(draw(st.sampled_from(TEMPLATES)))
    for name in draw(st.sets(st.sampled_from(sorted(template)), max_size=3)):
        if draw(st.booleans()):
            template[name] = draw(VALUES)
        else:
            del template[name]
    return json.dumps(template).encode()


TEMPLATES = [
    json.dumps({"type": kind, **values}, default=str)
    for kind, values in (
        ("flush", {name: getattr(flush(), name) for name in flush().__slots__}),
        ("sample", {name: getattr(sample(), name) for name in sample().__slots__}),
        ("event", {name: getattr(RECORDS[5], name) for name in RECORDS[5].__slots__}),
        ("header", {"schema_version": 1}),
    )
]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.binary(max_size=60) | REAL_LINES | broken_records(), max_size=8), end=st.booleans())
def test_whatever_the_file_holds_it_is_a_log_or_a_logerror(path, lines, end):
    from recordkit.telemetry.frames import read_flush_log

    path.write_bytes(b"\n".join(lines) + b"\n" * end)
    try:
        read = read_flush_log(path)
    except LogError:
        return
    for frame in (read.flushes, read.samples, read.events, read.alerts):
        assert len(frame) <= len(lines) + sum(line.count(b"\n") for line in lines)
        json.dumps(frame.attrs)


# Writing.


def test_an_older_log_of_the_same_name_is_kept(path):
    written(path, RECORDS[:1])
    written(path, RECORDS[:2])
    written(path, RECORDS[:3])
    assert read_log(path)[1] == RECORDS[:3]
    assert read_log(path.with_name(path.name + ".old"))[1] == RECORDS[:2]


def test_one_that_is_removed_gives_the_older_its_name_back(path):
    written(path, RECORDS[:2])
    file = LogFile(path, HEADER)
    file.close()
    file.remove()
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert read_log(path)[1] == RECORDS[:2]
    alone = LogFile(path.with_name("other"), HEADER)
    alone.close()
    alone.remove()
    alone.remove()
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_the_folder_is_made(tmp_path):
    assert read_log(written(tmp_path / "logs" / "deep" / "talk.jsonl"))[1] == RECORDS


def test_names_and_values_that_json_has_no_form_for(path):
    odd = "caf\udce9.ts"  # a file name in Latin-1
    file = LogFile(path, {"path": odd, "rate": Fraction(30000, 1001)})
    file.add(event(EventKind.MARK, text="snö\udcff", rate=Fraction(1, 3)))
    file.close()
    header, records = read_log(path)
    assert (header["path"], header["rate"]) == (odd, "30000/1001")
    assert dict(records[0].fields) == {"text": "snö\udcff", "rate": "1/3"}


def assert_given_up(path, caplog, words="no log of the flushes is kept"):
    file = LogFile(path, HEADER)
    for record in RECORDS:
        file.add(record)
        file.write()
    file.close()
    assert caplog.text.count(str(path)) == 1
    assert words in caplog.text


def test_a_folder_that_cannot_be_written(path, caplog):
    if os.geteuid() == 0:
        path.parent.joinpath("file").touch()
        path = path.parent / "file" / "talk.jsonl"  # root may write in every folder, but in no file
    else:
        path.parent.chmod(0o555)
    assert_given_up(path, caplog)


def test_a_folder_of_that_name_is_left_alone(path, caplog):
    path.mkdir()
    assert_given_up(path, caplog)
    assert path.is_dir()


def test_a_pipe_that_nobody_reads_is_not_waited_for(path, caplog):
    os.mkfifo(path)
    assert_given_up(path, caplog)


def test_a_log_that_is_a_pipe_is_not_waited_for_when_it_is_read(path):
    os.mkfifo(path)
    with pytest.raises(LogError, match="is no file"):
        read_log(path)


@pytest.mark.parametrize("target", [b"another's", b"", None])
def test_no_file_behind_a_link_is_written_to(path, caplog, target):
    elsewhere = path.with_name("elsewhere")
    if target is not None:
        elsewhere.write_bytes(target)
    path.symlink_to(elsewhere)
    assert_given_up(path, caplog)
    assert path.is_symlink()
    assert (elsewhere.read_bytes() if elsewhere.exists() else None) == target


def test_a_full_disk_ends_the_log(path, caplog):
    path.symlink_to("/dev/full")
    assert_given_up(path, caplog, "ends here")
    assert path.is_symlink()


def test_a_disk_that_fills_up_later(path, caplog, monkeypatch):
    file = LogFile(path, HEADER)
    file.add(RECORDS[0])
    write, room = os.write, [400]

    def short_of_room(descriptor, data):
        if not room[0]:
            raise OSError(28, "No space left on device")
        count = write(descriptor, data[: min(100, room[0])])
        room[0] -= count
        return count

    monkeypatch.setattr(os, "write", short_of_room)
    for record in RECORDS[1:]:
        file.add(record)
    file.write()
    file.close()
    assert "ends here: No space left" in caplog.text
    records = read_log(path)[1]
    assert 0 < len(records) < len(RECORDS)
    assert records == RECORDS[: len(records)]


def test_a_disk_that_has_room_again_gets_all_of_it(path, caplog, monkeypatch):
    file = LogFile(path, HEADER)
    write, room = os.write, [150]

    def short_of_room(descriptor, data):
        if not room[0]:
            raise OSError(28, "No space left on device")
        count = write(descriptor, data[: room[0]])
        room[0] -= count
        return count

    monkeypatch.setattr(os, "write", short_of_room)
    for record in RECORDS:
        file.add(record)
        file.write()
    room[0] = 1 << 20
    file.close()
    assert read_log(path)[1] == RECORDS
    assert caplog.text == ""


def test_who_notes_something_does_not_wait_for_the_disk(path, monkeypatch):
    file = LogFile(path, HEADER)
    file.add(RECORDS[0])
    write, reached, go_on = os.write, threading.Event(), threading.Event()

    def stands_still(descriptor, data):
        reached.set()
        assert go_on.wait(GUARD_S)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", stands_still)
    writer = threading.Thread(target=file.write)
    writer.start()
    assert reached.wait(GUARD_S)
    file.add(RECORDS[1])  # would stand still here
    go_on.set()
    writer.join(GUARD_S)
    file.close()
    assert read_log(path)[1] == RECORDS[:2]


def test_threads_at_once_mix_no_lines(path):
    file = LogFile(path, HEADER)

    def note(stream):
        for number in range(300):
            file.add(event(EventKind.KEYFRAME, float(number), stream=stream))
            if number % 10 == 0:
                file.write()

    threads = [threading.Thread(target=note, args=(stream,)) for stream in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(GUARD_S)
    file.close()
    records = read_log(path)[1]
    assert len(records) == 1200
    for stream in range(4):
        assert [one.elapsed_s for one in records if one.fields["stream"] == stream] == list(range(300))


def test_a_day_stays_within_its_bounds(path):
    """24 h with a sample a second, a flush and a keyframe every two: journal and log together."""
    clock = FakeClock()
    journal = Journal(clock)
    file = LogFile(path, HEADER)
    journal.follow(file.add)
    real = replace(sample(), cpu_share=0.123456789012, since_flush_s=1.234567890123, loop_lag_s=0.00123456789012)
    for number in range(DAY_S):
        clock.advance(1.0)
        journal.add(replace(real, time_ns=clock.time_ns(), elapsed_s=number + 0.123456))
        if number % 2:
            journal.event(EventKind.KEYFRAME, stream=0, media_s=number + 0.123456, bytes=50_000)
            journal.add(flush(number // 2, write_s=0.00123456789, sync_s=0.0123456789))
            file.write()
            assert not file._lines  # nothing gathers in memory
    file.close()
    size = path.stat().st_size
    with path.open("rb") as lines:
        count = sum(1 for _ in lines)
    print(f"a day: log {size / 1e6:.1f} MB in {count} lines")
    assert count == 1 + 2 * DAY_S
    assert size < MOST_LOG_BYTES_A_DAY


def test_a_line_alone():
    assert parse_line(b'{"type":"header","schema_version":1,"a":2}\n') == {"schema_version": 1, "a": 2}
    assert parse_line(b"") is None
