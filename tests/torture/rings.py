"""Asks of a ring at random moments, for random times: all that was asked for is kept, or all that there is."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import av

import recordkit as rk
from recordkit.model import EncodedUnit
from recordkit.ticks import TICKS_PER_SECOND

from ..encode.live_units import pictures, sound
from ..steering import GUARD_S, FakeClock
from .outcome import Kind, Outcome, Trial, of

_SECONDS, _FPS, _ASKS = 6, 30, 4
_QUICK = {
    "sample_interval": 0.0,
    "durability": "process",
    "audio": rk.AudioSettings(codec="opus"),
    "embed_times": False,  # which would differ from one recording to the next
}


def _packets(path: Path) -> dict[str, list[bytes]]:
    with av.open(str(path)) as container:
        found: dict[str, list[bytes]] = {stream.type: [] for stream in container.streams}
        for packet in container.demux():
            if packet.size:
                found[packet.stream.type].append(bytes(packet))
    return found


def _place(part: list[bytes], whole: list[bytes]) -> int | None:
    """Where the first of ``part`` lies in ``whole``, if all of it lies there without a gap."""
    width = len(part)
    return next((at for at in range(len(whole) - width + 1) if whole[at : at + width] == part), None)


def _lacks(kept: Path, whole: dict[str, list[bytes]], begin_s: float, end_s: float) -> list[str]:
    """What of the time from ``begin_s`` to ``end_s`` of the recording is not in the file."""
    faults = []
    for kind, coded in _packets(kept).items():
        step_s = 1 / _FPS if kind == "video" else 0.02
        place = _place(coded, whole[kind])
        if place is None:
            faults.append(f"the {kind} is no part of the recording")
        elif place * step_s > max(begin_s, 0.0) + 1e-6 or (place + len(coded)) * step_s < end_s - 1e-6:
            span = f"{place * step_s:.3f} to {(place + len(coded)) * step_s:.3f} s"
            faults.append(f"{kind} from {span}, {begin_s:.3f} to {end_s:.3f} s were asked for")
    return faults


@contextmanager
def asks(folder: Path, *, suffix: str = ".ts") -> Iterator[Trial]:
    """Six seconds that come coded, with groups of random length, and four asks, some of which overlap."""
    films: dict[int, list[EncodedUnit]] = {}
    recordings: dict[tuple[int, int], dict[str, list[bytes]]] = {}
    audio = list(sound("opus", _SECONDS))

    def fed(recorder: rk.Recorder, group: int, skew: int) -> Iterator[float]:
        if group not in films:
            films[group] = list(pictures("h264", _SECONDS * _FPS, (64, 48), group=group))
        # Audio lies up to half a second before or behind the video of its time.
        order = [(one.ticks or 0, one) for one in films[group]] + [((one.ticks or 0) + skew, one) for one in audio]
        for ticks, unit in sorted(order, key=lambda one: one[0]):
            recorder.write_unit(unit)
            yield ticks / TICKS_PER_SECOND

    def trial(seed: int, place: Path) -> Outcome:
        chance = random.Random(seed)
        group, skew = chance.choice((5, 15, 40)), chance.choice((0, -45_000, 45_000))
        whole = recordings.get((group, skew))
        if whole is None:
            path = folder / f"whole {group} {skew}{suffix}"
            with rk.Recorder(path, **_QUICK) as recorder:
                for _ in fed(recorder, group, skew):
                    pass
            whole = recordings[group, skew] = _packets(path)
        length_s = chance.uniform(1, 3)
        moments = sorted(chance.uniform(0.2, _SECONDS - 0.2) for _ in range(_ASKS))
        spans, kept = [], []
        with rk.Recorder(
            place / f"{{number}}{suffix}", ring=rk.Ring(seconds=length_s), _clock=FakeClock(), **_QUICK
        ) as recorder:
            for at_s in fed(recorder, group, skew):
                while moments and at_s >= moments[0]:
                    moments.pop(0)
                    before, after = chance.uniform(0.0, length_s), chance.uniform(0.05, 1.0)
                    if chance.random() < 0.5:
                        recorder.flush()
                    soonest_s = recorder._parts.ledger.media_s
                    kept.append(recorder.keep(before=before, after=after))
                    # Asked for at a moment between the two.
                    spans.append((recorder._parts.ledger.media_s - before, soonest_s + after))
        faults = []
        for one, (begin_s, end_s) in zip(kept, spans, strict=True):
            path = one.wait(GUARD_S).path
            # Nothing is asked for beyond the end.
            faults += _lacks(path or place, whole, begin_s, min(end_s, _SECONDS - 0.5))
        faults += [f"left over: {one.name}" for one in place.iterdir() if ".ring-" in one.name]
        return Outcome(seed, tuple(faults))

    yield trial


KINDS = [
    Kind(
        f"asks of a ring, {_ASKS} a trial{of(suffix)}",
        "nothing that was asked for",
        partial(asks, suffix=suffix),
        trials,
        short,
    )
    for suffix, trials, short in ((".ts", 250, range(1)), (".mp4", 50, ()))
]
