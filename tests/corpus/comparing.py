"""What a recording, a verification and a repair say of a file, held against what ffprobe says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .probing import Probe, Stream, look, probe
from .trying import Trier, Try, recorded, recovered, repaired, verified

_TOLERATED_S = 0.06
"""By so much times may differ, and by the packets of audio that is cut into other ones."""
_DIFFERENT_LOOK = 16
"""Mean difference of RGB values, of 255, from which on two frames are not the same one."""
_UNTOLD = ("", "unknown")
_LEFT_OUT = re.compile(r"stream (\d+) \([^)]*\) is (?:left out|not recorded)")
_LOCKED = re.compile(r"is (?:encrypted|scrambled)")
_NO_LOSS = re.compile(r"is not recorded|programs number \d+ is recorded")
_TRANSPORT = "mpegts"


@dataclass(slots=True)
class Row:
    """What became of one file. ``state`` is "agrees", "told" (of what is missing there is word) or "disagrees"."""

    file: str
    container: str = ""
    streams: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    disagreements: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """Whether recordkit and ffprobe are of one mind."""
        return "disagrees" if self.disagreements else "told" if self.told else "agrees"

    def to_dict(self) -> dict[str, Any]:
        """As plain values, with the state."""
        return {**asdict(self), "state": self.state}


def tried(path: Path, name: str, scratch: Path, trier: Trier, limit_s: float) -> Row:
    """Record, verify, recover and repair the file; the empty folder ``scratch`` takes what is made of it."""
    row = Row(name)
    source = probe(path, limit_s)
    if source is None:
        row.told.append(f"ffprobe is not ready after {limit_s:g} s")
        return row
    row.container = source.container
    out = scratch / "recorded.ts"
    made = trier(recorded, path, out, limit_s=limit_s)
    _compare_recording(row, path, source, made, out, trier, limit_s)
    seen = trier(verified, path, limit_s=limit_s)
    if seen.fault is not None:
        row.disagreements["verify: fault"] = seen.fault
    is_transport = source.container == _TRANSPORT
    if is_transport and seen.done:
        row.disagreements |= verify_disagreements(source, seen.done)
    fixed = scratch / "repaired.ts"
    _compare_repair(row, source, trier(repaired, path, fixed, limit_s=limit_s), fixed, trier, limit_s)
    copied = trier(recovered, path, scratch, limit_s=limit_s)
    if copied.fault is not None:
        row.disagreements["recover: fault"] = copied.fault
    elif is_transport and not copied.done and source.streams:
        row.disagreements["recover: refused"] = str(copied.refused)
    return row


def _compare_recording(
    row: Row, path: Path, source: Probe, made: Try, out: Path, trier: Trier, limit_s: float
) -> None:
    wanted = expected(source, made)
    if made.fault is not None:
        row.disagreements["record: fault"] = made.fault
    if not out.exists():
        if wanted and made.fault is None and not _LOCKED.search(made.refused or ""):
            row.disagreements["record: refused"] = made.refused or str(made.done.get("ended_because"))
        elif made.refused:
            row.told.append(made.refused)
        return
    result = probe(out, limit_s, kind=_TRANSPORT)
    if result is None:
        row.disagreements["record: ffprobe hangs"] = f"ffprobe reads the recording for more than {limit_s:g} s"
        return
    if made.refused:
        row.told.append(made.refused)
    row.told += [one for one in made.told if not _NO_LOSS.search(one)]
    row.disagreements |= recording_disagreements(source, wanted, made, result)
    row.streams = pairs(wanted, result)
    news = [one for one in result.complaints if one not in source.complaints]
    if news and not source.complaints:
        row.disagreements["record: complaint"] = news[0]
    elif news:
        row.told.append(f"the source: {source.complaints[0]}")
    own = trier(verified, out, limit_s=limit_s)
    if own.fault is not None:
        row.disagreements["record: verify fault"] = own.fault
    elif own.done and not own.done["ok"]:
        row.disagreements["record: verify"] = "; ".join(one["detail"] for one in own.done["problems"])
    video, shown = wanted_video(wanted), next(iter(result.of_kind("video")), None)
    if video is not None and shown is not None and not (source.complaints or video.has_hidden_frames):
        theirs, ours = look(path, video.index, limit_s), look(out, shown.index, limit_s)
        if theirs and ours:
            apart = sum(abs(one - other) for one, other in zip(theirs, ours, strict=True)) / len(ours)
            if apart > _DIFFERENT_LOOK:
                row.disagreements["look"] = f"the first frames differ by {apart:.0f} of 255"


def wanted_video(wanted: list[Stream]) -> Stream | None:
    """The video of the streams that are to be recorded."""
    return next((one for one in wanted if one.kind == "video"), None)


def expected(source: Probe, made: Try) -> list[Stream]:
    """The streams that are to be recorded: those with media of which the log does not say that they are not."""
    out = {int(found[1]) for line in made.told + made.noted if (found := _LEFT_OUT.search(line))}
    return [one for kind in ("video", "audio") for one in source.of_kind(kind) if one.index not in out]


def paired(wanted: list[Stream], result: Probe) -> list[tuple[Stream, Stream | None]]:
    """Each stream of the source with what it became."""
    ours = {kind: iter([one for one in result.streams if one.kind == kind]) for kind in ("video", "audio")}
    return [(one, next(ours[one.kind], None)) for one in wanted]


def pairs(wanted: list[Stream], result: Probe) -> list[str]:
    """The same in words: codings, packets, frames and durations."""

    def words(stream: Stream) -> str:
        span = "-" if stream.span_s is None else f"{stream.span_s:.2f}s"
        return f"{stream.codec} {stream.packets}p {stream.frames}f {span}"

    return [f"{words(one)} -> {words(other) if other else 'nothing'}" for one, other in paired(wanted, result)]


def recording_disagreements(source: Probe, wanted: list[Stream], made: Try, result: Probe) -> dict[str, str]:
    """What is not as ffprobe has it, by kind; what the log gives a reason for is left out."""
    found: dict[str, str] = {}
    has_reason = made.refused is not None or any(not _NO_LOSS.search(one) for one in made.told)
    numbers = {one.index for one in wanted}
    videos = source.of_kind("video")
    if videos and not any(one.index in numbers for one in videos):
        found["record: no video"] = f"{videos[0].codec} with {videos[0].frames} frames is left out"
    for one, other in paired(wanted, result):
        where = f"{one.kind} {one.index} ({one.codec})"
        if other is None or not other.packets:
            if not has_reason:
                found[f"record: {one.kind} missing"] = f"{where} has {one.frames} frames, the recording none"
            continue
        if any("deinterlaced" in line for line in made.told):
            one = replace(one, field_order="progressive")
        elif one.field_order in _UNTOLD and other is not None:
            # H.264 says it itself, whatever its container does not.
            one = replace(one, field_order=other.field_order)
        for kind, words in _stream_disagreements(one, other):
            # A reason is one for what is less, and for nothing else.
            if not (has_reason and kind in ("frames", "duration", "begin")):
                found[f"record: {one.kind} {kind}"] = f"{where}: {words}"
    # What ffprobe cannot decode is recorded all the same where it is passed through.
    theirs = [one for one in source.streams if one.kind in ("video", "audio") and one.packets]
    extra = len([one for one in result.streams if one.packets]) - len(theirs)
    if extra > 0 and source.streams:
        found["record: streams"] = f"{extra} more than the source has"
    if not has_reason:
        found |= _sync_disagreements(wanted, result)
    return found


def _stream_disagreements(one: Stream, other: Stream) -> Iterator[tuple[str, str]]:
    is_passed = one.codec == other.codec
    if one.kind == "video":
        if other.frames != one.shown:
            kind = "shown" if is_passed and other.packets == one.packets else "frames"
            yield kind, f"{other.frames} frames of {one.shown}"
        if _shape(one) != _shape(other):
            yield "shape", f"{_shape_words(other)} instead of {_shape_words(one)}"
    else:
        if is_passed and not one.packets - one.hidden - 1 <= other.packets <= one.packets + 1:
            yield "frames", f"{other.packets} packets of {one.packets}"
        if one.channels != other.channels and one.channels and one.channels <= 2:
            yield "channels", f"{other.channels} of {one.channels}"
    if other.unordered:
        yield "order", f"{other.unordered} decoding times that do not rise"
    if one.span_s is not None and other.span_s is not None and not (one.jumps or one.unordered):
        apart = other.span_s - one.span_s
        if abs(apart) > _tolerated_s(one, other):
            yield "duration", f"{other.span_s:.3f} s instead of {one.span_s:.3f}"


def _tolerated_s(one: Stream, other: Stream) -> float:
    if one.kind == "video":
        return _TOLERATED_S + one.untimed_s
    # Encoders begin with a packet that holds nothing yet, and fill up the last one.
    own = one.packet_s if one.has_lengths else 3 * one.packet_s
    return _TOLERATED_S + own + (0 if one.codec == other.codec else 2 * other.packet_s)


def _sync_disagreements(wanted: list[Stream], result: Probe) -> dict[str, str]:
    begins = [
        (one, one.begin_s, other.begin_s)
        for one, other in paired(wanted, result)
        if other is not None and one.begin_s is not None and other.begin_s is not None
    ]
    for one, before, after in begins[1:]:
        theirs, ours = before - begins[0][1], after - begins[0][2]
        if abs(theirs - ours) > _TOLERATED_S and not (one.jumps or begins[0][0].jumps):
            return {
                "record: sync": f"{one.kind} {one.index} begins {ours:+.3f} s from the first, not {theirs:+.3f}"
            }
    return {}


def _shape(stream: Stream) -> tuple[int, int, bool]:
    is_interlaced = stream.field_order not in (*_UNTOLD, "progressive")
    # Odd sizes become even, which is told.
    width, height = round(stream.width * stream.pixel_aspect), stream.height
    return width + width % 2, height + height % 2, is_interlaced


def _shape_words(stream: Stream) -> str:
    return f"{stream.width}x{stream.height} ({stream.pixel_aspect}) {stream.field_order or 'progressive'}"


_NAMES = {"mpeg1video": "mpeg2video", "mp1": "mp3", "mp2": "mp3"}
"""What one stream type stands for."""
_WITH_UNITS = frozenset({"h264", "hevc", "aac", "mp3", "ac3", "eac3", "dts", "opus"})


def verify_disagreements(source: Probe, done: dict[str, Any]) -> dict[str, str]:
    """What verify counts in a transport stream that ffprobe counts otherwise; a file with problems may differ."""
    if not done["ok"]:
        return {}
    found: dict[str, str] = {}
    theirs = [one for one in source.streams if one.kind in ("video", "audio") and one.packets]
    ours = [one for one in done["streams"] if one["access_units"]]
    if len(ours) < len(theirs):
        found["verify: streams"] = f"{len(ours)} of {len(theirs)}"
        return found
    by_codec: dict[str, list[Any]] = {}
    for one in ours:
        by_codec.setdefault(one["codec"], []).append(one)
    for stream in theirs:
        same = by_codec.get(stream.codec) or by_codec.get(_NAMES.get(stream.codec, ""))
        if not same or stream.codec not in _WITH_UNITS:
            continue
        one = same.pop(0)
        counted = one["frames"] if stream.kind == "video" else one["access_units"]
        if abs(counted - (stream.frames if stream.kind == "video" else stream.packets)) > 1:
            found["verify: count"] = (
                f"{stream.codec}: {counted} of {stream.frames} frames, {stream.packets} packets"
            )
        if stream.span_s is not None and not stream.jumps:
            span_s = one["duration_s"] - (1 / one["frame_rate"] if one["frame_rate"] else 0)
            if abs(span_s - stream.span_s) > _TOLERATED_S:
                found["verify: duration"] = f"{stream.codec}: {span_s:.3f} s instead of {stream.span_s:.3f}"
    return found


def _compare_repair(row: Row, source: Probe, made: Try, fixed: Path, trier: Trier, limit_s: float) -> None:
    if made.fault is not None:
        row.disagreements["repair: fault"] = made.fault
        return
    if source.container != _TRANSPORT:
        return
    if not made.done.get("path"):
        if source.of_kind("video") or source.of_kind("audio"):
            row.disagreements["repair: refused"] = made.refused or made.done.get("message", "")
        return
    result = probe(fixed, limit_s, kind=_TRANSPORT)
    if result is None:
        row.disagreements["repair: ffprobe hangs"] = f"ffprobe reads the repaired file for more than {limit_s:g} s"
        return
    is_told = bool(made.done["problems"] or made.done["cut_bytes"] or made.told)
    before, after = _counts(source), _counts(result)
    if before != after and not is_told:
        row.disagreements["repair: count"] = f"{after} packets of {before}"
    own = trier(verified, fixed, limit_s=limit_s)
    if own.done and not own.done["ok"] and not made.done["problems"]:
        row.disagreements["repair: verify"] = "; ".join(one["detail"] for one in own.done["problems"])


def _counts(seen: Probe) -> list[tuple[str, int]]:
    return sorted((one.codec, one.packets) for one in seen.streams if one.packets)
