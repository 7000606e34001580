"""What a recording shows of itself: two lines in a terminal; figures, keyframes and plots in a notebook."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..model import EventKind, FlushRecord, Sample, StreamFormat
from ..printable import for_page
from ..telemetry.frames import Log
from ..telemetry.words import codec_text, count_text, size_text, span_text, time_text

if TYPE_CHECKING:
    import av
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

log = logging.getLogger("recordkit")

THUMBNAILS = 6
THUMBNAIL_WIDTH = 160
MOST_THUMBNAIL_BYTES = 75_000
"""All together; as text in a page they take a third more."""
MOST_ALERTS = 5
LONGEST_SEARCH_S = 3.0
SHORTEST_TREND_S = 600.0
"""Of memory: before, a process is still getting to its size."""
MOST_PACKETS = 2000
"""Read for one image at the most: a damaged file may have no keyframe for long."""


class Counted(Protocol):
    """What is shown of a recording's counters."""

    @property
    def video_units(self) -> int:
        """Frames that were laid."""

    @property
    def audio_units(self) -> int:
        """Units of audio, likewise."""

    @property
    def gap_count(self) -> int:
        """Gaps in the audio."""

    @property
    def gap_s(self) -> float:
        """Their seconds."""


class File(Protocol):
    """What is shown of one of several files."""

    @property
    def path(self) -> Path:
        """Its path."""

    @property
    def begins_s(self) -> float:
        """Where it begins in the recording."""


class Ended(Protocol):
    """What is shown: a Recording."""

    @property
    def path(self) -> Path | None:
        """Its path, None if there is no file."""

    @property
    def bytes(self) -> int:
        """The file's size."""

    @property
    def duration_s(self) -> float:
        """Seconds of media."""

    @property
    def streams(self) -> Mapping[int, StreamFormat]:
        """What it carries."""

    @property
    def counters(self) -> Counted:
        """What happened to the media."""

    @property
    def segments(self) -> Sequence[File]:
        """Its files if it has several."""

    @property
    def log(self) -> Log:
        """What happened."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small image of the frame ``at_s`` seconds after the beginning."""

    at_s: float
    jpeg: bytes
    width: int
    height: int


def text(recording: Ended) -> str:
    """Two plain lines: what it is, and how it went."""
    if recording.path is None:
        return f"no recording: {_lacking(recording)}, and no file was made"
    contents = recording.log.contents
    measured: list[FlushRecord | Sample] = [*contents.flushes, *contents.samples]
    memory = [one.rss_bytes for one in measured if one.rss_bytes is not None]
    how = [
        count_text(_flush_count(recording), "flush", "flushes"),
        f"memory {size_text(max(memory))} at most" if memory else "memory not measured",
        count_text(_dropped(recording), "unit") + " dropped",
        count_text(len(_alerts(recording)), "alert"),
    ]
    what = [time_text(recording.duration_s), size_text(recording.bytes), _streams_text(recording)]
    return f"{recording.path}: {', '.join(part for part in what if part)}\n{', '.join(how)}"


def html(recording: Ended) -> str:
    """The figures in words, a strip of keyframes out of the file, and the overview plot as an image.

    It brings no colours of its own but the plot's, so that it can be read in light and dark themes.
    Images and plot are left out if they cannot be made; never raises for that.
    """
    parts = [_table(recording)]
    if strip := "".join(_figure(one) for one in thumbnails(recording)):
        parts.append(f'<div style="display:flex;flex-wrap:wrap;gap:8px;margin:8px 0">{strip}</div>')
    if recording.path is not None:
        parts.append(_overview(recording))
    return f'<div style="max-width:1000px;color:inherit;background:transparent">{"".join(parts)}</div>'


def thumbnails(recording: Ended, count: int = THUMBNAILS) -> list[Thumbnail]:
    """Up to ``count`` keyframes, spread over the recording; fewer if there are no more.

    Reads only about those places of the file, for a few seconds at the most. Returns none if the
    file is gone, has no video or cannot be decoded; never raises for that.
    """
    path = recording.path
    if path is None or not any(stream.codec.is_video for stream in recording.streams.values()):
        return []
    found: list[Thumbnail] = []
    deadline = time.monotonic() + LONGEST_SEARCH_S
    try:
        for file, begins_s, places in _places(recording, path, count):
            for one in _pictures(file, places, deadline) if file.is_file() else ():
                if sum(len(other.jpeg) for other in (*found, one)) > MOST_THUMBNAIL_BYTES:
                    return found
                found.append(replace(one, at_s=one.at_s + begins_s))
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the file, its figures are still shown
        log.debug("%s: no thumbnails: %s", path, error)
    return found


def _places(recording: Ended, path: Path, count: int) -> Iterator[tuple[Path, float, list[float]]]:
    """``count`` places spread over a recording: the file, where that begins, and the places in it, in seconds."""
    files = [(one.path, one.begins_s) for one in recording.segments] or [(path, 0.0)]
    places = [recording.duration_s * number / count for number in range(count)]
    for number, (file, begins_s) in enumerate(files):
        end_s = files[number + 1][1] if number + 1 < len(files) else inf
        begin_s = begins_s if number else 0.0
        if own := [place - begin_s for place in places if begin_s <= place < end_s]:
            yield file, begins_s, own


def _pictures(path: Path, places: Iterable[float], deadline: float) -> Iterator[Thumbnail]:
    from ..demux import open_media

    with open_media(path) as container:
        stream = container.streams.video[0]
        base = stream.time_base or Fraction(1, 90_000)
        start = stream.start_time or 0
        stream.codec_context.skip_frame = "NONKEY"
        last = None
        for place in places:
            if time.monotonic() > deadline:
                return
            # A place in a transport stream leads to the next keyframe, not to the one before.
            container.seek(start + int(place / base), stream=stream)
            frame = _next_picture(container, stream)
            if frame is None or frame.pts is None or frame.pts == last:
                continue
            last = frame.pts
            yield _thumbnail(frame, float((frame.pts - start) * base), float(stream.sample_aspect_ratio or 1))


def _next_picture(container: av.container.InputContainer, stream: VideoStream) -> VideoFrame | None:
    for number, packet in enumerate(container.demux(stream)):
        for frame in packet.decode():
            return frame
        if number > MOST_PACKETS:
            break
    return None


def _thumbnail(frame: VideoFrame, at_s: float, pixel_aspect: float) -> Thumbnail:
    import av

    aspect = pixel_aspect * frame.width / frame.height
    width = THUMBNAIL_WIDTH if aspect >= 1 else round(THUMBNAIL_WIDTH * max(aspect, 0.1))
    height = max(round(width / aspect), 16)
    size = (width + width % 2, height + height % 2)
    encoder = av.VideoCodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = size
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 25)
    encoder.options = {"qmin": "4", "qmax": "8"}
    small = frame.reformat(*size, format="yuvj420p")
    small.pts = 0
    packets = [*encoder.encode(small), *encoder.encode(None)]
    return Thumbnail(at_s, b"".join(map(bytes, packets)), *size)


def _figure(one: Thumbnail) -> str:
    when = time_text(one.at_s)
    return (
        '<figure style="margin:0;text-align:center;font-size:11px">'
        f'<img alt="the frame at {when}" width="{one.width}" height="{one.height}" '
        f'style="display:block;border-radius:3px" src="{_uri("jpeg", one.jpeg)}">'
        f'<figcaption style="opacity:0.8">{when}</figcaption></figure>'
    )


def _overview(recording: Ended) -> str:
    try:
        from .charts import plot_overview
        from .style import png

        image = png(plot_overview(recording.log)[0].get_figure(root=True))
    except Exception as error:  # noqa: BLE001 - the figures are shown without it
        log.debug("%s: no overview: %s", recording.path, error)
        return ""
    words = "memory, growth of the file, sizes, intervals and times of the flushes"
    return f'<img alt="{words}" style="max-width:100%;background:transparent" src="{_uri("png", image)}">'


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _table(recording: Ended) -> str:
    cell = 'style="text-align:left;padding:2px 14px 2px 0;background:transparent;vertical-align:top'
    rows = "".join(
        f'<tr style="background:transparent">'
        f'<th scope="row" {cell};font-weight:600;opacity:0.7">{for_page(name)}</th>'
        f'<td {cell};overflow-wrap:anywhere">{for_page(words)}</td></tr>'
        for name, words in _facts(recording)
        if words
    )
    return f'<table style="border-collapse:collapse;border:0;margin:0;font-size:13px">{rows}</table>'


def _lacking(recording: Ended) -> str:
    counters = recording.counters
    # Of a ring media may have come, and be gone again.
    return "nothing was asked for" if counters.video_units + counters.audio_units else "no media came"


def _facts(recording: Ended) -> Iterator[tuple[str, str]]:
    if recording.path is None:
        yield "recording", f"none: {_lacking(recording)}, and no file was made"
        return
    row = recording.log.summary().iloc[0]
    yield "recording", str(recording.path)
    size = size_text(recording.bytes)
    rate = f", {recording.bytes * 8 / recording.duration_s / 1e6:.2f} Mbit/s" if recording.duration_s > 0 else ""
    state = "" if row["state"] == "committed" else f" ({row['state']})"
    yield "length", f"{time_text(recording.duration_s)}, {size}{rate}{state}"
    yield "streams", _streams_text(recording)
    if row["flush_count"]:
        longest = span_text(float(row["longest_flush_interval_s"]))
        busy = span_text(float(row["write_p50_s"] + row["sync_p50_s"]))
        risk = size_text(int(row["bytes_at_risk_max"]))
        count = f"{int(row['flush_count']):,}"
        yield "flushes", f"{count}, at most {longest} apart, {busy} to write and sync; {risk} at risk at most"
    if any(one.rss_bytes is not None for one in recording.log.contents.samples):
        slope = float(row["rss_slope_mb_per_h"])
        peak, end = size_text(int(row["rss_peak_bytes"])), size_text(int(row["rss_end_bytes"]))
        is_told = slope == slope and float(row["elapsed_s"]) >= SHORTEST_TREND_S
        trend = f", {slope:+.1f} MB an hour" if is_told else ""
        yield "memory", f"{end} at the end, {peak} at most{trend}; {float(row['cpu_share_mean']):.0%} of a core"
    lost = [count_text(_dropped(recording), "unit") + " dropped"]
    gaps = recording.counters.gap_count
    if gaps:
        lost.append(f"{count_text(gaps, 'gap')}, {span_text(recording.counters.gap_s)} of audio")
    yield "lost", ", ".join(lost)
    alerts = _alerts(recording)
    more = f" and {len(alerts) - MOST_ALERTS} more" if len(alerts) > MOST_ALERTS else ""
    yield "alerts", "; ".join(alerts[:MOST_ALERTS]) + more or "none"


def _flush_count(recording: Ended) -> int:
    flushes = recording.log.contents.flushes
    return flushes[-1].index + 1 if flushes else 0


def _dropped(recording: Ended) -> int:
    contents = recording.log.contents
    flushes, samples = contents.flushes[-1:], contents.samples[-1:]
    return max((*(one.dropped_units for one in flushes), *(one.dropped_units for one in samples)), default=0)


def _alerts(recording: Ended) -> list[str]:
    events = recording.log.contents.events
    return [str(one.fields.get("message")) for one in events if one.kind is EventKind.ALERT_RAISED]


def _streams_text(recording: Ended) -> str:
    return " + ".join(_stream_text(stream) for _, stream in sorted(recording.streams.items()))


def _stream_text(stream: StreamFormat) -> str:
    name = codec_text(stream.codec)
    if stream.codec.is_video:
        return f"{name} {stream.width}x{stream.height}" if stream.width else name
    language = f" ({stream.language})" if stream.language else ""
    return f"{name} {stream.sample_rate / 1000:g} kHz{language}"
