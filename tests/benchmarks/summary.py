"""What the benchmarks found in words: all figures, and the ratios that a README quotes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .goals import goals
from .live_rows import LAG, Row, player, publishers, streams, times, times_told, webrtc

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
    "player": "the player in JupyterLab: exact, late, quick, and its cost",
}
_OURS, _OUR_TRACKS = "recordkit Recorder", "recordkit MediaRecorder"
_OUR_MP4 = "recordkit Recorder, mp4"
_THEIRS = "aiortc MediaRecorder, ts"


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
            times_told(ratio),
        )


def _recorders(figures: dict[str, Any]) -> Iterator[Row]:
    for label, size in figures["sizes"].items():
        rows = {name: row for name, row in size["rows"].items() if "missing" not in row}
        alone = rows.pop("the source alone")["cpu_s_per_media_s"]
        cpu = {name: row["cpu_s_per_media_s"] - alone for name, row in rows.items()}
        if "turns" in size:
            cpu = {name: turns["over"]["median"] for name, turns in size["turns"].items()}
        ours, theirs = rows[_OUR_TRACKS], rows[_THEIRS]
        yield f"frames, {label}: CPU s per second of media", *_beside(cpu, _OURS, "{:.3f}")
        for key, words in (
            ("lag_ms_p99", LAG),
            ("longest_still_s", "longest time without file growth, s"),
            ("rss_peak_mb", "peak memory, MB"),
            ("lost", "frames lost"),
        ):
            told = (f"{ours[key]:g}", f"{_THEIRS} {theirs[key]:g}")
            yield f"frames, {label}: {words}", *told, times(ours[key], theirs[key])


def _beside(figures: dict[str, float], ours: str, form: str) -> tuple[str, str, str]:
    """One of ours beside all others; the relation is to aiortc's, where there is such."""
    others = {name: figure for name, figure in figures.items() if not name.startswith("recordkit")}
    told = "; ".join(f"{name} {form.format(figure)}" for name, figure in others.items())
    return form.format(figures[ours]), told, times(figures[ours], others.get(_THEIRS, 0.0))


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
            times_told(ratio),
        )


def _export(figures: dict[str, Any]) -> Iterator[Row]:
    for name, case in figures["cases"].items():
        ratio = case["recordkit"]["ratio"]
        yield (
            f"export to MP4, {name}: MB per CPU second",
            f"{case['recordkit']['mb_per_cpu_s']:,.0f}",
            f"ffmpeg {case['ffmpeg']['mb_per_cpu_s']:,.0f}",
            times_told(ratio),
        )


def _reading(figures: dict[str, Any]) -> Iterator[Row]:
    rows = {name: row for name, row in figures["frames"]["rows"].items() if "missing" not in row}
    ours = rows.pop("recordkit")
    others = (f"{name} {1000 * row['seconds']['median']:,.0f}" for name, row in rows.items())
    yield (
        "reading, 1080p30, five minutes: opened and three random frames, ms",
        f"{1000 * ours['seconds']['median']:,.0f}",
        ", ".join(others),
        times(ours["seconds"]["median"], rows["PyAV"]["seconds"]["median"]),
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
        times_told(ratio, "speed"),
    )
    hours = f"{opening['media_s'] / 3600:.2g} hours"
    yield (f"opening a recording of {hours}: ms", f"{opening['with_table_ms']:,.0f}", "", "")
    yield ("opening a file without a table: s a GB", f"{opening['scan_s_per_gb']:.2f}", "", "")


def _start(figures: dict[str, Any]) -> Iterator[Row]:
    imports = figures["imports"]
    theirs = imports["from aiortc.contrib.media import MediaRecorder"]["wall_ms"]["median"]
    for name in ("Recorder", "MediaRecorder"):
        ours = imports[f"from recordkit import {name}"]["wall_ms"]["median"]
        other = f"aiortc.contrib.media's MediaRecorder {theirs:.0f}"
        yield f"import of {name}, ms", f"{ours:.0f}", other, times(ours, theirs)
    started = figures["start"]["first_byte_ms"]["median"]
    yield "start() in its own process, until the first byte is on disk, ms", f"{started:.0f}", "", ""
    drawn = figures["redraw"]["cpu_ms"]["median"]
    yield "redrawing both charts of the panel, CPU ms", f"{drawn:.0f}", "", ""


def _fleet(figures: dict[str, Any]) -> Iterator[Row]:
    for one in figures.values():
        rows, faster = one["rows"], one["times"]
        what = f"{one['files']:,} files of {one['bytes'] / 1e6:,.0f} MB checked"
        ours, alone = (rows[name]["s"]["median"] for name in ("two processes", "one process"))
        words = f"{faster['one process']['median']:.2f} times its speed"
        yield f"{what} by two processes, s", f"{ours:.1f}", f"one process {alone:.1f}", words
        if probe := rows.get("xargs -P2 ffprobe"):
            whole = rows["two processes, with their start"]["s"]["median"]
            other = f"xargs -P2 ffprobe {probe['s']['median']:.1f}"
            yield f"{what}, Python's start included, s", f"{whole:.1f}", other, times(whole, probe["s"]["median"])
            dask = rows["two Dask workers"]["s"]["median"]
            words = f"{1 / faster['two Dask workers']['median']:.2f} times the speed of two processes"
            yield f"{what} by two Dask workers, s", f"{dask:.1f}", "", words


_ROWS: dict[str, Callable[[dict[str, Any]], Iterator[Row]]] = {
    "packetiser": _packetiser,
    "recorders": _recorders,
    "webrtc": webrtc,
    "crash": _crash,
    "overload": _overload,
    "streams": streams,
    "publishers": publishers,
    "growth": _growth,
    "cuts": _cuts,
    "scanner": _scanner,
    "export": _export,
    "reading": _reading,
    "fleet": _fleet,
    "start": _start,
    "player": player,
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
    "import of",
    "start()",
    "player",
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
