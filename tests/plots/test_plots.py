"""The plots: what is drawn, as numbers; how it looks is judged by eye."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import matplotlib.figure
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import recordkit as rk
from recordkit.errors import LogError, SettingsError
from recordkit.model import Event, EventKind, FlushReason, FlushRecord, Sample
from recordkit.plots.style import merged, png, size_unit, time_unit
from recordkit.plots.tables import MOST_POINTS, AlertSpan, tables, thinned
from recordkit.telemetry.frames import Log
from recordkit.telemetry.journal import Contents
from recordkit.telemetry.logfile import LogFile

START_NS = 1_700_000_000_000_000_000
HEADER = {
    "recording": "talk.ts",
    "flush_threshold": 4_000_000,
    "alert_thresholds": {"memory_bytes": 300e6},
}
PLOTS = [rk.plot_memory, rk.plot_file_growth, rk.plot_flushes, rk.plot_overview]


def flush(index, elapsed_s, **fields):
    facts = {
        "flush_bytes": 1_000_000,
        "file_bytes": 1_000_000 * (index + 1),
        "write_s": 0.001,
        "sync_s": 0.004,
        "reason": FlushReason.INTERVAL,
        "interval_s": 2.0,
        "video_units": 60,
        "audio_units": 94,
        "media_s": 2.0,
        "dropped_units": 0,
        "queue_bytes": 0,
        "bytes_at_risk": 1_000_000,
        "rss_bytes": 90_000_000,
    }
    return FlushRecord(index, START_NS + round(elapsed_s * 1e9), elapsed_s, **facts | fields)


def sample(elapsed_s, rss_bytes=80_000_000, uss_bytes=50_000_000):
    time_ns = START_NS + round(elapsed_s * 1e9)
    return Sample(
        time_ns, elapsed_s, rss_bytes, uss_bytes, None, 0.2, 6, None, 500, 0, 0, 0, 0.0, 0.0, None, None, None
    )


def event(elapsed_s, kind, **fields):
    return Event(START_NS + round(elapsed_s * 1e9), elapsed_s, kind, fields)


def log(flushes=(), samples=(), events=()):
    return Log(HEADER, Contents(tuple(flushes), tuple(samples), tuple(events)))


TALK = log(
    [flush(0, 2.0), flush(1, 4.0, bytes_at_risk=1_500_000, sync_s=0.009), flush(2, 6.0)],
    [sample(0.0), sample(3.0, 95_000_000), sample(6.0, 85_000_000, None)],
    [
        event(0.0, EventKind.START),
        event(2.5, EventKind.ALERT_RAISED, rule="silent_s", value=5.0, threshold=5.0, message="$x_{"),
        event(4.5, EventKind.ALERT_CLEARED, rule="silent_s"),
        event(5.5, EventKind.ALERT_RAISED, rule="$own_{rule$", value=1.0, threshold=1.0, message="odd"),
    ],
)
LONG = log(
    [flush(index, 2.0 * (index + 1)) for index in range(5000)],
    [sample(2.0 * second, 100_000_000 + (200_000_000 if second == 2345 else 0)) for second in range(5000)],
)


def lines(ax):
    return {line.get_label(): line.get_xydata().tolist() for line in ax.lines}


def words(ax):
    return {text.get_text() for text in ax.texts}


def shaded(ax):
    return [
        (round(patch.get_x(), 6), round(patch.get_x() + patch.get_width(), 6))
        for patch in ax.patches
        if patch.get_label() == "alert"
    ]


def test_memory():
    ax = rk.plot_memory(TALK)
    drawn = lines(ax)
    assert drawn["RSS"] == [[0, 80], [3, 95], [6, 85]]
    assert drawn["USS"] == [[0, 50], [3, 50]]
    assert [time for time, _ in drawn["flushes"]] == [2, 4, 6]
    assert "limit" not in drawn
    assert {"RSS", "USS", "flushes", "silence", "$own_{rule$"} == words(ax)
    assert shaded(ax) == [(2.5, 4.5), (5.5, 6.0)]
    assert ax.get_title(loc="left") == "Memory: 85 MB at the end, 95 MB at most"
    assert ax.get_ylim()[0] == 0
    assert {ax.yaxis.get_major_formatter()(50), ax.xaxis.get_major_formatter()(3)} == {"50 MB", "3 s"}


def test_the_memory_alert_is_drawn_where_it_is_within_sight():
    assert lines(rk.plot_memory(log(samples=[sample(0.0, 160_000_000)])))["limit"] == [[0, 300], [1, 300]]


def test_a_figure_that_is_measured_seldom_is_one_line():
    seldom = [sample(float(second), uss_bytes=None if second % 10 else 40_000_000) for second in range(31)]
    assert lines(rk.plot_memory(log(samples=seldom)))["USS"] == [[0, 40], [10, 40], [20, 40], [30, 40]]


def test_without_samples_memory_is_that_of_the_flushes():
    assert lines(rk.plot_memory(log([flush(0, 2.0), flush(1, 4.0)])))["RSS"] == [[2, 90], [4, 90]]


def test_file_growth():
    ax = rk.plot_file_growth(TALK)
    assert lines(ax) == {"on disk": [[0, 0], [2, 1], [4, 2], [6, 3]]}
    (band,) = ax.collections
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices.round(6).tolist()}
    assert {(0, 0), (2, 0), (2, 1), (4, 0.5), (4, 2), (6, 2), (6, 3)} <= corners
    assert ax.get_title(loc="left") == "File: 3.00 MB, never more than 1.50 MB of it at risk"


def test_what_is_never_synced_stays_at_risk():
    ax = rk.plot_file_growth(
        log([flush(index, 2.0 * index + 2, bytes_at_risk=1_000_000 * (index + 1)) for index in (0, 1)])
    )
    corners = {tuple(corner) for corner in ax.collections[0].get_paths()[0].vertices.round(6).tolist()}
    assert {(0, 0), (2, 0), (4, 0), (2, 1), (4, 2)} <= corners


def test_of_a_very_long_live_recording_the_newest_flushes_are_drawn():
    newest = log([flush(index, 2.0 * index + 2) for index in (7, 8)])
    assert lines(rk.plot_file_growth(newest))["on disk"] == [[14, 7], [16, 8], [18, 9]]
    assert "the newest 2 flushes" in rk.plot_overview(newest)[0].figure.get_suptitle()


def test_flushes():
    sizes, intervals, spans = rk.plot_flushes(TALK)
    assert lines(sizes) == {"size": [[2, 1], [4, 1], [6, 1]]}
    assert lines(intervals) == {"interval": [[2, 2], [4, 2], [6, 2]]}
    assert np.allclose(lines(spans)["write"], [[2, 1], [4, 1], [6, 1]])
    assert np.allclose(lines(spans)["sync"], [[2, 5], [4, 10], [6, 5]])
    stacked = spans.collections[0].get_segments()
    assert np.allclose(stacked, [[[2, 1], [2, 5]], [[4, 1], [4, 10]], [[6, 1], [6, 5]]])
    assert sizes.get_title(loc="left") == "Flush sizes: 1.00 MB median, 1.00 MB largest"


def test_the_longest_times_of_many_flushes_are_drawn():
    slow = [flush(index, 2.0 * index + 2, sync_s=0.5 if index == 777 else 0.001) for index in range(4000)]
    *_, spans = rk.plot_flushes(log(slow))
    stems = {one.get_label(): np.array(one.get_segments()) for one in spans.collections}
    assert stems["sync"][:, 1, 1].max() == pytest.approx(501)
    assert len(stems["sync"]) <= MOST_POINTS
    assert lines(spans) == {}


def test_the_flush_threshold_is_drawn_where_it_is_within_sight():
    sizes, *_ = rk.plot_flushes(log([flush(0, 2.0, flush_bytes=3_000_000)]))
    assert lines(sizes)["limit"] == [[0, 4], [1, 4]]


def test_the_overview_has_it_all():
    memory, growth, sizes, intervals, spans = axes = rk.plot_overview(TALK)
    assert [set(lines(ax)) for ax in axes] == [
        {"RSS", "USS", "flushes"},
        {"on disk"},
        {"size"},
        {"interval"},
        {"write", "sync"},
    ]
    assert all(shaded(ax) for ax in axes)
    assert memory.figure is growth.figure is sizes.figure is intervals.figure is spans.figure
    assert (
        memory.figure.get_suptitle()
        == "talk.ts  ·  0:06 elapsed  ·  3.00 MB  ·  3 flushes  ·  no units dropped  ·  2 alerts"
    )


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize(
    "few",
    [
        log(),
        log([flush(0, 2.0)]),
        log(samples=[sample(1.0)]),
        log(samples=[sample(0.0, uss_bytes=None)]),
        log([flush(0, 0.0, flush_bytes=0, file_bytes=0, bytes_at_risk=0, interval_s=0.0, write_s=0.0, sync_s=0.0)]),
        log(events=[event(1.0, EventKind.ALERT_RAISED, rule="silent_s")]),
    ],
    ids=["nothing", "a flush", "a sample", "no USS", "zeros", "an alert"],
)
def test_few_rows_can_be_drawn(plot, few):
    drawn = plot(few)
    ax = drawn[0] if isinstance(drawn, tuple) else drawn
    assert png(ax.figure, dpi=30).startswith(b"\x89PNG")


@pytest.mark.parametrize("plot", PLOTS)
def test_long_recordings_are_thinned(plot):
    drawn = plot(LONG)
    for ax in drawn if isinstance(drawn, tuple) else (drawn,):
        assert all(len(points) <= MOST_POINTS + 1 for points in lines(ax).values())
    assert png((drawn[0] if isinstance(drawn, tuple) else drawn).figure).startswith(b"\x89PNG")


def test_a_peak_of_one_sample_is_drawn():
    assert max(height for _, height in lines(rk.plot_memory(LONG))["RSS"]) == 300


@given(st.lists(st.floats(-1e9, 1e9) | st.just(math.nan), max_size=400), st.integers(4, 60))
def test_thinning_keeps_the_ends_and_the_peaks(values, most):
    values = np.array(values, dtype="float64")
    places = thinned(values, most)
    assert len(places) <= max(most, 0)
    assert (np.diff(places) > 0).all()
    if len(values):
        assert (places[0], places[-1]) == (0, len(values) - 1)
        if not np.isnan(values).all():
            assert np.nanmax(values[places]) == np.nanmax(values)
            assert np.nanmin(values[places]) == np.nanmin(values)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 50)), max_size=50))
def test_alerts_are_merged_without_losing_any(found):
    alerts = [AlertSpan(start, start + length, str(number)) for number, (start, length) in enumerate(found)]
    spans = merged(alerts, 100.0)
    assert len(spans) <= 250
    assert all(before[1] < after[0] for before, after in pairwise(spans))
    for alert in alerts:
        assert any(start <= alert.start_s <= end and alert.rule in rules for start, end, rules in spans)


def test_a_recording_may_be_given_in_many_ways(tmp_path):
    file = LogFile(tmp_path / "talk.flushes.jsonl", HEADER)
    for record in sorted(
        (*TALK.contents.flushes, *TALK.contents.samples, *TALK.contents.events), key=lambda one: one.elapsed_s
    ):
        file.add(record)
    file.close()
    wanted = tables(TALK)
    for given_ in (tmp_path / "talk.ts", str(file.path), [TALK.flushes, TALK.samples, TALK.events]):
        found = tables(given_)
        assert found.flushes.equals(wanted.flushes)
        assert found.samples.equals(wanted.samples)
        assert found.alerts == wanted.alerts
        assert found.limit("memory_bytes") == 300e6
        assert found.setting("flush_threshold") == 4e6


def test_frames_may_be_given_alone():
    assert lines(rk.plot_memory(TALK.samples))["RSS"] == lines(rk.plot_memory(TALK))["RSS"]
    assert lines(rk.plot_file_growth(TALK.flushes)) == lines(rk.plot_file_growth(TALK))
    assert shaded(rk.plot_memory((TALK.samples, TALK.alerts))) == [(2.5, 4.5), (5.5, 6.0)]
    assert shaded(rk.plot_memory(TALK.alerts)) == []


def test_what_is_no_recording_is_refused(tmp_path):
    for wrong in (7, [7], TALK.flushes[["rss_bytes"]]):
        with pytest.raises(SettingsError, match="give"):
            rk.plot_memory(wrong)
    with pytest.raises(LogError):
        rk.plot_memory(tmp_path / "none.ts")
    both = TALK.flushes.assign(recording=["a", "a", "b"])
    with pytest.raises(SettingsError, match="choose one"):
        rk.plot_flushes(both)


def test_the_users_axes_and_figures_are_drawn_on():
    figure = matplotlib.figure.Figure()
    mine = figure.add_subplot()
    assert rk.plot_memory(TALK, ax=mine) is mine
    assert rk.plot_file_growth(TALK, ax=figure.add_subplot()) in figure.axes
    assert rk.plot_flushes(TALK, ax=mine)[0] in mine.child_axes
    page = matplotlib.figure.Figure()
    assert all(ax.figure is page for ax in rk.plot_overview(TALK, figure=page))
    assert len(page.axes) == 5


def test_a_notebook_shows_what_comes_back():
    for plot in PLOTS:
        assert plot(TALK)._repr_png_().startswith(b"\x89PNG")
    assert rk.plot_memory(TALK).figure._repr_png_().startswith(b"\x89PNG")


def test_backgrounds_are_transparent():
    ax = rk.plot_memory(TALK)
    assert ax.get_facecolor()[3] == 0
    assert ax.figure.get_facecolor()[3] == 0


def test_units_suit_the_length():
    assert [time_unit(seconds)[1] for seconds in (0, 180, 181, 10_800, 10_801)] == ["s", "s", "min", "min", "h"]
    assert [size_unit(size)[1] for size in (0, 999_999, 1e6, 5e9)] == ["kB", "kB", "MB", "GB"]


def test_pyplot_is_not_touched(tmp_path):
    record = replace(TALK.contents.flushes[0])
    file = LogFile(tmp_path / "talk.flushes.jsonl", HEADER)
    file.add(record)
    file.close()
    code = (
        "import json, sys, recordkit as rk\n"
        "for plot in (rk.plot_memory, rk.plot_file_growth, rk.plot_flushes, rk.plot_overview):\n"
        "    plot(sys.argv[1])._repr_png_()\n"
        "print(json.dumps('matplotlib.pyplot' in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file.path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(rk.__file__).parents[1],
    )
    assert json.loads(done.stdout) is False
