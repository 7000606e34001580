"""What the benchmarks found in words: all figures, and the ratios that a README quotes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .goals import goals

PIECES = {
    "packetiser": "CPU time against libavformat's muxer",
    "recorders": "live frames recorded, by recordkit and by what people use today",
    "webrtc": "a WebRTC sender recorded, with and without loss",
    "crash": "what a kill leaves",
    "overload": "an encoder that is too slow for a while",
    "streams": "how many streams two cores carry",
    "publishers": "how many WebRTC publishers one endpoint records",
    "growth": "memory over half an hour of media",
    "cuts": "what is lost where one file ends and the next begins",
    "scanner": "verify and recover against ffprobe",
    "export": "MPEG-TS to MP4 against ffmpeg's copy",
    "reading": "single frames and all in order, by number, against other readers",
    "fleet": "many files checked, against xargs and ffprobe",
    "start": "imports and starts",
}
Row = tuple[str, str, str, str]
"""What is measured, recordkit's figure, those of the others, and how recordkit's compares to aiortc's."""

_OURS, _OUR_TRACKS = "recordkit Recorder", "recordkit MediaRecorder"
_OUR_MP4 = "recordkit Recorder, mp4"
_THEIRS = "aiortc MediaRecorder, ts"
_LAG = "event loop delay, 99th percentile, ms"


def _times(one: float, other: float) -> str:
    """How one relates to the other, as a factor."""
    if min(one, other) <= 0:
        return ""
    factor = other / one
    return f"{factor:,.1f} times less" if factor >= 1 else f"{1 / factor:,.1f} times more"


def _packetiser(figures: dict[str, Any]) -> Iterator[Row]:
    for name, case in figures["cases"].items():
        row = case["file"]
        ours, theirs = (
            1000 * row[f"{who}_cpu_s"]["median"] / figures["media_s"] for who in ("recordkit", "libavformat")
        )
        ratio = row["ratio"]
        yield (
            f"packetising {name}: CPU ms per second of media",
            f"{ours:.2f}",
            f"libavformat {theirs:.2f}",
            f"{ratio['median']:.2f} times its CPU ({ratio['low']:.2f} to {ratio['high']:.2f})",
        )


def _recorders(figures: dict[str, Any]) -> Iterator[Row]:
    for label, size in figures["sizes"].items():
        rows = {name: row for name, row in size["rows"].items() if "missing" not in row}
        alone = rows.pop("the source alone")["cpu_s_per_media_s"]
        cpu = {name: row["cpu_s_per_media_s"] - alone for name, row in rows.items()}
        ours, theirs = rows[_OUR_TRACKS], rows[_THEIRS]
        yield f"frames, {label}: CPU s per second of media", *_beside(cpu, _OURS, "{:.3f}")
        for key, words in (
            ("lag_ms_p99", _LAG),
            ("longest_still_s", "longest time without file growth, s"),
            ("rss_peak_mb", "peak memory, MB"),
            ("lost", "frames lost"),
        ):
            told = (f"{ours[key]:g}", f"{_THEIRS} {theirs[key]:g}")
            yield f"frames, {label}: {words}", *told, _times(ours[key], theirs[key])


def _beside(figures: dict[str, float], ours: str, form: str) -> tuple[str, str, str]:
    """One of ours beside all others; the relation is to aiortc's, where there is such."""
    others = {name: figure for name, figure in figures.items() if not name.startswith("recordkit")}
    told = "; ".join(f"{name} {form.format(figure)}" for name, figure in others.items())
    return form.format(figures[ours]), told, _times(figures[ours], others.get(_THEIRS, 0.0))


def _webrtc(figures: dict[str, Any]) -> Iterator[Row]:
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
                yield f"{about} CPU ms per frame", f"{each[0]:.2f}", f"{other} {each[1]:.2f}", _times(*each)
                alone = rows["nothing"]["cpu_s_per_media_s"]
                over = [
                    spent * (1 - alone / row["cpu_s_per_media_s"])
                    for spent, row in zip(each, (ours, theirs), strict=True)
                ]
                told = (f"{over[0]:.2f}", f"{other} {over[1]:.2f}")
                yield f"{about} CPU ms per frame, without receiving", *told, _times(*over)
            lags = [row["lag_ms_p99"] for row in (ours, theirs)]
            yield f"{about} {_LAG}", f"{lags[0]:g}", f"{other} {lags[1]:g}", _times(*lags)
            yield (
                f"{about} frames lost, of {ours['pictures']}",
                f"{ours['lost']}",
                f"{other} {theirs['lost']}",
                "",
            )


def _crash(figures: dict[str, Any]) -> Iterator[Row]:
    for key, after in (("rows", "kill -9"), ("power_cut", "a power cut")):
        rows = {name: row["share"] for name, row in figures.get(key, {}).items() if "missing" not in row}
        for which, words in (("median", "median"), ("low", "worst")):
            for mine, container in ((_OURS, ""), (_OUR_MP4, ", MP4")):
                same = {name: one[which] for name, one in rows.items() if name.endswith(", mp4") is bool(container)}
                if mine not in same:
                    continue
                about = f"decodable after {after}{container}, of the frames given to the recorder: {words}"
                ours, others, _ = _beside(same, mine, "{:.1%}")
                yield about, ours, others, ""


def _overload(figures: dict[str, Any]) -> Iterator[Row]:
    ours, theirs = (figures["rows"][name] for name in (_OUR_TRACKS, _THEIRS))
    for key, words in (
        ("rss_slope_mb_per_s", "memory growth, MB/s"),
        ("lost", f"frames lost, of {ours['pictures']}"),
        ("recovery_s", "time to catch up, s"),
        ("lag_ms_max", "longest event loop delay, ms"),
    ):
        told = ["never" if row[key] is None else f"{row[key]:g}" for row in (ours, theirs)]
        yield f"encoder three times too slow: {words}", told[0], f"aiortc {told[1]}", ""


def _streams(figures: dict[str, Any]) -> Iterator[Row]:
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
                    _times(ours[key], theirs[key]),
                )


def _publishers(figures: dict[str, Any]) -> Iterator[Row]:
    ways = figures["ways"]
    ours, theirs = ways["serve"], ways["aiortc MediaRecorder"]
    yield "publishers, 720p30, one process", f"{ours['carried']}", f"aiortc {theirs['carried']}", ""
    if "added_rss_mb_a_publisher" in ours:
        yield "publishers: memory of a further one, MB", f"{ours['added_rss_mb_a_publisher']:g}", "", ""
    if "cores_a_publisher" in ours:
        # Of aiortc the first row tells, whether it was carried or not.
        own = theirs["rows"][0]["cores"]
        yield (
            "publishers: cores for each",
            f"{ours['cores_a_publisher']:g}",
            f"aiortc {own:g}",
            _times(ours["cores_a_publisher"], own),
        )
    two = ways["serve, two workers"]
    yield "publishers without a picture lost, two workers", f"{two['carried']}", "", ""


def _growth(figures: dict[str, Any]) -> Iterator[Row]:
    yield "memory growth, MB per hour of media", f"{figures['growth_mb_an_hour']:g}", "", ""


def _cuts(figures: dict[str, Any]) -> Iterator[Row]:
    rows = {name: row for name, row in figures["rows"].items() if "missing" not in row}
    ours = rows.pop("recordkit")
    about = f"{figures['cuts']} cuts of a coded stream"
    for words, keys in (
        ("frames lost or doubled", ("lost", "doubled")),
        ("audio", ("audio_lost", "audio_doubled")),
    ):
        others = "; ".join(f"{name} {sum(row[key] for key in keys)}" for name, row in rows.items())
        named = words if "frames" in words else "coded audio frames lost or doubled"
        yield f"{about}: {named}", f"{sum(ours[key] for key in keys)}", others, ""
    others = "; ".join(f"{name} {row['late_s']:.2f}" for name, row in rows.items())
    yield f"{about}: furthest from the second asked for, s", f"{ours['late_s']:.2f}", others, ""


def _scanner(figures: dict[str, Any]) -> Iterator[Row]:
    for name, case in figures["cases"].items():
        ratio = case["verify"]["ratio"]
        yield (
            f"verify, {name}: MB per CPU second",
            f"{case['verify']['mb_per_cpu_s']:,.0f}",
            f"ffprobe {case['ffprobe']['mb_per_cpu_s']:,.0f}",
            f"{ratio['median']:.2f} times its CPU ({ratio['low']:.2f} to {ratio['high']:.2f})",
        )


def _export(figures: dict[str, Any]) -> Iterator[Row]:
    for name, case in figures["cases"].items():
        ratio = case["recordkit"]["ratio"]
        yield (
            f"export to MP4, {name}: MB per CPU second",
            f"{case['recordkit']['mb_per_cpu_s']:,.0f}",
            f"ffmpeg {case['ffmpeg']['mb_per_cpu_s']:,.0f}",
            f"{ratio['median']:.2f} times its CPU ({ratio['low']:.2f} to {ratio['high']:.2f})",
        )


def _reading(figures: dict[str, Any]) -> Iterator[Row]:
    rows = {name: row for name, row in figures["frames"]["rows"].items() if "missing" not in row}
    ours = rows.pop("recordkit")
    others = (f"{name} {1000 * row['seconds']['median']:,.0f}" for name, row in rows.items())
    yield (
        "reading, 1080p30, five minutes: opened and three random frames, ms",
        f"{1000 * ours['seconds']['median']:,.0f}",
        ", ".join(others),
        _times(ours["seconds"]["median"], rows["PyAV"]["seconds"]["median"]),
    )
    wrong = (f"{name} {row['wrong']} of {row['asked']}" for name, row in rows.items())
    yield (
        "reading, 1080p30, five minutes: frames that were not the one asked for",
        f"{ours['wrong']} of {ours['asked']}",
        ", ".join(wrong),
        "",
    )
    order, opening = figures["order"], figures["opening"]
    ratio = order["ratio"]
    yield (
        "reading in order: frames a second",
        f"{order['recordkit']['median']:,.0f}",
        f"PyAV {order['PyAV']['median']:,.0f}",
        f"{ratio['median']:.2f} times its speed ({ratio['low']:.2f} to {ratio['high']:.2f})",
    )
    hours = f"{opening['media_s'] / 3600:.2g} hours"
    yield (f"opening a recording of {hours}: ms", f"{opening['with_table_ms']:,.0f}", "", "")
    yield ("opening a file without a table: s a GB", f"{opening['scan_s_per_gb']:.2f}", "", "")


def _start(figures: dict[str, Any]) -> Iterator[Row]:
    imports = figures["imports"]
    ours, theirs = (imports[name]["wall_ms"]["median"] for name in ("recordkit", "aiortc.contrib.media"))
    yield "import, ms", f"{ours:.0f}", f"aiortc.contrib.media {theirs:.0f}", _times(ours, theirs)
    started = figures["start"]["first_byte_ms"]["median"]
    yield "start() in its own process, until the first byte is on disk, ms", f"{started:.0f}", "", ""
    drawn = figures["redraw"]["cpu_ms"]["median"]
    yield "redrawing both charts of the panel, CPU ms", f"{drawn:.0f}", "", ""


def _fleet(figures: dict[str, Any]) -> Iterator[Row]:
    for one in figures.values():
        rows, times = one["rows"], one["times"]
        what = f"{one['files']:,} files of {one['bytes'] / 1e6:,.0f} MB checked"
        ours, alone = (rows[name]["s"]["median"] for name in ("two processes", "one process"))
        words = f"{times['one process']['median']:.2f} times its speed"
        yield f"{what} by two processes, s", f"{ours:.1f}", f"one process {alone:.1f}", words
        if probe := rows.get("xargs -P2 ffprobe"):
            whole = rows["two processes, with their start"]["s"]["median"]
            other = f"xargs -P2 ffprobe {probe['s']['median']:.1f}"
            yield f"{what}, Python's start included, s", f"{whole:.1f}", other, _times(whole, probe["s"]["median"])
            dask = rows["two Dask workers"]["s"]["median"]
            words = f"{1 / times['two Dask workers']['median']:.2f} times the speed of two processes"
            yield f"{what} by two Dask workers, s", f"{dask:.1f}", "", words


_ROWS: dict[str, Callable[[dict[str, Any]], Iterator[Row]]] = {
    "packetiser": _packetiser,
    "recorders": _recorders,
    "webrtc": _webrtc,
    "crash": _crash,
    "overload": _overload,
    "streams": _streams,
    "publishers": _publishers,
    "growth": _growth,
    "cuts": _cuts,
    "scanner": _scanner,
    "export": _export,
    "reading": _reading,
    "fleet": _fleet,
    "start": _start,
}


_FOR_README = (
    "packetising 720p",
    "packetising 1080p",
    "frames, 720p30",
    "WebRTC, 0% loss, passthrough",
    "decodable after kill -9, of the frames given to the recorder: median",
    "decodable after kill -9, MP4, of the frames given to the recorder: median",
    "decodable after a power cut, of the frames given to the recorder: median",
    "decodable after a power cut, MP4, of the frames given to the recorder: median",
    "most streams, one process",
    "streams, one process",
    "publishers",
    "100 cuts",
    "verify, 720p",
    "verify, 1080p",
    "reading",
    "2,000 files",
    "20 files",
    "import",
    "start()",
)
"""The beginnings of the rows that the README shows; the report has all rows."""


def ratios(results: dict[str, Any], beginnings: tuple[str, ...] = _FOR_README) -> str:
    """The table of a README: recordkit and what people use today, in one run on one machine."""
    computer = results["machine"]
    loads = [piece[key] for piece in results["pieces"].values() for key in ("load_before", "load_after")]
    lines = ["| measurement | recordkit | others | comparison |", "| --- | ---: | ---: | ---: |"]
    for name, piece in results["pieces"].items():
        rows = _ROWS[name](piece["figures"])
        lines += [f"| {' | '.join(row)} |" for row in rows if row[0].startswith(beginnings)]
    versions = ", ".join(f"{name} {computer[name]}" for name in ("python", "av", "aiortc"))
    about = f"{computer['processor']}, {computer['cores']} cores, {versions}"
    load = f"; load of the machine {min(loads):g} to {max(loads):g}" if loads else ""
    return "\n".join([*lines, "", f"Measured on {about}{load}."])


def report(results: dict[str, Any]) -> str:
    """All figures: the ratios, the machine, and each piece's own table."""
    sys.path.insert(0, str(Path(__file__).parent))  # the pieces are scripts, and import their neighbours as such
    try:
        lines = ["# What was measured", "", ratios(results, ("",)), "", "## Goals", "", goals(results), ""]
        lines += ["## Machine and versions", ""]
        lines += [f"- {name}: {value}" for name, value in results["machine"].items()]
        for name, piece in results["pieces"].items():
            table = importlib.import_module(name).table(piece["figures"])
            load = f"load {piece['load_before']:g} before, {piece['load_after']:g} after"
            lines += ["", f"## {name}: {PIECES[name]}", "", f"{piece['when']}, {piece['seconds']} s, {load}", ""]
            lines += ["```", table, "```"]
        return "\n".join([*lines, ""])
    finally:
        sys.path.pop(0)
