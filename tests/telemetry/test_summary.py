"""The figures of a recording, held against ones worked out by hand."""

import json
import math

import pandas as pd
import pytest

from recordkit.errors import LogError, SettingsError
from recordkit.model import Event, EventKind, FlushReason, FlushRecord, Sample
from recordkit.telemetry.compare import compare
from recordkit.telemetry.frames import Log
from recordkit.telemetry.journal import NEWEST_EVENTS, Contents
from recordkit.telemetry.logfile import LogFile
from recordkit.telemetry.summary import COLUMNS, summarise
from recordkit.telemetry.words import count_text, size_text, span_text, time_text, times_text

START_NS = 1_700_000_000_000_000_000
EMPTY = Log({}, Contents((), (), ()))


def flush(index, elapsed_s, **fields):
    facts = {
        "flush_bytes": 1000,
        "file_bytes": 1000 * (index + 1),
        "write_s": 0.001,
        "sync_s": 0.002,
        "reason": FlushReason.INTERVAL,
        "interval_s": 2.0,
        "video_units": 60,
        "audio_units": 94,
        "media_s": 2.0,
        "dropped_units": 0,
        "queue_bytes": 0,
        "bytes_at_risk": 1000,
        "rss_bytes": 90_000_000,
    }
    return FlushRecord(index, START_NS + round(elapsed_s * 1e9), elapsed_s, **facts | fields)


def sample(elapsed_s, rss_bytes=80_000_000, cpu_share=0.25, dropped_units=0):
    return Sample(
        START_NS + round(elapsed_s * 1e9),
        elapsed_s,
        rss_bytes,
        uss_bytes=None,
        peak_rss_bytes=999_000_000,
        cpu_share=cpu_share,
        threads=6,
        open_files=None,
        file_bytes=500,
        buffer_bytes=0,
        queue_bytes=0,
        dropped_units=dropped_units,
        since_flush_s=0.0,
        silent_s=0.0,
        free_bytes=None,
        full_in_s=None,
        loop_lag_s=None,
    )


def event(elapsed_s, kind, **fields):
    return Event(START_NS + round(elapsed_s * 1e9), elapsed_s, kind, fields)


def log(flushes=(), samples=(), events=(), **header):
    return Log({"recording": "talk.ts", **header}, Contents(tuple(flushes), tuple(samples), tuple(events)))


def figures(of):
    frame = of.summary()
    assert frame.shape == (1, len(COLUMNS))
    return frame.iloc[0]


def test_the_figures_of_a_committed_recording():
    found = figures(
        log(
            [
                flush(0, 2.0, write_s=0.001, sync_s=0.010, rss_bytes=91_000_000),
                flush(1, 4.5, write_s=0.003, sync_s=0.030, interval_s=2.5, bytes_at_risk=1700, dropped_units=3),
                flush(
                    2,
                    6.0,
                    write_s=0.002,
                    sync_s=0.020,
                    interval_s=1.5,
                    video_units=30,
                    audio_units=40,
                    dropped_units=3,
                ),
            ],
            [sample(0.0, 70_000_000, 0.0), sample(1.0, 75_000_000, 0.2), sample(4.0, 72_000_000, 0.4)],
            [
                event(0.0, EventKind.START),
                event(1.0, EventKind.GAP, seconds=0.25),
                event(2.0, EventKind.GAP, seconds=0.5),
                event(2.0, EventKind.DISCONTINUITY),
                event(3.0, EventKind.SIZE_CHANGE),
                event(3.0, EventKind.ALERT_RAISED, rule="silent_s"),
                event(4.0, EventKind.ALERT_CLEARED, rule="silent_s"),
                event(6.0, EventKind.STOP),
                event(6.0, EventKind.COMMIT, bytes=3000, duration_s=5.0),
            ],
            started_ns=START_NS,
        )
    )
    assert found.name == "talk.ts"
    assert found["started"] == pd.Timestamp(START_NS, tz="UTC")
    assert found["duration_s"] == 5.0
    assert found["elapsed_s"] == 6.0
    assert found["state"] == "committed"
    assert found["bytes"] == 3000
    assert found["bit_rate"] == 4800.0
    assert found["flush_count"] == 3
    assert found["flushes_per_min"] == 30.0
    assert found["longest_flush_interval_s"] == 2.5
    assert found["write_p50_s"] == 0.002
    assert found["write_max_s"] == 0.003
    assert found["write_p99_s"] == pytest.approx(0.00298)
    assert found["sync_p50_s"] == 0.020
    assert found["sync_p99_s"] == pytest.approx(0.0298)
    assert found["sync_max_s"] == 0.030
    assert found["rss_start_bytes"] == 70_000_000
    assert found["rss_end_bytes"] == 72_000_000
    assert found["rss_peak_bytes"] == 91_000_000
    assert math.isnan(found["rss_slope_mb_per_h"])
    assert found["cpu_share_mean"] == pytest.approx((0.2 * 1 + 0.4 * 3) / 4)
    assert found["video_units"] == 150
    assert found["audio_units"] == 228
    assert found["dropped_units"] == 3
    assert found["gaps"] == 2
    assert found["gap_s"] == 0.75
    assert found["discontinuities"] == 1
    assert found["size_changes"] == 1
    assert found["alerts"] == 1
    assert found["bytes_at_risk_max"] == 1700


def test_a_log_without_records_has_a_row_without_figures():
    found = figures(EMPTY)
    assert found["state"] == "running or crashed"
    assert found["flush_count"] == 0
    for name in ("started", "duration_s", "bytes", "bit_rate", "rss_peak_bytes", "write_max_s", "cpu_share_mean"):
        assert pd.isna(found[name]), name


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        ([EventKind.START], "running or crashed"),
        ([EventKind.START, EventKind.STOP], "stopped"),
        ([EventKind.START, EventKind.STOP, EventKind.FAILURE], "failed"),
        ([EventKind.START, EventKind.STOP, EventKind.COMMIT], "committed"),
    ],
)
def test_the_state_follows_from_the_events(kinds, state):
    assert figures(log(events=[event(1.0, kind) for kind in kinds]))["state"] == state


def test_a_recording_that_hangs_shows_how_long_it_has_not_flushed():
    hanging = log([flush(0, 2.0)], [sample(32.0)])
    assert figures(hanging)["longest_flush_interval_s"] == 30.0
    assert figures(hanging)["duration_s"] != figures(hanging)["duration_s"]
    assert figures(hanging)["bit_rate"] == 4000.0


def test_the_slope_is_that_of_the_line_through_the_samples():
    leaking = [sample(float(second), 50_000_000 + 5_000 * second) for second in range(60)]
    assert figures(log(samples=leaking))["rss_slope_mb_per_h"] == pytest.approx(18.0)
    assert math.isnan(figures(log(samples=leaking[:30]))["rss_slope_mb_per_h"])
    assert math.isnan(figures(log(samples=leaking[::7]))["rss_slope_mb_per_h"])


def test_counts_that_made_room_for_newer_rows_are_unknown():
    old = log(
        [flush(7, 16.0)], events=[event(0.0, EventKind.START), *[event(16.0, EventKind.DROP)] * NEWEST_EVENTS]
    )
    found = figures(old)
    assert found["flush_count"] == 8
    for name in ("video_units", "audio_units", "gaps", "gap_s", "alerts", "size_changes", "discontinuities"):
        assert pd.isna(found[name]), name


def test_counts_are_known_however_many_key_pictures_there_were():
    events = [event(0.0, EventKind.START), *[event(16.0, EventKind.KEYFRAME)] * NEWEST_EVENTS]
    assert figures(log(events=events))["gaps"] == 0


def test_damaged_fields_are_unknown_figures():
    odd = log(
        events=[
            event(1.0, EventKind.COMMIT, bytes="many", duration_s=None),
            event(1.0, EventKind.GAP, seconds="x"),
        ],
        started_ns="yesterday",
    )
    found = figures(odd)
    assert pd.isna(found["bytes"])
    assert math.isnan(found["duration_s"])
    assert (found["gaps"], found["gap_s"]) == (1, 0.0)
    assert found["started"] == pd.Timestamp(START_NS, tz="UTC")


def test_figures_of_empty_and_full_recordings_have_the_same_types():
    full = summarise(log([flush(0, 2.0)], [sample(1.0)], [event(2.0, EventKind.COMMIT, bytes=1, duration_s=2.0)]))
    assert full.dtypes.equals(summarise(EMPTY).dtypes)
    assert full.dtypes.equals(compare([]).dtypes)
    assert str(full["started"].dtype) == "datetime64[ns, UTC]"
    json.dumps(full.attrs)


def test_recordings_are_put_beside_each_other(tmp_path):
    file = LogFile(tmp_path / "walk.flushes.jsonl", {"recording": "walk.ts"})
    for record in (event(0.0, EventKind.START), flush(0, 2.0)):
        file.add(record)
    file.close()
    frame = compare([log([flush(0, 2.0), flush(1, 4.0)]), tmp_path / "walk.ts", str(file.path), EMPTY])
    assert list(frame["flush_count"]) == [2, 1, 1, 0]
    assert frame.dtypes.equals(compare([]).dtypes)


def test_recordings_of_one_name_are_told_apart_by_their_paths():
    frame = compare([log(path="/a/talk.ts"), log(path="/b/talk.ts")])
    assert list(frame.index) == ["/a/talk.ts", "/b/talk.ts"]
    assert list(compare([log(path="/a/talk.ts")]).index) == ["talk.ts"]


def test_what_is_no_recording_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="a Recorder, a Recording"):
        compare([7])
    with pytest.raises(LogError):
        compare([tmp_path / "none.ts"])


def test_words():
    assert [size_text(size) for size in (0, 999, 1000, 74_862_592, 999_600, 134_044, 4.2e12, 2e15)] == [
        "0 B",
        "999 B",
        "1.00 kB",
        "74.9 MB",
        "1.00 MB",
        "134 kB",
        "4.20 TB",
        "2000 TB",
    ]
    assert [time_text(seconds) for seconds in (0, 12.4, 750, 11_045)] == ["0:00", "0:12", "12:30", "3:04:05"]
    assert [span_text(span) for span in (0.00021, 0.0049, 0.25, 2.0, 31.4)] == [
        "0.21 ms",
        "4.9 ms",
        "250 ms",
        "2.0 s",
        "31 s",
    ]
    assert [count_text(count, "drop") for count in (0, 1, 1200)] == ["no drops", "1 drop", "1,200 drops"]
    assert count_text(2, "flush", "flushes") == "2 flushes"
    assert [times_text(count) for count in (1, 2, 1200)] == ["once", "2 times", "1,200 times"]
