"""What ffprobe says of a file: its streams, what it counts and decodes of each, and what it complains of."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

_ENTRIES = ":".join(
    (
        "packet=stream_index,pts_time,dts_time,duration_time,flags",
        "stream=index,codec_type,codec_name,width,height,sample_aspect_ratio,field_order,channels,sample_rate"
        ",duration,nb_read_frames,nb_read_packets",
        "stream_disposition=attached_pic,timed_thumbnails",
        "format=format_name",
        "program=program_id",
        "program_stream=index",
    )
)
_LOOK_SIDE = 12
_JUMP_S = 10.0
"""A step between packets in a row from which on a clock counts as set anew."""
_TAG = re.compile(r"^\[([^\]@]+) @ 0x[0-9a-f]+\] ?")


@dataclass(slots=True)
class Stream:
    """One stream from ``begin_s`` to ``end_s``: ``packets``, some ``hidden`` by edit lists, ``frames`` of them.

    Video ends with the begin of its last frame: containers seldom know how long that is shown. ``untimed_s``
    are the packets without times behind the last that has one.
    """

    index: int
    kind: str
    codec: str
    packets: int = 0
    hidden: int = 0
    frames: int = 0
    width: int = 0
    height: int = 0
    pixel_aspect: Fraction = Fraction(1)
    field_order: str = ""
    channels: int = 0
    sample_rate: int = 0
    is_attached: bool = False
    begin_s: float | None = None
    end_s: float | None = None
    jumps: int = 0
    untimed_s: float = 0.0
    stated_s: float = 0.0
    has_lengths: bool = False
    unordered: int = 0
    _last_s: float | None = field(default=None, repr=False)
    _last_dts_s: float | None = field(default=None, repr=False)

    @property
    def packet_s(self) -> float:
        """How long a packet lasts on the average."""
        return (self.span_s or 0.0) / max(1, self.packets)

    @property
    def shown(self) -> int:
        """Frames that a player shows: some decoders let ffprobe have those that an edit list hides as well."""
        return self.frames - self.hidden if self.has_hidden_frames else self.frames

    @property
    def has_hidden_frames(self) -> bool:
        """Whether ffprobe decodes what is hidden, too."""
        return 0 < self.hidden < self.frames == self.packets

    @property
    def span_s(self) -> float | None:
        """How long it lasts; None without times."""
        if self.begin_s is None or self.end_s is None:
            return None
        # Packets without a length of their own say nothing about the last.
        lacks_end = self.kind == "audio" and not self.has_lengths
        return max(self.end_s - self.begin_s, self.stated_s - self.begin_s if lacks_end else 0)

    def take(self, pts_s: float | None, dts_s: float | None, duration_s: float, *, is_shown: bool = True) -> None:
        """Count a packet; one that is not shown is decoded for the sake of others."""
        self.packets += 1
        self.has_lengths = duration_s > 0
        if not is_shown:
            self.hidden += 1
            return
        if dts_s is not None:
            self.unordered += self._last_dts_s is not None and dts_s <= self._last_dts_s
            self._last_dts_s = dts_s
        time_s = dts_s if pts_s is None else pts_s
        if time_s is None:
            # Program streams time one packet of a few.
            self.untimed_s += duration_s
            return
        if self._last_s is not None and abs(time_s - self._last_s) > _JUMP_S:
            self.jumps += 1
        self._last_s, self.untimed_s = time_s, 0.0
        end_s = time_s + (duration_s if self.kind == "audio" else 0)
        self.begin_s = time_s if self.begin_s is None else min(self.begin_s, time_s)
        self.end_s = end_s if self.end_s is None else max(self.end_s, end_s)


@dataclass(frozen=True, slots=True)
class Probe:
    """A file as ffprobe sees it. ``programs`` are the streams of each, ``complaints`` what was said about it."""

    container: str
    streams: tuple[Stream, ...]
    programs: tuple[frozenset[int], ...]
    complaints: tuple[str, ...]

    def of_kind(self, kind: str) -> list[Stream]:
        """The streams of video or audio that have media, attached pictures aside."""
        return [one for one in self.streams if one.kind == kind and one.frames and not one.is_attached]


def probe(path: Path, limit_s: float, *, kind: str | None = None) -> Probe | None:
    """Read and decode all of ``path``, as ``kind`` if that is given; None if that takes too long."""
    # Streams that begin late are found too; a file is analysed in no time all the same.
    command = ["ffprobe", "-v", "warning", "-threads", "1", "-analyzeduration", "100M", "-probesize", "100M"]
    command += [*(["-f", kind] if kind else []), "-count_frames", "-show_entries", _ENTRIES, "-of", "compact"]
    try:
        done = subprocess.run([*command, f"file:{path}"], capture_output=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        return None
    return parsed(done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def parsed(said: str, complained: str) -> Probe:
    """The probe that ffprobe's output in its compact form makes."""
    streams: dict[int, Stream] = {}
    programs: list[frozenset[int]] = []
    container = ""
    packets: list[dict[str, str]] = []
    for line in said.splitlines():
        section, _, rest = line.partition("|")
        fields = dict(part.split("=", 1) for part in rest.split("|") if "=" in part)
        if section == "packet":
            packets.append(fields)
        elif section == "stream":
            stream = _stream(fields)
            streams[stream.index] = stream
        elif section == "program":
            programs.append(frozenset(map(int, re.findall(r"\|index=(\d+)", line))))
        elif section == "format":
            container = fields.get("format_name", "")
    for fields in packets:
        index = int(fields.get("stream_index", -1))
        if index in streams:
            is_shown = "D" not in fields.get("flags", "")
            times = (_float(fields, "pts_time"), _float(fields, "dts_time"), _float(fields, "duration_time") or 0.0)
            streams[index].take(*times, is_shown=is_shown)
    return Probe(container, tuple(streams.values()), tuple(programs), complaints(complained))


def complaints(said: str) -> tuple[str, ...]:
    """The lines of a log, each kind once, without the addresses in them."""
    lines = (_TAG.sub(r"\1: ", line).strip() for line in said.splitlines())
    return tuple(dict.fromkeys(line for line in lines if line and "repeated" not in line))


def look(path: Path, index: int, limit_s: float) -> bytes | None:
    """The first frame of a stream as a player shows it, turned and in RGB, very small; None without one."""
    command = ["ffmpeg", "-nostdin", "-v", "quiet", "-threads", "1", "-i", f"file:{path}", "-map", f"0:{index}"]
    # Audio that begins late is no reason to leave frames out.
    command += ["-fps_mode", "passthrough", "-frames:v", "1", "-pix_fmt", "rgb24", "-f", "rawvideo"]
    command += ["-vf", f"scale={_LOOK_SIDE}:{_LOOK_SIDE}:flags=area", "-"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if len(done.stdout) == 3 * _LOOK_SIDE**2 else None


def _stream(fields: dict[str, str]) -> Stream:
    aspect = fields.get("sample_aspect_ratio", "").split(":")
    is_told = len(aspect) == 2 and all(part.isdecimal() and int(part) for part in aspect)
    return Stream(
        index=int(fields["index"]),
        kind=fields.get("codec_type", "unknown"),
        codec=fields.get("codec_name", "unknown"),
        frames=_whole(fields, "nb_read_frames"),
        width=_whole(fields, "width"),
        height=_whole(fields, "height"),
        pixel_aspect=Fraction(int(aspect[0]), int(aspect[1])) if is_told else Fraction(1),
        field_order=fields.get("field_order", ""),
        channels=_whole(fields, "channels"),
        stated_s=_float(fields, "duration") or 0.0,
        sample_rate=_whole(fields, "sample_rate"),
        is_attached="1" in (fields.get("disposition:attached_pic"), fields.get("disposition:timed_thumbnails")),
    )


def _whole(fields: dict[str, str], name: str) -> int:
    text = fields.get(name, "")
    return int(text) if text.isdecimal() else 0


def _float(fields: dict[str, str], name: str) -> float | None:
    try:
        return float(fields[name])
    except (KeyError, ValueError):
        return None
