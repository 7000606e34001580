"""The rows of what is recorded live: WebRTC, many streams, many publishers; and how rows are made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .earlier import COMMIT

Row = tuple[str, str, str, str]
"""What is measured, recordkit's figure, those of the others, and how recordkit's compares to aiortc's."""

LAG = "event loop delay, 99th percentile, ms"


def times(one: float, other: float) -> str:
    """How one relates to the other, as a factor."""
    if min(one, other) <= 0:
        return ""
    factor = other / one
    return f"{factor:,.1f} times less" if factor >= 1 else f"{1 / factor:,.1f} times more"


def times_told(ratio: dict[str, float], what: str = "CPU") -> str:
    """A ratio that was measured several times, in words."""
    return f"{ratio['median']:.2f} times its {what} ({ratio['low']:.2f} to {ratio['high']:.2f})"


def webrtc(figures: dict[str, Any]) -> Iterator[Row]:
    # What encodes is held against what encodes with the same settings, what does not against what its users have.
    beside = {"passthrough": "aiortc as it comes", "transcoding": "aiortc"}
    named = {"aiortc as it comes": "aiortc, default settings"}
    first = next(iter(figures["losses"]))
    for loss, rows in figures["losses"].items():
        for way, other in beside.items():
            if way not in rows or other not in rows:
                continue
            ours, theirs = rows[way], rows[other]
            about, other = f"WebRTC, {loss} loss, {way}:", named.get(other, other)
            each = [row["cpu_ms_a_picture"] for row in (ours, theirs)]
            if loss == first and None not in each:
                yield f"{about} CPU ms per frame", f"{each[0]:.2f}", f"{other} {each[1]:.2f}", times(*each)
                alone = rows["nothing"]["cpu_s_per_media_s"]
                over = [
                    spent * (1 - alone / row["cpu_s_per_media_s"])
                    for spent, row in zip(each, (ours, theirs), strict=True)
                ]
                told = (f"{over[0]:.2f}", f"{other} {over[1]:.2f}")
                yield f"{about} CPU ms per frame, without receiving", *told, times(*over)
            lags = [row["lag_ms_p99"] for row in (ours, theirs)]
            yield f"{about} {LAG}", f"{lags[0]:g}", f"{other} {lags[1]:g}", times(*lags)
            yield (
                f"{about} frames lost, of {ours['pictures']}",
                f"{ours['lost']}",
                f"{other} {theirs['lost']}",
                "",
            )

    if "earlier" in figures:
        earlier = figures["earlier"]
        ours, theirs, ratio = (earlier[name] for name in ("ours", "earlier", "ratio"))
        yield (
            f"WebRTC, {first} loss, passthrough: CPU ms per frame, in turns with {COMMIT}",
            f"{ours['median']:.2f}",
            f"{COMMIT} {theirs['median']:.2f}",
            times_told(ratio),
        )


def streams(figures: dict[str, Any]) -> Iterator[Row]:
    ways = figures["ways"]
    theirs = ways["aiortc MediaRecorder"]
    for way in ("one process", "workers"):
        ours = ways[way]
        yield f"most streams, {way}", f"{ours['carried']}", f"aiortc {theirs['carried']}", ""
        for key, words in (
            ("added_rss_mb_a_stream", "memory per stream, MB"),
            ("cores_a_stream", "cores per stream"),
        ):
            if key in ours and key in theirs:
                yield (
                    f"streams, {way}: {words}",
                    f"{ours[key]:g}",
                    f"aiortc {theirs[key]:g}",
                    times(ours[key], theirs[key]),
                )


def publishers(figures: dict[str, Any]) -> Iterator[Row]:
    ways = figures["ways"]
    ours, theirs, earlier = ways["serve"], ways["aiortc MediaRecorder"], ways.get("serve, earlier build")
    others = f"aiortc {theirs['carried']}" + (f"; {COMMIT} {earlier['carried']}" if earlier else "")
    yield "publishers, 720p30, one process", f"{ours['carried']}", others, ""
    if "added_rss_mb_a_publisher" in ours:
        yield "publishers: memory of a further one, MB", f"{ours['added_rss_mb_a_publisher']:g}", "", ""
    if "cores_a_publisher" in ours:
        # Of aiortc the first row tells, whether it was carried or not.
        own = theirs["rows"][0]["cores"]
        others = f"aiortc {own:g}"
        if earlier and "cores_a_publisher" in earlier:
            others += f"; {COMMIT} {earlier['cores_a_publisher']:g}"
        yield (
            "publishers: cores for each",
            f"{ours['cores_a_publisher']:g}",
            others,
            times(ours["cores_a_publisher"], own),
        )
    two = ways["serve, two workers"]
    lag = max((row["lag_ms_p99"] for row in two["rows"] if row["carried"]), default=None)
    words = "" if lag is None else f"event loop delay at most {lag:g} ms (99th percentile)"
    yield "publishers, 720p30, two workers", f"{two['carried']}", "", words


def viewers_share(live: dict[str, Any], who: str) -> float:
    """How much more of a core a viewer makes the kernel or the worker take; a little less is noise."""
    return float(max(0.0, live[f"{who}_share_watched"] - live[f"{who}_share_off"]))


def player(figures: dict[str, Any]) -> Iterator[Row]:
    """Of the player in JupyterLab."""
    short, hour, long, live, other = (figures[name] for name in ("short", "hour", "long", "live", "other"))
    right = f"{short['right_forwards']} and {short['right_backwards']}"
    yield f"player: frames right of {short['steps']}, forwards and backwards", right, "", ""
    yield "player, 720p30: behind the source, median, ms", f"{live['late_ms_median']}", "", ""
    yield "player, 720p30 as it is recorded: first frame, ms", f"{live['first_frame_ms']}", "", ""
    yield "player: a seek in an hour, median, ms", f"{hour['seek_ms_median']}", "", ""
    kernel, worker = viewers_share(live, "kernel"), viewers_share(live, "worker")
    beside = "" if "missing" in other else f"jupyter_rfb {other['kernel_share']:.1%}"
    compared = "" if "missing" in other else times(kernel, other["kernel_share"])
    yield "player, 720p30: share of a core in the kernel, a viewer", f"{kernel:.1%}", beside, compared
    yield "player, 720p30: share of a core in the recording's process, a viewer", f"{worker:.1%}", "", ""
    grown = [long[key][1] - long[key][0] for key in ("page_mb", "kernel_mb")]
    what = f"player, a walk through {long['hours']:g} hours: memory of the page and of the kernel grows by, MB"
    yield what, f"{grown[0]:.1f} and {grown[1]:.1f}", "", ""
