"""Alerts: each rule raised, held, cleared and switched off; own rules; callbacks that fail."""

import os
from dataclasses import fields, replace
from functools import partial

import pytest

from recordkit.errors import SettingsError
from recordkit.model import EventKind
from recordkit.system import System
from recordkit.telemetry.alerts import Alerts, AlertSettings, Limit, stale_partials
from recordkit.telemetry.journal import Journal
from recordkit.writer.output import Output

from ..steering import FakeClock
from .records import sample

BOUND = 1_000_000
GOOD = sample(0.0)
NONE = dict.fromkeys(one.name for one in fields(AlertSettings) if one.name != "own")


class Rig:
    def __init__(self, folder, on_alert=None, system=None, **settings):
        self.clock = FakeClock()
        self.journal = Journal(self.clock)
        self.told = []
        self.alerts = Alerts(
            AlertSettings(**settings),
            self.journal,
            folder,
            BOUND,
            self.clock,
            system or System(),
            on_alert or self.told.append,
        )

    def check(self, elapsed_s=0.0, **values):
        """What stands after a sample."""
        counts = values.pop("counts", {})
        self.alerts.check(replace(GOOD, elapsed_s=float(elapsed_s), **values), counts)
        return [alert.rule for alert in self.alerts.standing]

    def kinds(self, *wanted):
        kinds = [event.kind for event in self.journal.contents().events]
        return [kind for kind in kinds if not wanted or kind in wanted]


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


CASES = [
    ("memory_bytes", {"rss_bytes": 300_000_000}, {"rss_bytes": 270_000_000}, {"rss_bytes": 269_000_000}),
    ("flush_gap_s", {"since_flush_s": 10.0}, {"since_flush_s": 9.5}, {"since_flush_s": 1.0}),
    ("disk_full_s", {"full_in_s": 600.0}, {"full_in_s": 650.0}, {"full_in_s": 661.0}),
    ("disk_full_s", {"full_in_s": 1.0}, {"full_in_s": 650.0}, {"full_in_s": None}),
    ("dropped_units", {"dropped_units": 1}, {"dropped_units": 1}, None),
    ("silent_s", {"silent_s": 5.0}, {"silent_s": 4.6}, {"silent_s": 0.0}),
    ("loop_lag_s", {"loop_lag_s": 0.1}, {"loop_lag_s": 0.095}, {"loop_lag_s": 0.0}),
    ("loop_lag_s", {"loop_lag_s": 0.5}, {"loop_lag_s": 0.095}, {"loop_lag_s": None}),
]


@pytest.mark.parametrize(("rule", "bad", "between", "good"), CASES)
def test_each_rule_is_raised_once_held_and_cleared(rig, caplog, rule, bad, between, good):
    assert rig.check(0) == []
    assert rig.check(1, **bad) == [rule]
    assert rig.check(2, **bad) == [rule]
    assert rig.check(3, **between) == [rule]
    (alert,) = rig.told
    (value,) = bad.values()
    assert (alert.rule, alert.value, alert.threshold) == (rule, value, AlertSettings().limits()[rule].threshold)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert alert.message in caplog.text
    if good is not None:
        assert rig.check(4, **good) == []
        assert rig.kinds(EventKind.ALERT_RAISED, EventKind.ALERT_CLEARED) == [
            EventKind.ALERT_RAISED,
            EventKind.ALERT_CLEARED,
        ]
        assert rig.check(5, **bad) == [rule]
        assert len(rig.told) == 2


@pytest.mark.parametrize(("rule", "bad", "between", "good"), CASES)
def test_each_rule_can_be_switched_off(tmp_path, rule, bad, between, good):
    rig = Rig(tmp_path, **{rule: None})
    rig.check(0)
    assert rig.check(1, **bad) == rig.check(100, **bad) == []


def test_between_the_levels_nothing_is_raised(rig):
    assert rig.check(0, rss_bytes=299_999_999) == []
    assert rig.check(1, full_in_s=601.0) == []


def test_the_queue_may_be_full_for_a_moment(rig):
    assert rig.check(0, queue_bytes=500_000) == []
    assert rig.check(4.9, queue_bytes=900_000) == []
    assert rig.check(5, queue_bytes=100_000) == []
    assert rig.check(6, queue_bytes=500_000) == []
    assert rig.check(11, queue_bytes=500_000) == ["queue_share"]
    assert rig.told[0].message == "the queue is 50% full"
    assert rig.check(12, queue_bytes=460_000) == ["queue_share"]
    assert rig.check(13, queue_bytes=440_000) == []


def test_hold_time_and_clearing_level_are_settings(tmp_path):
    rig = Rig(tmp_path, memory_bytes=Limit(1000, hold_s=3, clear=500))
    assert rig.check(0, rss_bytes=1000) == rig.check(2, rss_bytes=2000) == []
    assert rig.check(3, rss_bytes=1500) == ["memory_bytes"]
    assert rig.check(4, rss_bytes=500) == ["memory_bytes"]
    assert rig.check(5, rss_bytes=499) == []
    # The hold time begins anew.
    assert rig.check(6, rss_bytes=2000) == rig.check(8, rss_bytes=2000) == []
    assert rig.check(9, rss_bytes=2000) == ["memory_bytes"]


def test_drops_are_counted_within_a_minute(rig):
    assert rig.check(0, dropped_units=0) == []
    assert rig.check(1, dropped_units=2) == ["dropped_units"]
    assert rig.told[0].value == 2
    assert rig.check(60, dropped_units=2) == ["dropped_units"]
    assert rig.check(61, dropped_units=2) == []
    assert rig.check(62, dropped_units=3) == ["dropped_units"]


@pytest.mark.parametrize("settings", [{}, {"silent_s": None}])
def test_a_stall_is_noted_once_whether_or_not_it_is_an_alert(tmp_path, settings):
    rig = Rig(tmp_path, **settings)
    for number, silent_s in enumerate([4.9, 5.0, 6.0, 0.0, 5.5]):
        rig.check(number, silent_s=silent_s)
    assert rig.kinds(EventKind.STALL) == [EventKind.STALL] * 2


# Unfinished recordings in the folder.


def old_partial(folder, clock, name="lost.recording.ts", age_s=3600):
    path = folder / name
    path.write_bytes(b"x")
    time_ns = clock.time_ns() - age_s * 1_000_000_000
    os.utime(path, ns=(time_ns, time_ns))
    return path


def test_a_stale_partial_is_found_within_a_minute_and_forgotten_when_it_is_gone(rig, tmp_path):
    assert rig.check(0) == []
    lost = old_partial(tmp_path, rig.clock)
    assert rig.check(59) == []
    assert rig.check(60) == ["partial_age_s"]
    assert rig.told[0].message.endswith("is 3600 s old: lost.recording.ts")
    lost.unlink()
    assert rig.check(119) == ["partial_age_s"]
    assert rig.check(120) == []


def test_a_partial_that_is_young_or_being_written_is_no_alert(rig, tmp_path):
    old_partial(tmp_path, rig.clock, "young.recording.ts", 3599)
    live = Output(tmp_path / "live.ts", System())
    live.open(overwrite=False, needed_bytes=0)
    os.utime(live.partial_path, (0, 0))
    try:
        assert rig.check(0) == []
        assert stale_partials(tmp_path, 0, System())[0][0] == "young.recording.ts"
    finally:
        live.close()
    assert rig.check(60) == ["partial_age_s"]


def test_partials_that_cannot_be_looked_at_hide_no_others(tmp_path):
    clock = FakeClock()

    class Shy(System):
        def is_locked(self, path):
            if path.name.startswith("a"):
                raise PermissionError(13, "Permission denied")
            return super().is_locked(path)

    for name in ("a.recording.ts", "b.recording.ts", "other.ts"):
        old_partial(tmp_path, clock, name)
    (tmp_path / "c.recording.ts").symlink_to(tmp_path / "b.recording.ts")
    (tmp_path / "d.recording.ts").mkdir()
    os.mkfifo(tmp_path / "e.recording.ts")
    assert stale_partials(tmp_path, clock.time_ns(), Shy()) == [("b.recording.ts", 3600.0)]
    assert stale_partials(tmp_path / "none", clock.time_ns(), Shy()) == []


# Own rules and callbacks.


def test_own_rules(tmp_path):
    def too_many_threads(one):
        return f"{one.threads} threads" if one.threads > 20 else None

    rig = Rig(tmp_path, own=(too_many_threads,))
    assert rig.check(0) == []
    assert rig.check(1, threads=21) == rig.check(2, threads=30) == ["too_many_threads"]
    assert [(alert.rule, alert.message) for alert in rig.told] == [("too_many_threads", "21 threads")]
    assert rig.check(3, threads=20) == []


def test_own_rules_of_one_name_are_kept_apart(tmp_path):
    def memory_bytes(one):
        return "mine"

    rules = (lambda _: "one", lambda _: None, lambda _: False, partial(lambda text, _: text, "four"), memory_bytes)
    rig = Rig(tmp_path, own=rules)
    assert rig.check(0) == rig.check(1) == ["<lambda>", "partial", "memory_bytes 2"]
    assert [alert.message for alert in rig.told] == ["one", "four", "mine"]


def test_an_own_rule_that_fails_harms_nothing_and_is_told_once(tmp_path, caplog):
    rig = Rig(tmp_path, own=(lambda one: 1 / 0, lambda one: "still here"))
    for number in range(3):
        assert rig.check(number, rss_bytes=10**9) == ["memory_bytes", "<lambda> 2"]
    assert caplog.text.count("ZeroDivisionError") == 1


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_an_on_alert_that_fails_harms_nothing(tmp_path, caplog, error):
    def fail(alert):
        raise error("oops")

    rig = Rig(tmp_path, on_alert=fail)
    assert rig.check(0, rss_bytes=10**9, silent_s=9.0) == ["memory_bytes", "silent_s"]
    assert caplog.text.count("on_alert failed") == 2
    assert rig.kinds(EventKind.ALERT_RAISED) == [EventKind.ALERT_RAISED] * 2


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"memory_bytes": 0}, "memory_bytes"),
        ({"memory_bytes": -1}, "memory_bytes"),
        ({"memory_bytes": float("nan")}, "memory_bytes"),
        ({"memory_bytes": "much"}, "memory_bytes"),
        ({"silent_s": [5]}, "silent_s"),
        ({"silent_s": True}, "silent_s"),
        ({"silent_s": False}, "silent_s"),
        ({"memory_bytes": Limit(100, clear=101)}, "memory_bytes"),
        ({"disk_full_s": Limit(100, clear=99)}, "disk_full_s"),
    ],
)
def test_settings_that_cannot_be_used(settings, name):
    with pytest.raises(SettingsError) as caught:
        AlertSettings(**settings)
    assert caught.value.name == name


def test_limits_that_cannot_be_used():
    for values, name in (((0,), "threshold"), ((1, -1), "hold_s"), ((1, float("nan")), "hold_s")):
        with pytest.raises(SettingsError) as caught:
            Limit(*values)
        assert caught.value.name == name
    assert AlertSettings(**NONE).limits() == {}


@pytest.mark.parametrize(
    ("rule", "count"),
    [("late_items", 10), ("mistimed_items", 10), ("skipped_units", 60), ("received_dropped_units", 1)],
)
def test_counters_are_held_against_their_limits_by_the_minute(rig, rule, count):
    assert rig.check(0, counts={rule: count - 1}) == []
    assert rig.check(1, counts={rule: count}) == [rule]
    assert rig.check(62, counts={rule: count}) == []
    assert str(count) in rig.told[0].message


def test_what_is_lost_before_the_first_sample_is_told(rig):
    """On a machine with much to do it is taken late, and what went wrong by then is lost of this recording, too."""
    assert rig.check(5, counts={"received_dropped_units": 3}) == ["received_dropped_units"]
    assert rig.told[0].value == 3


def test_thresholds_may_be_text_as_on_the_command_line() -> None:
    found = AlertSettings(memory_bytes="300M", flush_gap_s="500ms", disk_full_s="5min", queue_share="0.5").limits()
    given = [found[name].threshold for name in ("memory_bytes", "flush_gap_s", "disk_full_s", "queue_share")]
    assert given == [300e6, 0.5, 300, 0.5]
    for name, text in (("memory_bytes", "much"), ("silent_s", "5 weeks"), ("late_items", "3M")):
        with pytest.raises(SettingsError, match=name):
            AlertSettings(**{name: text})
