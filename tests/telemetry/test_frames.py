"""The DataFrames: their types to the letter, whatever they hold, and from whatever they were read."""

import json
import sqlite3
from contextlib import closing

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from recordkit.errors import LogError
from recordkit.model import Codec, EventKind
from recordkit.telemetry.frames import Log, plain, read_flush_log, read_flush_logs
from recordkit.telemetry.journal import Contents
from recordkit.telemetry.logfile import LogFile

from .records import BEGUN_NS, event, flush, sample

HEADER = {"recording": "talk.ts", "path": "talk.ts", "flush_threshold": 4 << 20}
NAMES = ("flushes", "samples", "events", "alerts")
DTYPES = {
    "flushes": {
        "elapsed_s": "float64",
        "flush_bytes": "int64",
        "file_bytes": "int64",
        "write_s": "float64",
        "sync_s": "float64",
        "reason": "str",
        "interval_s": "float64",
        "video_units": "int64",
        "audio_units": "int64",
        "media_s": "float64",
        "dropped_units": "int64",
        "queue_bytes": "int64",
        "bytes_at_risk": "int64",
        "rss_bytes": "Int64",
    },
    "samples": {
        "elapsed_s": "float64",
        "rss_bytes": "Int64",
        "uss_bytes": "Int64",
        "peak_rss_bytes": "Int64",
        "cpu_share": "float64",
        "threads": "Int64",
        "open_files": "Int64",
        "file_bytes": "Int64",
        "buffer_bytes": "int64",
        "queue_bytes": "int64",
        "dropped_units": "int64",
        "since_flush_s": "float64",
        "silent_s": "float64",
        "free_bytes": "Int64",
        "full_in_s": "Float64",
        "loop_lag_s": "Float64",
    },
    "events": {
        "time": "datetime64[ns, UTC]",
        "elapsed_s": "float64",
        "kind": "str",
        "stream": "Int64",
        "name": "str",
        "media_s": "Float64",
        "seconds": "Float64",
        "because": "str",
        "message": "str",
        "fields": "object",
    },
    "alerts": {
        "time": "datetime64[ns, UTC]",
        "cleared": "datetime64[ns, UTC]",
        "rule": "str",
        "value": "Float64",
        "threshold": "Float64",
        "message": "str",
    },
}
SILENT = {"rule": "silent_s", "value": 5.5, "threshold": 5.0, "message": "a stream is silent"}
NO_OPTION = dict.fromkeys(
    (
        "rss_bytes",
        "threads",
        "uss_bytes",
        "peak_rss_bytes",
        "open_files",
        "file_bytes",
        "free_bytes",
        "full_in_s",
        "loop_lag_s",
    )
)
EMPTY = Log({}, Contents((), (), ()))
FULL = Log(
    HEADER,
    Contents(
        (flush(0), flush(1, file_bytes=2**59 + 1)),
        (sample(1.0), sample(2.0, **NO_OPTION), sample(3.0, free_bytes=2**59 + 1)),
        (
            event(EventKind.START, 0.0),
            event(EventKind.STREAM, 0.1, stream=0, codec=Codec.H264),
            event(EventKind.STREAM, 0.1, stream=1, codec=Codec.AAC),
            event(EventKind.ALERT_CLEARED, 0.2, rule="never raised"),
            event(EventKind.ALERT_RAISED, 1.0, **SILENT),
            event(EventKind.ALERT_RAISED, 1.5, **SILENT | {"rule": "memory_bytes"}),
            event(EventKind.ALERT_CLEARED, 2.0, rule="silent_s"),
            event(EventKind.ALERT_RAISED, 3.0, **SILENT),
        ),
    ),
)
NOTHING_KNOWN = Log(
    HEADER, Contents((), tuple(sample(1.0, **NO_OPTION) for _ in range(2)), (event(EventKind.ALERT_RAISED),))
)


def moments(frame):
    """The nanoseconds of a table that has several rows of one moment."""
    return [one.value for one in frame["time"]]


def written(path, log=FULL):
    file = LogFile(path, log.header)
    for record in (*log.contents.events, *log.contents.samples, *log.contents.flushes):
        file.add(record)
    file.close()
    return path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("log", [EMPTY, FULL, NOTHING_KNOWN], ids=["empty", "full", "nothing known"])
def test_the_types_are_the_same_whatever_there_is(log, name):
    frame = getattr(log, name)
    assert {column: str(dtype) for column, dtype in frame.dtypes.items()} == DTYPES[name]
    index = ("int64", None) if "time" in frame else ("datetime64[ns, UTC]", "time")
    assert (str(frame.index.dtype), frame.index.name) == index
    assert frame.index.is_unique or "time" not in frame
    assert json.loads(json.dumps(frame.attrs)) == frame.attrs == log.attrs


def test_no_digit_is_lost():
    assert FULL.flushes["file_bytes"].tolist() == [188_000, 2**59 + 1]
    assert FULL.samples["free_bytes"].tolist() == [10**12, pd.NA, 2**59 + 1]
    assert FULL.samples.index.asi8.tolist() == [BEGUN_NS + second * 10**9 for second in (1, 2, 3)]
    assert FULL.samples["full_in_s"].isna().tolist() == [False, True, False]


def test_alerts_say_when_they_began_and_ended():
    alerts = FULL.alerts
    assert alerts["rule"].tolist() == ["silent_s", "memory_bytes", "silent_s"]
    assert alerts["cleared"].isna().tolist() == [False, True, True]
    assert alerts["cleared"].iloc[0].value == BEGUN_NS + 2 * 10**9
    assert moments(alerts) == [BEGUN_NS + ns for ns in (10**9, 1_500_000_000, 3 * 10**9)]
    assert alerts["value"].tolist() == [5.5] * 3


def test_what_events_say_stands_in_columns():
    said = (
        event(EventKind.MARK, name="question 2", media_s=4.5),
        event(EventKind.STREAM, stream=2**53 + 1, name=3),
        event(EventKind.STALL, seconds=2, media_s="late", stream=True),
        event(EventKind.STALL, seconds=10**400, stream=10**400, media_s=float("nan")),
    )
    events = Log({}, Contents((), (), said)).events
    assert events["name"].isna().tolist() == [False, False, True, True]
    assert events["name"].tolist()[:2] == ["question 2", "3"]
    assert events["stream"].tolist() == [pd.NA, 2**53 + 1, pd.NA, pd.NA]
    assert events["media_s"].iloc[0] == 4.5
    assert events["seconds"].iloc[2] == 2.0
    assert events[["media_s", "seconds"]].iloc[3].isna().all()


def test_alerts_that_say_nothing_or_nonsense():
    rows = [{}, {"rule": 5, "value": "high", "threshold": True, "message": 1.5}, {"value": 10**400}]
    frame = Log({}, Contents((), (), tuple(event(EventKind.ALERT_RAISED, **row) for row in rows))).alerts
    assert frame["rule"].isna().tolist() == [True, False, True]
    assert frame["value"].isna().all()
    assert frame["message"].tolist()[1] == "1.5"


def test_attrs_carry_the_header_and_the_codecs():
    assert FULL.attrs == {"schema_version": 1, **HEADER, "codecs": {"0": "h264", "1": "aac"}}
    frame = FULL.flushes
    frame.attrs["codecs"]["0"] = "changed"
    assert FULL.attrs["codecs"]["0"] == "h264"


def test_reasons_and_kinds_are_plain_text():
    assert FULL.flushes["reason"].tolist() == ["interval", "interval"]
    assert FULL.events["kind"].tolist()[:2] == ["start", "stream"]
    texts = [*FULL.flushes["reason"], *FULL.events["kind"], *FULL.attrs["codecs"].values()]
    assert {type(text) for text in texts} == {str}
    assert (FULL.events.loc[FULL.events["kind"] == "alert raised", "fields"].str["rule"] == "silent_s").sum() == 2


def test_csv_round_trip(tmp_path):
    FULL.flushes.to_csv(tmp_path / "flushes.csv")
    back = pd.read_csv(tmp_path / "flushes.csv", index_col="time", parse_dates=True)
    assert back["file_bytes"].tolist() == FULL.flushes["file_bytes"].tolist()


def test_parquet_round_trip(tmp_path):
    pytest.importorskip("pyarrow")
    for name in ("flushes", "samples", "alerts"):
        frame = getattr(FULL, name)
        frame.to_parquet(tmp_path / name)
        back = pd.read_parquet(tmp_path / name)
        assert_frame_equal(back, frame)
        assert back.attrs == frame.attrs


# Reading.


@pytest.mark.parametrize("name", ["talk.flushes.jsonl", "talk.ts", "talk.recording.ts"])
@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_a_log_read_back_gives_the_same_frames(tmp_path, name, kind):
    written(tmp_path / "talk.flushes.jsonl")
    log = read_flush_log(kind(tmp_path / name))
    for frame in NAMES:
        assert_frame_equal(getattr(log, frame), getattr(FULL, frame))
        assert getattr(log, frame).attrs == getattr(FULL, frame).attrs


def test_a_log_with_a_name_of_its_own(tmp_path):
    assert len(read_flush_log(written(tmp_path / "my.log")).flushes) == 2


def test_no_log(tmp_path):
    with pytest.raises(LogError) as caught:
        read_flush_log(tmp_path / "talk.ts")
    assert caught.value.path == tmp_path / "talk.flushes.jsonl"


def test_two_thousand_logs_in_one_frame_with_progress_and_one_damaged(tmp_path, caplog):
    data = written(tmp_path / "first").read_bytes()
    (tmp_path / "first").unlink()
    for number in range(2000):
        folder = tmp_path / f"day {number % 7}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number:04}.flushes.jsonl").write_bytes(b"?" if number == 999 else data)
    (tmp_path / "notes.jsonl").write_text("not a log")
    progress = []
    frame = read_flush_logs(tmp_path, on_progress=lambda done, total: progress.append((done, total)))
    assert progress == [(number + 1, 2000) for number in range(2000)]
    assert frame["recording"].nunique() == 1999
    assert set(frame.groupby("recording").size()) == {2}
    assert frame["recording"].iloc[0] == "day 0/0000"
    assert "day 5/0999.flushes.jsonl: is not a log of a recording" in caplog.text
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        "recording": "str",
        **DTYPES["flushes"],
    }
    assert str(frame.index.dtype) == "datetime64[ns, UTC]"
    json.dumps(frame.attrs)


def test_logs_without_a_flush_and_folders_without_a_log(tmp_path):
    for logs in (0, 1):
        frame = read_flush_logs(str(tmp_path))
        assert len(frame) == 0, logs
        assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
            "recording": "str",
            **DTYPES["flushes"],
        }
        assert str(frame.index.dtype) == "datetime64[ns, UTC]"
        written(tmp_path / "talk.flushes.jsonl", EMPTY)
    written(tmp_path / "more.flushes.jsonl")
    assert read_flush_logs(tmp_path)["recording"].tolist() == ["more", "more"]


def test_logs_of_no_folder(tmp_path):
    for path in (tmp_path / "none", written(tmp_path / "file")):
        with pytest.raises(LogError):
            read_flush_logs(path)


TABLES = [*NAMES, "summary"]


def table_of(name):
    found = getattr(FULL, name)
    return found() if name == "summary" else found


@pytest.mark.parametrize("name", TABLES)
def test_a_plain_table_goes_to_sql_and_json_and_comes_back(name):
    table = table_of(name)
    flat = plain(table)
    assert len(flat.columns) == len(table.columns) + (table.index.name is not None)
    with closing(sqlite3.connect(":memory:")) as database:
        flat.to_sql(name, database, index=False)
        back = pd.read_sql(f"SELECT * FROM {name}", database)  # noqa: S608 - a name of ours
    assert list(back.columns) == list(flat.columns)
    assert len(back) == len(table)
    assert len(json.loads(flat.to_json(orient="records", date_format="iso"))) == len(table)


@pytest.mark.parametrize("name", TABLES)
def test_a_plain_table_goes_to_excel(tmp_path, name):
    pytest.importorskip("openpyxl", reason="it writes the files of Excel")
    flat = plain(table_of(name))
    flat.to_excel(tmp_path / "table.xlsx", index=False)
    assert list(pd.read_excel(tmp_path / "table.xlsx").columns) == list(flat.columns)


def test_a_plain_table_says_the_same():
    flat = plain(FULL.events)
    assert flat["time"].tolist() == FULL.events["time"].dt.tz_localize(None).tolist()
    assert [json.loads(one) for one in flat["fields"]] == FULL.events["fields"].tolist()
    assert isinstance(FULL.events["fields"].iloc[0], dict)


def test_events_of_one_moment_all_go_to_json_and_keep_their_time():
    events = tuple(event(EventKind.MARK, name=str(number)) for number in range(3))
    frame = Log({}, Contents((), (), events)).events
    assert moments(frame) == [one.time_ns for one in events]
    # As it comes, and flat.
    assert list(json.loads(frame.to_json(date_format="iso"))["name"].values()) == ["0", "1", "2"]
    rows = json.loads(plain(frame).to_json(orient="records", date_format="iso"))
    assert [json.loads(row["fields"])["name"] for row in rows] == ["0", "1", "2"]


def test_rows_from_before_the_clock_was_set_back_get_the_times_of_the_clock_as_it_is_since_then():
    hour_ns = 3600 * 10**9
    steps = [0, 10**9, 2 * 10**9, 3 * 10**9]
    for set_ns, first_ns in ((-hour_ns, -hour_ns), (hour_ns, 0)):
        wall = [step + (set_ns if step >= 2 * 10**9 else 0) for step in steps]
        samples = tuple(
            sample(time_ns=BEGUN_NS + at, elapsed_s=step / 1e9) for at, step in zip(wall, steps, strict=True)
        )
        table = Log(HEADER, Contents((), samples, ())).samples
        assert table.index.is_monotonic_increasing
        assert [one.value - BEGUN_NS for one in table.index] == [first_ns, first_ns + 10**9, *wall[2:]]
