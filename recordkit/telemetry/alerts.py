"""Alerts: rules over samples, with a threshold, a hold time and a clearing level."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import SettingsError
from ..model import EventKind, Sample
from ..names import is_partial
from ..system import Clock, System
from ..values import NumberLike, Reader, number, seconds, whole
from .journal import Journal

log = logging.getLogger("recordkit")

PARTIALS = "*.recording.*"
_DROP_WINDOW_S = 60.0
_FOLDER_INTERVAL_S = 60.0


@dataclass(frozen=True, slots=True)
class Limit:
    """An alert is raised once a figure has been at or beyond ``threshold`` for ``hold_s`` seconds.

    It is cleared when the figure is back on the good side of ``clear``; None is the threshold
    less a tenth (plus a tenth if low values are bad).
    """

    threshold: float
    hold_s: float = 0.0
    clear: float | None = None

    def __post_init__(self) -> None:
        if not self.threshold > 0:
            raise SettingsError("threshold", self.threshold, "give a number above 0, or None for no such alert")
        if not self.hold_s >= 0:
            raise SettingsError("hold_s", self.hold_s, "give 0 or more seconds")


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as it is raised: ``value`` reached ``threshold``; ``message`` says it in words."""

    rule: str
    value: float
    threshold: float
    message: str


OwnRule = Callable[[Sample], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """What raises an alert. A number is a threshold, a Limit says hold time and clearing level too, None: never.

    Text is read by its unit: ``memory_bytes="300M"``, ``flush_gap_s="10s"``.

    ``memory_bytes`` resident; ``flush_gap_s`` without a flush; ``partial_age_s`` of an unfinished
    recording in the folder that nobody is writing; ``disk_full_s`` until the disk is full;
    ``dropped_units`` in a minute, and so ``late_items``, ``mistimed_items``, ``skipped_units`` and
    ``received_dropped_units`` (see Counters; the last is ``received.dropped_units``); ``silent_s``
    without data from a stream; ``queue_share`` of the
    queue's bound; ``loop_lag_s`` of the event loop. ``own`` are functions that are given each
    sample: a string is an alert, None is none.

    Raises SettingsError.
    """

    memory_bytes: Limit | NumberLike | None = 300e6
    flush_gap_s: Limit | NumberLike | None = 10.0
    partial_age_s: Limit | NumberLike | None = 3600.0
    disk_full_s: Limit | NumberLike | None = 600.0
    dropped_units: Limit | NumberLike | None = 1.0
    late_items: Limit | NumberLike | None = 10.0
    mistimed_items: Limit | NumberLike | None = 10.0
    skipped_units: Limit | NumberLike | None = 60.0
    received_dropped_units: Limit | NumberLike | None = 1.0
    silent_s: Limit | NumberLike | None = 5.0
    queue_share: Limit | NumberLike | None = Limit(0.5, hold_s=5.0)
    loop_lag_s: Limit | NumberLike | None = 0.1
    own: tuple[OwnRule, ...] = ()

    def __post_init__(self) -> None:
        self.limits()

    def limits(self) -> dict[str, Limit]:
        """The limits that are on, by the name of their setting."""
        found = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name == "own" or value is None:
                continue
            if not isinstance(value, Limit):
                value = Limit(_threshold(one.name, value))
            sign = _sign(one.name)
            if value.clear is not None and not sign * value.clear <= sign * value.threshold:
                raise SettingsError(one.name, value, "clear must be on the good side of threshold")
            found[one.name] = value
        return found


_LEAST = 1e-12
_ADVICE = "give a number, a Limit, or None for no such alert"
_NUMBER = number(_LEAST, math.inf, _ADVICE)
_TEXTS: dict[str, Reader[float]] = {
    "bytes": whole(1, 1 << 50, "bytes"),
    "s": seconds(_LEAST, math.inf, f"{_ADVICE}; text is such as '10s' or '5min'"),
}
"""How text is read, by the unit that a threshold's name ends with."""


def _threshold(name: str, value: Any) -> float:  # noqa: ANN401 - whatever a caller gives
    read = _TEXTS.get(name.rpartition("_")[2], _NUMBER) if isinstance(value, str) else _NUMBER
    return read(name, value)


_LOW_IS_BAD = {"disk_full_s"}
_STALL_S = 5.0


def _sign(rule: str) -> int:
    return -1 if rule in _LOW_IS_BAD else 1


_WORDS: dict[str, str] = {
    "memory_bytes": "memory is at {megabytes:.0f} MB, over {limit_megabytes:.0f} MB",
    "flush_gap_s": "no flush for {value:.1f} s",
    "partial_age_s": "an unfinished recording that nobody writes is {value:.0f} s old: {name}",
    "disk_full_s": "the disk will be full in {value:.0f} s",
    "dropped_units": "{value:.0f} units were dropped within a minute",
    "late_items": "{value:.0f} items came late within a minute: their times went back",
    "mistimed_items": "the times of {value:.0f} items within a minute were not believed",
    "skipped_units": "{value:.0f} units within a minute came before one that a decoder can start from",
    "received_dropped_units": "{value:.0f} received frames were dropped within a minute: packets were lost, or a "
    "keyframe is missing",
    "silent_s": "a stream has been silent for {value:.1f} s",
    "queue_share": "the queue is {percent:.0f}% full",
    "loop_lag_s": "the event loop runs {milliseconds:.0f} ms late",
}


class Alerts:
    """Holds samples against the rules; notes in ``journal`` what is raised and cleared.

    ``on_alert`` is called with each alert raised; its errors are logged and go no further.
    """

    def __init__(
        self,
        settings: AlertSettings,
        journal: Journal,
        folder: Path,
        queue_bound: int,
        clock: Clock,
        system: System,
        on_alert: Callable[[Alert], None] | None,
    ) -> None:
        self._limits = settings.limits()
        self._own = _named(settings.own, taken=set(_WORDS))
        self._failed: set[str] = set()
        self._stalled = False
        self._stall_s = self._limits["silent_s"].threshold if "silent_s" in self._limits else _STALL_S
        self._journal = journal
        self._folder = folder
        self._queue_bound = queue_bound
        self._clock = clock
        self._system = system
        self._on_alert = on_alert
        self._since: dict[str, float] = {}
        self._standing: dict[str, Alert] = {}
        # From nothing at the start: what is lost before the first sample, which may be late, counts as well.
        self._counted: deque[tuple[float, dict[str, int]]] = deque([(0.0, {})])
        self._folder_looked_s: float | None = None
        self._stale: tuple[str, float] | None = None

    @property
    def standing(self) -> tuple[Alert, ...]:
        """The alerts that stand now."""
        return tuple(self._standing.values())

    def check(self, sample: Sample, counts: Mapping[str, int] | None = None) -> None:
        """Raise and clear what ``sample`` gives cause for; ``counts`` are the counters that have limits, so far."""
        self._note_stall(sample)
        measured = self._measured(sample, counts or {})
        for rule, limit in self._limits.items():
            self._hold(rule, limit, measured.get(rule), sample)
        for rule, own in self._own.items():
            self._check_own(rule, own, sample)

    def _note_stall(self, sample: Sample) -> None:
        stalled = sample.silent_s >= self._stall_s
        if stalled and not self._stalled:
            self._journal.event(EventKind.STALL, silent_s=sample.silent_s)
        self._stalled = stalled

    def _measured(self, sample: Sample, counts: Mapping[str, int]) -> dict[str, float | None]:
        self._counted.append((sample.elapsed_s, {**counts, "dropped_units": sample.dropped_units}))
        while len(self._counted) > 1 and self._counted[1][0] <= sample.elapsed_s - _DROP_WINDOW_S:
            self._counted.popleft()
        (_, before), (_, now) = self._counted[0], self._counted[-1]
        return {
            **{name: count - before.get(name, 0) for name, count in now.items()},
            "memory_bytes": sample.rss_bytes,
            "flush_gap_s": sample.since_flush_s,
            "partial_age_s": self._stale_age_s(sample.elapsed_s),
            "disk_full_s": sample.full_in_s,
            "silent_s": sample.silent_s,
            "queue_share": sample.queue_bytes / self._queue_bound,
            "loop_lag_s": sample.loop_lag_s,
        }

    def _hold(self, rule: str, limit: Limit, value: float | None, sample: Sample) -> None:
        sign = _sign(rule)
        beyond = value is not None and sign * value >= sign * limit.threshold
        if rule in self._standing:
            clear = limit.clear if limit.clear is not None else limit.threshold * (1 - sign * 0.1)
            if value is None or sign * value < sign * clear:
                self._clear(rule)
        elif not beyond or value is None:
            self._since.pop(rule, None)
        elif sample.elapsed_s - self._since.setdefault(rule, sample.elapsed_s) >= limit.hold_s:
            name = self._stale[0] if self._stale else ""
            message = _WORDS[rule].format(
                value=value,
                name=name,
                megabytes=value / 1e6,
                limit_megabytes=limit.threshold / 1e6,
                percent=value * 100,
                milliseconds=value * 1000,
            )
            self._raise(Alert(rule, float(value), limit.threshold, message))

    def _check_own(self, rule: str, own: OwnRule, sample: Sample) -> None:
        try:
            message = own(sample)
        except Exception:
            if rule not in self._failed:  # once: it will hardly do better in a second
                self._failed.add(rule)
                log.exception("The alert rule %s failed", rule)
            return
        if not message:
            if rule in self._standing:
                self._clear(rule)
        elif rule not in self._standing:
            self._raise(Alert(rule, 1.0, 1.0, str(message)))

    def _raise(self, alert: Alert) -> None:
        self._standing[alert.rule] = alert
        log.warning("Alert: %s", alert.message)
        self._journal.event(
            EventKind.ALERT_RAISED,
            rule=alert.rule,
            value=alert.value,
            threshold=alert.threshold,
            message=alert.message,
        )
        if self._on_alert is not None:
            try:
                self._on_alert(alert)
            except (Exception, SystemExit):
                log.exception("on_alert failed")

    def _clear(self, rule: str) -> None:
        alert = self._standing.pop(rule)
        self._since.pop(rule, None)
        log.info("Alert is over: %s", alert.message)
        self._journal.event(EventKind.ALERT_CLEARED, rule=rule)

    def _stale_age_s(self, elapsed_s: float) -> float | None:
        """The age of the oldest unfinished recording in the folder that nobody holds the lock of."""
        if self._folder_looked_s is None or elapsed_s - self._folder_looked_s >= _FOLDER_INTERVAL_S:
            self._folder_looked_s = elapsed_s
            found = stale_partials(self._folder, self._clock.time_ns(), self._system)
            self._stale = max(found, key=lambda one: one[1], default=None)
        return self._stale[1] if self._stale else None


def _named(own: tuple[OwnRule, ...], taken: set[str]) -> dict[str, OwnRule]:
    """Own rules by names that nothing else has."""
    named: dict[str, OwnRule] = {}
    for rule in own:
        name = given = getattr(rule, "__name__", type(rule).__name__)
        number = 1
        while name in taken or name in named:
            number += 1
            name = f"{given} {number}"
        named[name] = rule
    return named


def stale_partials(folder: Path, now_ns: int, system: System) -> list[tuple[str, float]]:
    """Unfinished recordings in ``folder`` that nobody writes: names, and seconds since the last write."""
    try:
        paths = sorted(path for path in folder.glob(PARTIALS) if is_partial(path.name))
    except OSError as error:
        log.debug("%s: cannot be read: %s", folder, error.strerror)
        return []
    found = []
    for path in paths:
        try:
            if path.is_file() and not path.is_symlink() and not system.is_locked(path):
                found.append((path.name, (now_ns - path.stat().st_mtime_ns) / 1e9))
        except OSError as error:  # committed meanwhile, or not ours to look at
            log.debug("%s: cannot be looked at: %s", path, error.strerror)
    return found
