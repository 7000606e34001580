"""What is lost at cuts: one stream in many files, by recordkit, by ffmpeg's segment muxer and by GStreamer's.

    python tests/benchmarks/cuts.py [--quick] [--cuts N] [--json PATH]

All are given the same coded stream, with a keyframe every 0.4 s, and asked for a file every second; nothing is
encoded. Each file is then decoded by itself, from its own beginning. ``lost`` are frames that are in no file,
``doubled`` those that are in two, ``late_s`` is how far the worst cut is from the second that was asked for;
``audio_lost`` and ``audio_doubled`` are coded frames of audio.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import av
from figures import Figures, command_line

import recordkit as rk
from recordkit.errors import SourceError
from recordkit.sources.marks import read_frame_number

FPS = 25
CUTS, QUICK_CUTS = 100, 4
KEYFRAMES_S = 0.4
LONGEST_S = 120


def by_recordkit(clip: Path, folder: Path) -> None:
    rk.record(str(clip), folder / "{number:04d}.ts", segments=rk.Segments(every=1), flush_log=True)


def by_ffmpeg(clip: Path, folder: Path) -> None:
    words = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(clip), "-map", "0", "-c", "copy", "-f", "segment"]
    subprocess.run([*words, "-segment_time", "1", str(folder / "%04d.ts")], check=True, timeout=LONGEST_S)


def by_gstreamer(clip: Path, folder: Path) -> None:
    sink = f"splitmuxsink name=s muxer=mpegtsmux location={folder}/%04d.ts max-size-time=1000000000"
    line = f"gst-launch-1.0 -q filesrc location={clip} ! tsdemux name=d {sink}"
    line += " d. ! queue ! h264parse ! s.video d. ! queue ! aacparse ! s.audio_0"
    subprocess.run(line.split(), check=True, timeout=LONGEST_S)


WAYS: dict[str, tuple[str | None, Callable[[Path, Path], None]]] = {
    "recordkit": (None, by_recordkit),
    "ffmpeg segment": ("ffmpeg", by_ffmpeg),
    "GStreamer splitmuxsink": ("gst-launch-1.0", by_gstreamer),
}


def seen(path: Path) -> tuple[list[int | None], Counter[bytes]]:
    """The numbers of the frames of a file that is decoded by itself, and its coded audio."""
    numbers: list[int | None] = []
    audio: Counter[bytes] = Counter()
    try:
        with av.open(str(path)) as container:
            for packet in container.demux():
                if packet.stream.type == "audio":
                    if packet.size:
                        audio[bytes(packet)] += 1
                    continue
                numbers += [read_frame_number(frame) for frame in packet.decode()]
    except (av.FFmpegError, SourceError):
        pass  # what cannot be decoded is lost
    return numbers, audio


def judged(folder: Path, frames: int, given: Counter[bytes]) -> Figures:
    shown: Counter[int | None] = Counter()
    audio: Counter[bytes] = Counter()
    firsts: list[int] = []
    for path in sorted(folder.glob("*.ts")):
        numbers, heard = seen(path)
        shown.update(numbers)
        audio.update(heard)
        firsts += [one for one in numbers if one is not None][:1]
    late = [abs(first / FPS - round(first / FPS)) for first in firsts[1:]]
    return {
        "files": len(firsts),
        "lost": sum(1 for number in range(frames) if number not in shown),
        "doubled": sum(count - 1 for number, count in shown.items() if number is not None),
        "unreadable": shown[None],
        "audio_lost": (given - audio).total(),
        "audio_doubled": (audio - given).total(),
        "late_s": round(max(late, default=0.0), 3),
    }


def run(quick: bool, cuts: int | None = None) -> Figures:
    """What each loses and doubles, by name; "missing" where the program is not there."""
    cuts = cuts or (QUICK_CUTS if quick else CUTS)
    rows: Figures = {}
    with tempfile.TemporaryDirectory() as scratch:
        clip = Path(scratch) / "clip.ts"
        source = rk.Synthetic(width=160, height=90, fps=FPS, seconds=cuts + 1, realtime=False)
        rk.record(source, clip, video=rk.VideoSettings(preset="ultrafast", keyframe_interval=KEYFRAMES_S))
        numbers, audio = seen(clip)
        for name, (program, way) in WAYS.items():
            if program is not None and shutil.which(program) is None:
                rows[name] = {"missing": f"there is no {program}"}
                continue
            folder = Path(scratch) / name.replace(" ", "-")
            folder.mkdir()
            try:
                way(clip, folder)
            except subprocess.CalledProcessError as error:
                rows[name] = {"missing": f"ended with {error.returncode}"}
                continue
            except subprocess.TimeoutExpired:
                # splitmuxsink stands still for good now and then, at the end of its input.
                rows[name] = {"missing": f"was not done within {LONGEST_S} s"}
                continue
            rows[name] = judged(folder, len(numbers), audio)
    return {"cuts": cuts, "frames": len(numbers), "audio_frames": audio.total(), "rows": rows}


def table(figures: Figures) -> str:
    head = f"{'files':>7}{'lost':>7}{'doubled':>9}{'audio lost':>12}{'doubled':>9}{'late s':>8}"
    lines = [f"{figures['cuts']} cuts of {figures['frames']} frames, {figures['audio_frames']} of audio"]
    lines.append(f"{'program':<24}{head}")
    for name, row in figures["rows"].items():
        if "missing" in row:
            lines.append(f"{name:<24}  {row['missing']}")
            continue
        values = f"{row['files']:>7}{row['lost']:>7}{row['doubled']:>9}{row['audio_lost']:>12}"
        lines.append(f"{name:<24}{values}{row['audio_doubled']:>9}{row['late_s']:>8.3f}")
    return "\n".join(lines)


if __name__ == "__main__":
    command_line(__doc__ or "", run, table, cuts="how many cuts (100; with --quick 4)")
