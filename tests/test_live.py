"""The charts of a running recording: bounded, true to the newest and the highest figure, and cheap for days."""

import gc
import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from recordkit.plots.live import MOST_POINTS, LiveCharts, Trace

from .steering import alone
from .telemetry.records import flush, sample

LIMIT = 300e6


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_a_trace_is_bounded_and_keeps_the_newest_and_the_highest(some):
    values = (some * 3000)[:3000]
    trace = Trace()
    for time_s, value in enumerate(values):
        trace.add(float(time_s), value)
    times, kept = trace.points()
    assert len(times) == len(kept) <= 2 * MOST_POINTS + 2
    assert (np.diff(times) >= 0).all()
    assert (times[-1], kept[-1]) == (len(values) - 1, values[-1])
    assert kept.max() == trace.highest == max(values)
    assert set(zip(times.tolist(), kept.tolist(), strict=True)) <= set(enumerate(values))


def test_a_short_trace_keeps_everything():
    trace = Trace()
    for time_s in range(100):
        trace.add(time_s, time_s * 2)
    assert trace.points()[1].tolist() == [time_s * 2 for time_s in range(100)]


def pictures(charts):
    return [np.asarray(Image.open(io.BytesIO(one.png)).convert("RGBA")) for one in charts.draw()]


def test_charts_are_transparent_pictures_from_the_start_on():
    memory, growth = pictures(LiveCharts(LIMIT))
    assert memory.shape == growth.shape
    assert memory[0, 0, 3] == growth[0, 0, 3] == 0
    assert memory[..., 3].any()
    assert growth[..., 3].any()


def test_what_is_new_shows():
    charts = LiveCharts(LIMIT)
    charts.add([flush(0), sample(1.0)])
    before = pictures(charts)
    charts.add([flush(1), sample(3.0, rss_bytes=200_000_000)])
    after = pictures(charts)
    assert all((one != other).any() for one, other in zip(before, after, strict=True))
    again = pictures(charts)
    assert all((one == other).all() for one, other in zip(after, again, strict=True))


def test_the_line_of_the_alert_is_always_in_sight():
    charts, without = LiveCharts(LIMIT), LiveCharts(None)
    for one in (charts, without):
        one.add([sample(1.0, rss_bytes=50_000_000)])
    # Vermillion, which nothing else on the chart has.
    assert reddish(pictures(charts)[0]) > 100
    assert reddish(pictures(without)[0]) == 0


def reddish(picture):
    red, green, blue, opaque = (picture[..., channel].astype(int) for channel in range(4))
    return int(((red > 180) & (green < 130) & (blue < 60) & (opaque > 200)).sum())


def test_redraws_of_a_day_leave_nothing_behind():
    alone(redraw_a_day)


def redraw_a_day():
    charts = LiveCharts(LIMIT)
    charts.add(sample(float(second)) for second in range(0, 86_400, 16))
    charts.add(flush(index) for index in range(0, 43_200, 16))

    def objects_after(redraws):
        for _ in range(redraws):
            charts.add([sample(86_400.0)])
            charts.draw()
        gc.collect()
        return len(gc.get_objects())

    begun = objects_after(8)  # by then what matplotlib keeps for good is there
    assert abs(objects_after(20) - begun) < 20
