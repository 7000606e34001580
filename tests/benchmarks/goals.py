"""What recordkit sets out to reach, and whether it did in these results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from .earlier import COMMIT
from .live_rows import viewers_share


@dataclass(frozen=True)
class Goal:
    """In words, with its limit; ``reached`` is the figure, the worst where there are several."""

    words: str
    limit: float
    reached: float
    at_least: bool = False

    @property
    def holds(self) -> bool:
        return self.reached >= self.limit if self.at_least else self.reached <= self.limit


_OURS = ("recordkit Recorder", "recordkit MediaRecorder")
_MUXED = ("PyAV container.mux", "PyAV container.mux, libx264 in one thread")
_KILLED = (*_OURS, "recordkit Recorder, mp4")


def _packetiser(figures: dict[str, Any]) -> Iterator[Goal]:
    limits = {"720p 4 Mbit/s": 1.2, "1080p 16 Mbit/s": 1, "4K 40 Mbit/s": 1, "audio only": 1.2}
    for name, limit in limits.items():
        if name in figures["cases"]:
            yield Goal(
                f"packetiser to libavformat, {name}", limit, figures["cases"][name]["file"]["ratio"]["median"]
            )


def _recorders(figures: dict[str, Any]) -> Iterator[Goal]:
    for label, size in figures["sizes"].items():
        rows = [size["rows"][name] for name in _OURS]
        for theirs in _MUXED:
            if cpu := _frames_cpu(size.get("turns", {}), theirs):
                yield Goal(f"frames, {label}: CPU to {theirs}, source taken off", 1, cpu)
        yield Goal(f"frames, {label}: event loop delay, ms, p99", 5, max(row["lag_ms_p99"] for row in rows))
        most_mb = 140 if label == "1080p30" else 150
        yield Goal(f"frames, {label}: memory at its peak, MB", most_mb, max(row["rss_peak_mb"] for row in rows))
        yield Goal(
            f"frames, {label}: longest time without growth, s", 2.5, max(row["longest_still_s"] for row in rows)
        )


def _frames_cpu(turns: dict[str, Any], theirs: str) -> float | None:
    """The worst of ours, round by round, with the cost of the source taken off both."""
    if theirs not in turns:
        return None
    others = turns[theirs]["rounds"]
    return max(
        median(ours / other for ours, other in zip(turns[name]["rounds"], others, strict=True)) for name in _OURS
    )


def _webrtc(figures: dict[str, Any]) -> Iterator[Goal]:
    for loss, rows in figures["losses"].items():
        ours = [row for way, row in rows.items() if way in ("passthrough", "video kept", "transcoding")]
        yield Goal(f"WebRTC, {loss} loss: event loop delay, ms, p99", 5, max(row["lag_ms_p99"] for row in ours))
        words = f"WebRTC, {loss} loss, passthrough: event loop delay, ms, p99"
        yield Goal(words, 3, rows["passthrough"]["lag_ms_p99"])
        yield Goal(f"WebRTC, {loss} loss: memory at its peak, MB", 150, max(row["rss_peak_mb"] for row in ours))
        each = [rows[way]["cpu_ms_a_picture"] for way in ("passthrough", "aiortc as it comes")]
        if None not in each:
            words = f"WebRTC, {loss} loss: CPU of passthrough to aiortc's MediaRecorder, per frame"
            yield Goal(words, round(1 / 15, 3), each[0] / each[1])
    if "earlier" in figures:
        yield Goal(f"WebRTC: CPU of passthrough to {COMMIT}'s", 0.4, figures["earlier"]["ratio"]["median"])


def _crash(figures: dict[str, Any]) -> Iterator[Goal]:
    trials = [trial for name in _KILLED if name in figures["rows"] for trial in figures["rows"][name]["trials"]]
    lost = max(trial["packetised"] - trial["decoded"] for trial in trials)
    yield Goal("kill -9: packetised frames lost, at most", 0, max(0, lost))


def _streams(figures: dict[str, Any]) -> Iterator[Goal]:
    ways = figures["ways"]
    yield Goal("streams carried in one process", 16, ways["one process"]["carried"], at_least=True)
    yield Goal("streams carried by workers", 16, ways["workers"]["carried"], at_least=True)
    if "added_rss_mb_a_stream" in ways["one process"]:
        yield Goal("MB that a further stream adds in one process", 40, ways["one process"]["added_rss_mb_a_stream"])
    if "added_uss_mb_a_stream" in ways["workers"]:
        yield Goal("MB that a further worker adds, its own", 40, ways["workers"]["added_uss_mb_a_stream"])


def _publishers(figures: dict[str, Any]) -> Iterator[Goal]:
    ways = figures["ways"]
    ours, theirs = ways["serve"], ways["aiortc MediaRecorder"]
    least = 10 * theirs["carried"]
    yield Goal("WebRTC publishers in one process, ten times aiortc's", least, ours["carried"], at_least=True)
    if earlier := ways.get("serve, earlier build"):
        words = f"WebRTC publishers in one process, 2.5 times {COMMIT}'s"
        yield Goal(words, 2.5 * earlier["carried"], ours["carried"], at_least=True)
        words = f"WebRTC publishers in one serve with two workers, 2.5 times {COMMIT}'s"
        yield Goal(words, 2.5 * earlier["carried"], ways["serve, two workers"]["carried"], at_least=True)
    if "added_rss_mb_a_publisher" in ours:
        yield Goal("MB that a further publisher adds", 4, ours["added_rss_mb_a_publisher"])


def _growth(figures: dict[str, Any]) -> Iterator[Goal]:
    yield Goal("memory grows by, MB an hour of media", 1, figures["growth_mb_an_hour"])


def _scanner(figures: dict[str, Any]) -> Iterator[Goal]:
    for name, case in figures["cases"].items():
        yield Goal(f"CPU of verify to ffprobe, {name}", 1.3, case["verify"]["ratio"]["median"])


def _export(figures: dict[str, Any]) -> Iterator[Goal]:
    for name, case in figures["cases"].items():
        yield Goal(f"export to MP4, {name}: MB a CPU second", 300, case["recordkit"]["mb_per_cpu_s"], at_least=True)


def _reading(figures: dict[str, Any]) -> Iterator[Goal]:
    ours = figures["frames"]["rows"]["recordkit"]
    yield Goal("reading: frames that were not the one asked for", 0, ours["wrong"])
    yield Goal("opened and three random frames of 1080p, s", 0.15, ours["seconds"]["median"])
    yield Goal("reading in order to PyAV's speed", 0.95, figures["order"]["ratio"]["median"], at_least=True)
    yield Goal("opening a recording of ten hours, ms", 50, figures["opening"]["with_table_ms"])
    yield Goal("opening a file without a table, s a GB", 2, figures["opening"]["scan_s_per_gb"])


def _fleet(figures: dict[str, Any]) -> Iterator[Goal]:
    for name, one in figures.items():
        times = one["times"]
        reached = times["one process"]["median"]
        yield Goal(f"many files, {name}: two processes to one", 1.8, reached, at_least=True)
        if "two Dask workers" in times:
            reached = 1 / times["two Dask workers"]["median"]
            yield Goal(f"many files, {name}: two Dask workers to two processes", 0.9, reached, at_least=True)
            words = f"many files, {name}: two processes to xargs -P2 ffprobe"
            yield Goal(words, 10, times["xargs -P2 ffprobe"]["median"], at_least=True)


def _start(figures: dict[str, Any]) -> Iterator[Goal]:
    imports = figures["imports"]
    yield Goal("import recordkit, ms", 100, imports["import recordkit"]["wall_ms"]["median"])
    yield Goal("import of Recorder, CPU ms", 150, imports["from recordkit import Recorder"]["cpu_ms"]["median"])
    yield Goal(
        "start() in its own process, first byte on disk, ms", 300, figures["start"]["first_byte_ms"]["median"]
    )


def _player(figures: dict[str, Any]) -> Iterator[Goal]:
    short, hour, long, live = (figures[name] for name in ("short", "hour", "long", "live"))
    right = min(short["right_forwards"], short["right_backwards"])
    yield Goal("player: frames that show their number, each way", short["steps"], right, at_least=True)
    yield Goal("player: behind the source, ms, median", 1000, live["late_ms_median"])
    yield Goal(
        "player: first frame, ms", 700, max(figures[name]["first_frame_ms"] for name in ("hour", "long", "live"))
    )
    yield Goal("player: a seek in an hour, ms, median", 400, hour["seek_ms_median"])
    for who, limit in (("kernel", 0.03), ("worker", 0.005)):
        yield Goal(f"player: share of a core a viewer, {who}", limit, viewers_share(live, who))
    grown = sum(long[key][1] - long[key][0] for key in ("page_mb", "kernel_mb"))
    yield Goal("player: memory in a walk through hours of a recording, page and kernel, MB", 20, grown)


_GOALS: dict[str, Callable[[dict[str, Any]], Iterator[Goal]]] = {
    "packetiser": _packetiser,
    "recorders": _recorders,
    "webrtc": _webrtc,
    "crash": _crash,
    "streams": _streams,
    "publishers": _publishers,
    "growth": _growth,
    "scanner": _scanner,
    "export": _export,
    "reading": _reading,
    "fleet": _fleet,
    "start": _start,
    "player": _player,
}


def goals(results: dict[str, Any]) -> str:
    """A table of all goals that these results speak of."""
    lines = ["| goal | limit | measured | holds |", "| --- | ---: | ---: | --- |"]
    for name, piece in results["pieces"].items():
        for goal in _GOALS.get(name, lambda _: iter(()))(piece["figures"]):
            limit = f"at {'least' if goal.at_least else 'most'} {goal.limit:g}"
            lines.append(f"| {goal.words} | {limit} | {goal.reached:.3g} | {'yes' if goal.holds else '**no**'} |")
    return "\n".join(lines)
