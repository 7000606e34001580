"""Small films of every coding in every container that ffmpeg can write, whole and in the ways that films differ.

What a container refuses is found once for each coding, with a few packets and without a program to start. Of the
rest a covering sample is made unless all is asked for: each coding in each container, each coding in each variety
and each container in each variety, at least once.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import random
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import av


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SECONDS = 1.6
RATE = 25
SIZES = ("160x120", "176x144", "256x128", "720x576")
"""Tried in turn: some codings know a few sizes only."""
VARIETIES = ("plain", "cut", "trimmed", "late", "turned", "interlaced", "bframes")
_MAIN = _words(
    "h264 hevc mpeg2video mpeg4 vp8 vp9 av1 mjpeg mpeg1video theora prores ffv1 aac mp3 opus vorbis ac3 eac3 "
    "mp2 flac pcm_s16le pcm_s16be alac"
)
_COMPANIONS = {
    "video": ["aac", "mp3", "opus", "pcm_s16le", "mp2", "vorbis"],
    "audio": ["h264", "mpeg4", "vp8", "mpeg1video", "mjpeg"],
}
_TURNING = _words("mov mp4 3gp 3g2 ipod psp ismv f4v")
_REORDERING = _words("h264 hevc mpeg1video mpeg2video mpeg4 msmpeg4v3")
_INTERLACED = _words("h264 mpeg2video mpeg4 prores dnxhd")
_NO_FILES = _words(
    # Devices, networks, sums, texts, and what writes many files.
    "alsa caca fbdev opengl oss pulse sdl sdl2 sndio video4linux2 v4l2 xv decklink rtp rtp_mpegts rtsp sap "
    "crc framecrc framehash framemd5 hash md5 streamhash uncodedframecrc null tee fifo fifo_test chromaprint "
    "ass ffmetadata jacosub lrc microdvd mkvtimestamp_v2 scc srt sup ttml webvtt dash hds image2 image2pipe "
    "segment stream_segment ssegment smoothstreaming webm_chunk webm_dash_manifest hls"
)
_ENCODERS = {"opus": "libopus", "vorbis": "libvorbis", "mp2": "mp2", "av1": "libaom-av1"}
_OPTIONS = {
    "av1": ["-cpu-used", "8", "-usage", "realtime"],
    "vp9": ["-deadline", "realtime", "-cpu-used", "8"],
    "vp8": ["-deadline", "realtime"],
    "hevc": ["-preset", "ultrafast", "-x265-params", "log-level=none:pools=1:frame-threads=1"],
    "h264": ["-preset", "veryfast"],
    "dnxhd": ["-profile:v", "dnxhr_lb"],
}
_MAKE_LIMIT_S = 60
_MOST_TRIES = 3
_SAMPLE_CONTAINERS = ("nut", "matroska", "mov", "avi", "asf", "wav")
_SAMPLE_PACKETS = 8
_FEW_PAIRS = 20
"""Of so few it costs less to try the films than to look for what is possible."""
_SAMPLE_SECONDS = 0.4


@dataclass(frozen=True, slots=True)
class Candidate:
    """A film that may be possible."""

    container: str
    kind: str
    coding: str
    variety: str

    @property
    def name(self) -> str:
        """What to call it."""
        return f"{self.container}/{self.coding}/{self.variety}"


def films(folder: Path, only: str = "", every: int = 1, *, whole: bool = False) -> Iterator[tuple[Path, str]]:
    """Make films in ``folder``, one after the other: each is removed when the next is asked for.

    All that are possible if ``whole``, or a covering sample; of the films or the pairs every Nth.
    """
    found = candidates(only)
    pairs = dict.fromkeys((one.container, one.coding) for one in found)
    possible = set(islice(held(pairs) if len(pairs) > _FEW_PAIRS else pairs, 0, None, 1 if whole else every))
    found = [one for one in found if (one.container, one.coding) in possible]
    chosen = every_one(found[::every]) if whole else covering(found)
    try:
        candidate = next(chosen)
        while True:
            path = made(candidate, folder)
            if path is not None:
                yield path, candidate.name
                path.unlink()
            candidate = chosen.send(path is not None)
    except StopIteration:
        return


Choosing = Generator["Candidate", bool, None]
"""Candidates one after the other; whether the film could be made is sent back."""


def every_one(found: Iterable[Candidate]) -> Choosing:
    """All of them."""
    yield from found


def covering(found: Iterable[Candidate]) -> Choosing:
    """Few of them in which each coding meets each container, and each of both each variety.

    What cannot be made is tried in another variety; a variety that a coding or a container still lacks then is
    tried with a few others.
    """
    pairs: dict[tuple[str, str], list[Candidate]] = {}
    for candidate in found:
        pairs.setdefault((candidate.container, candidate.coding), []).append(candidate)
    seen: set[tuple[str, str]] = set()
    tried: set[Candidate] = set()
    fruitful = []

    def news(one: Candidate) -> int:
        return len({(one.coding, one.variety), (one.container, one.variety)} - seen)

    def note(one: Candidate, *, is_made: bool) -> None:
        tried.add(one)
        if is_made:
            seen.update({(one.coding, one.variety), (one.container, one.variety)})

    for ways in pairs.values():
        for candidate in sorted(ways, key=news, reverse=True)[:_MOST_TRIES]:
            is_made = yield candidate
            note(candidate, is_made=is_made)
            if is_made:
                fruitful.append(ways)
                break
    tries: Counter[tuple[str, str]] = Counter()
    for candidate in (one for ways in fruitful for one in ways):
        lacking = {(candidate.coding, candidate.variety), (candidate.container, candidate.variety)} - seen
        if candidate in tried or all(tries[one] >= _MOST_TRIES for one in lacking):
            continue
        tries.update(lacking)
        is_made = yield candidate
        note(candidate, is_made=is_made)


def candidates(only: str = "", seed: int = 13) -> list[Candidate]:
    """All that may be possible, the codings that most films have first, and beyond that in no order."""
    found = [
        Candidate(container, kind, coding, variety)
        for container in containers()
        for coding, kind in taken(container).items()
        for variety in VARIETIES
        if _makes_sense(container, coding, variety)
    ]
    random.Random(seed).shuffle(found)
    found.sort(key=lambda one: one.coding not in _MAIN)
    return [one for one in found if re.search(only, one.name)]


def _makes_sense(container: str, coding: str, variety: str) -> bool:
    if variety == "turned":
        return container in _TURNING
    return coding in {"bframes": _REORDERING, "interlaced": _INTERLACED}.get(variety, (coding,))


@cache
def codings() -> dict[str, str]:
    """What ffmpeg can both encode and decode, and whether that is video or audio."""
    said = _said("-codecs")
    found = re.findall(r"^ DE([VA])\S+ (\S+)", said, re.MULTILINE)
    return {name: {"V": "video", "A": "audio"}[letter] for letter, name in found}


@cache
def containers() -> list[str]:
    """What ffmpeg can write as one file."""
    found = re.findall(r"^ +E +([a-z0-9_]+)", _said("-muxers"), re.MULTILINE)
    return [name for name in found if name not in _NO_FILES]


@cache
def taken(container: str) -> dict[str, str]:
    """The codings that may go into a container: those that libavformat does not refuse at once."""
    found = dict(codings())
    try:
        with av.open(os.devnull, "w", format=container) as output:
            for name in codings():
                try:
                    output.add_stream(name)
                except ValueError as error:
                    if "support" in str(error):
                        del found[name]
    except (av.FFmpegError, ValueError):
        return found
    return found


def held(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The pairs of container and coding that are possible, each tried in a process that may crash or hang.

    By the libavformat of PyAV, which refuses a few that an older ffmpeg writes.
    """
    fork = multiprocessing.get_context("fork")
    for container, coding in pairs:
        if (sample := _sample(coding)) is None or coding not in taken(container):
            continue
        trying = fork.Process(target=_try_to_hold, args=(sample, coding, container, _suffix(container)))
        trying.start()
        trying.join(_MAKE_LIMIT_S)
        trying.kill()
        trying.join()
        if not trying.exitcode:
            yield container, coding


def _try_to_hold(*arguments: Any) -> None:
    os._exit(not holds(*arguments))


def holds(sample: Path, coding: str, container: str, suffix: str) -> bool:
    """Whether packets of a sample can be written into the container, and are known again when read."""
    with tempfile.TemporaryDirectory(prefix="corpus-holds-") as folder:
        path = Path(folder) / f"film.{suffix}"
        try:
            with (
                av.open(sample) as source,
                av.open(path, "w", format=container, options={"strict": "-2"}) as output,
            ):
                stream = output.add_stream_from_template(source.streams[0])
                for packet in islice(source.demux(), _SAMPLE_PACKETS):
                    if packet.dts is not None:
                        packet.stream = stream
                        output.mux(packet)
            with av.open(path) as written:
                return any(one.codec_context and one.codec_context.name == coding for one in written.streams)
        except (av.FFmpegError, ValueError):
            return False


@cache
def _sample(coding: str) -> Path | None:
    """A short film of one coding alone, in whatever holds it; None if ffmpeg cannot make it."""
    kind = codings()[coding]
    size = _size(coding) if kind == "video" else SIZES[0]
    own = [name for name in containers() if coding in _defaults(name)]
    for container in [*_SAMPLE_CONTAINERS, *own] if size else ():
        path = _samples() / f"{coding}.{container}"
        candidate = Candidate(container, kind, coding, "plain")
        arguments = _coding({kind: coding}, "plain", size or "", _SAMPLE_SECONDS)
        if _ffmpeg(arguments, candidate, path) and _reads_back(coding, path):
            return path
    return None


@cache
def _defaults(container: str) -> tuple[str, str]:
    with suppress(av.FFmpegError, ValueError), av.open(os.devnull, "w", format=container) as output:
        return output.default_video_codec, output.default_audio_codec
    return "", ""


@cache
def _samples() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="corpus-samples-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def _suffix(container: str) -> str:
    found = re.search(r"Common extensions: ([a-z0-9]+)", _said("-h", f"muxer={container}"))
    return found[1] if found else container


def _said(*arguments: str) -> str:
    command = ["ffmpeg", "-hide_banner", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def made(candidate: Candidate, folder: Path) -> Path | None:
    """The film, or None if ffmpeg cannot make it."""
    path = folder / f"{candidate.name.replace('/', '-')}.{_suffix(candidate.container)}"
    if candidate.variety not in ("cut", "trimmed", "turned"):
        return path if _encoded(candidate, path) else None
    plain = path.with_name(f"plain-{path.name}")
    try:
        if not _encoded(candidate, plain):
            return None
        if candidate.variety == "cut":
            whole = plain.read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
            return path
        before = ["-ss", "0.7"] if candidate.variety == "trimmed" else []
        after = ["-metadata:s:v", "rotate=90"] if candidate.variety == "turned" else []
        return path if _ffmpeg([*before, "-i", plain, "-map", "0", "-c", "copy", *after], candidate, path) else None
    finally:
        plain.unlink(missing_ok=True)


def _encoded(candidate: Candidate, path: Path) -> bool:
    """Make the film of two streams, or of one if no second can stand beside it."""
    size = _size(candidate.coding) if candidate.kind == "video" else SIZES[0]
    own = {candidate.kind: candidate.coding}
    if size is None:
        return False
    other = _other(candidate.kind)
    for companion in _COMPANIONS[candidate.kind]:
        if companion in taken(candidate.container) and _ffmpeg(
            _coding(own | {other: companion}, candidate.variety, size), candidate, path
        ):
            return _reads_back(candidate.coding, path, streams=2)
    is_made = candidate.variety != "late" and _ffmpeg(_coding(own, candidate.variety, size), candidate, path)
    return is_made and _reads_back(candidate.coding, path)


def _reads_back(coding: str, path: Path, streams: int = 1) -> bool:
    """Whether ffmpeg knows again what it wrote: some muxers write what no demuxer can tell."""
    command = ["ffprobe", "-v", "quiet", "-show_entries", "stream=codec_name", "-of", "csv=p=0", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_MAKE_LIMIT_S, check=False)
    found = re.findall(r"\w+", done.stdout)
    return coding in found and len(found) >= streams


@cache
def _size(coding: str) -> str | None:
    """The first size that a coding can have; None if there is no encoder."""
    nowhere = Candidate("null", "video", coding, "plain")
    for size in SIZES:
        if _ffmpeg(_coding({"video": coding}, "plain", size, _SAMPLE_SECONDS), nowhere, Path("-")):
            return size
    return None


def _other(kind: str) -> str:
    return "audio" if kind == "video" else "video"


def _coding(streams: dict[str, str], variety: str, size: str, seconds: float = SECONDS) -> list[str | Path]:
    """Arguments that make a film of one video or audio stream, or both."""
    arguments: list[str | Path] = []
    if "video" in streams:
        arguments += ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate={RATE}:duration={seconds}"]
    if "audio" in streams:
        late = ["-itsoffset", "0.8"] if variety == "late" else []
        seconds -= 0.8 if late else 0
        arguments += [*late, "-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={seconds}"]
    for kind, coding in streams.items():
        arguments += [f"-c:{kind[0]}", _ENCODERS.get(coding, coding), *_OPTIONS.get(coding, [])]
        if kind == "audio":
            arguments += ["-ac", "1"] if coding in ("g723_1", "gsm", "speex") else []
            continue
        arguments += ["-g", "10"]
        if coding in _REORDERING:
            arguments += ["-bf", "2" if variety == "bframes" else "0"]
        if variety == "interlaced":
            arguments += ["-flags", "+ilme+ildct", "-top", "1"]
    return arguments


def _ffmpeg(arguments: list[str | Path], candidate: Candidate, path: Path) -> bool:
    command = ["ffmpeg", "-nostdin", "-y", "-v", "quiet", "-threads", "1", *map(str, arguments), "-threads", "1"]
    command += ["-strict", "-2", "-f", candidate.container, str(path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_MAKE_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return False
    return not done.returncode and (not path.is_file() or path.stat().st_size > 0)
