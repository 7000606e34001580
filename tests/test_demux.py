"""Other people's containers: opened in spite of their tags, read on in spite of holes and new tables."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import av
import pytest

import recordkit as rk
from recordkit import demux as demuxing
from recordkit.demux import demux, open_media
from recordkit.demuxed import Arrivals
from recordkit.errors import SourceError
from recordkit.verification.decoding import _libav_errors
from tests.media import make_clip


class Packet(str):
    """What is taken for a packet, of stream 0."""

    size = 1
    stream_index = 0
    is_corrupt = False
    is_discard = False
    dts = None

    def has_sidedata(self, _: str) -> bool:
        return False


class Encrypted(Packet):
    """One that is noise without a key."""

    def has_sidedata(self, name: str) -> bool:
        return name == "encryption_info"


class Broken(Packet):
    """One that came cut off."""

    is_corrupt = True


class Scripted:
    """A container whose demuxing gives packets and raises errors in the order of ``script``."""

    name = "talk"
    read_timeout = 30.0
    start_time = 0
    options: dict[str, str] = {}  # noqa: RUF012 - nobody writes to it

    def __init__(self, *script: object) -> None:
        self._script = iter(script)

    def demux(self, *_: object) -> Iterator[object]:
        for step in self._script:
            if isinstance(step, Exception):
                raise step
            yield Packet(step) if type(step) is str else step


def packets(*script: object) -> Iterator[Any]:
    return demux(Scripted(*script), [object()])  # type: ignore[arg-type, list-item]


def test_try_again_is_no_end() -> None:
    again = av.error.BlockingIOError(11, "try again")
    assert list(packets("one", again, "two", again, again, "three")) == ["one", "two", "three"]


def test_a_source_of_which_nothing_can_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scripted, "read_timeout", -1.0)
    with pytest.raises(SourceError, match="nothing that could be read"):
        list(packets(av.error.BlockingIOError(11, "try again")))


def test_streams_that_appear_on_the_way_end_nothing_and_are_told(caplog: pytest.LogCaptureFixture) -> None:
    assert list(packets("one", IndexError("list index out of range"))) == ["one"]
    assert "appeared on the way" in caplog.text


def test_damaged_packets_are_told_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    assert list(packets("one", Broken("two"), Broken("three"))) == ["one", "two", "three"]
    assert [record.message for record in caplog.records] == [
        "talk: stream 0: a packet is cut off or damaged",
        "talk: stream 0: 2 packets were cut off or damaged",
    ]


def test_encrypted_packets_are_left_out_and_told(caplog: pytest.LogCaptureFixture) -> None:
    found = demux(Scripted("one", Encrypted("two"), Encrypted("three"), "four"), [object(), object()])  # type: ignore[arg-type, list-item]
    assert list(found) == ["one", "four"]
    assert [record.message for record in caplog.records] == [
        "talk: stream 0 is encrypted from here on, and left out"
    ]


def test_a_film_that_is_encrypted_is_refused_and_read_with_its_key(tmp_path: Path) -> None:
    clip, film, key = make_clip(tmp_path / "clip.mp4", seconds=0.5), tmp_path / "film.mp4", "0123456789abcdef" * 2
    scheme = ["-encryption_scheme", "cenc-aes-ctr", "-encryption_key", key, "-encryption_kid", key]
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, "-c", "copy", *scheme, film], check=True)
    with open_media(film) as container, pytest.raises(SourceError, match="is encrypted: give its key"):
        list(demux(container, container.streams.get()))
    with open_media(film, options={"decryption_key": key}) as container:
        assert len([one for one in demux(container, container.streams.video) if one.size]) == 15


def test_what_is_shown_in_order_is_shown_when_it_is_decoded(tmp_path: Path) -> None:
    film = tmp_path / "film.avi"
    made = ["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=1", "-c:v", "libx264", "-bf", "0", film]
    subprocess.run(["ffmpeg", "-v", "error", *made], check=True)
    with open_media(film) as container:
        found = [packet for packet in demux(container, container.streams.video) if packet.size]
    assert found[0].dts == 0
    assert all(packet.pts == packet.dts for packet in found)


@pytest.mark.parametrize("error", [av.error.InvalidDataError(1, "broken"), av.error.OSError(5, "disk")])
def test_a_file_that_cannot_be_read_on(error: Exception) -> None:
    found = packets("one", error)
    assert next(found) == "one"
    with pytest.raises(SourceError, match="talk: cannot be read on"):
        next(found)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_a_tag_in_another_charset_does_not_matter(suffix: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", video="mpeg4", audio=[], seconds=0.5)
    tagged = tmp_path / f"tagged.{suffix}"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", clip, "-c", "copy", "-metadata", "title=MXnchen", tagged], check=True
    )
    data = tagged.read_bytes()
    assert b"MXnchen" in data
    tagged.write_bytes(data.replace(b"MXnchen", b"M\xfcnchen"))
    with open_media(tagged) as container:
        assert len([one for one in demux(container, container.streams.video) if one.size]) == 15


def test_what_is_no_media_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.mp4: cannot be opened: No such file"):
        open_media(tmp_path / "none.mp4")


def raw_h264(count=20):
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt, context.time_base = 64, 48, "yuv420p", Fraction(1, 25)
    context.options = {"tune": "zerolatency", "x264-params": "annexb=1"}
    units = []
    for number in range(count):
        frame = av.VideoFrame(64, 48, "yuv420p")
        frame.pts = number
        units += [bytes(packet) for packet in context.encode(frame)]
    return units


def test_live_media_in_a_format_without_times_has_those_of_its_arrival(caplog):
    reading, writing = os.pipe()
    units = raw_h264()
    os.write(writing, units[0] + bytes(2000))
    began_s = time.time()
    opener = ThreadPoolExecutor(1)
    try:
        opening = opener.submit(
            open_media, f"pipe:{reading}", kind="h264", options={"probesize": "32", "fflags": "nobuffer"}
        )
        for unit in units[1:]:
            os.write(writing, unit)
        os.close(writing)
        with opening.result(30) as container:
            packets = [packet for packet in container.demux() if packet.size]
        # Of frames that are read at once the first has the time.
        times = [packet.dts * packet.time_base for packet in packets if packet.dts is not None]
    finally:
        opener.shutdown()
    assert times
    assert times == sorted(times)
    assert began_s - 1 <= times[0] <= times[-1] <= time.time() + 1
    assert "its frames have those of their arrival" in caplog.text


def jpegs(count: int = 12) -> bytes:
    """Frames as cameras send them over HTTP (multipart/x-mixed-replace)."""
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt, context.time_base = 64, 48, "yuvj420p", Fraction(1, 30)
    data = b""
    for number in range(count):
        frame = av.VideoFrame(64, 48, "yuvj420p")
        frame.pts = number
        for packet in context.encode(frame):
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {packet.size}\r\n\r\n"
            data += head.encode() + bytes(packet) + b"\r\n"
    return data


def test_frames_that_come_within_a_tick_of_their_format_have_times_of_their_own():
    reading, writing = os.pipe()
    os.write(writing, jpegs())
    os.close(writing)
    began_s = time.time()
    with open_media(f"pipe:{reading}", kind="mpjpeg") as container:
        assert container.streams.video[0].time_base == Fraction(1, 25)
        times = [one.pts * one.time_base for one in demux(container, container.streams.video) if one.size]
    assert len(times) == 12
    assert all(before < after for before, after in pairwise(times))
    assert began_s - 1 <= times[0] <= times[-1] <= time.time() + 1


def test_when_a_packet_came_is_told_as_finely_as_it_is_known():
    now_s = 1_700_000_000.0
    arrivals = Arrivals(Fraction(1, 25), wall=lambda: now_s)

    def told(came_s: float) -> float:
        """In ms behind the first second, of a packet that libavformat has stamped at ``came_s``."""
        packet = av.Packet(b"x")
        packet.dts, packet.duration, packet.time_base = int(came_s * 25), 1, Fraction(1, 25)
        arrivals.put(packet)
        assert packet.pts == packet.dts
        assert packet.duration * packet.time_base == Fraction(1, 25)
        return round((float(packet.dts * packet.time_base) - 1_700_000_000) * 1000, 3)

    now_s += 1.5
    waited = [told(1_700_000_000 + number / 30) for number in range(6)]
    assert waited == [0, 1, 40, 80, 120, 160], "read while the beginning was analysed: two came in the first tick"
    live = []
    for number in range(6):
        now_s = 1_700_000_002 + number / 30
        live.append(told(now_s))
    assert live == pytest.approx([2000 + number * 1000 / 30 for number in range(6)], abs=0.01)
    assert told(now_s) == live[-1] + 1, "no two at once"


def test_of_a_file_without_times_the_frame_rate_counts_and_is_told(tmp_path, caplog):
    (tmp_path / "raw.h264").write_bytes(b"".join(raw_h264()))
    with open_media(tmp_path / "raw.h264") as container:
        assert len([packet for packet in container.demux() if packet.size]) == 20
    assert "its frame rate counts" in caplog.text


# Files that claim more than can be held.


def claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says how large it is."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height", "is_refused"), [(8192, 4352, False), (8192, 4353, True), (16000, 16000, True)]
)
def test_a_frame_larger_than_any_level_has_is_refused(
    tmp_path: Path, width: int, height: int, is_refused: bool
) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(claiming(width, height))
    with open_media(path) as container:
        stream = container.streams.video[0]
        with _libav_errors() as logs:
            for packet in demux(container, [stream]):
                with suppress(av.FFmpegError):
                    assert packet.decode() == []
    assert any("exceeds specified max pixel count" in message for *_, message in logs) == is_refused


def test_decoders_of_our_own_making_are_bounded_too(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts")
    with rk.open(clip) as video:
        decoder = video._track.decoder()
    assert decoder.options["max_pixels"] == str(demuxing.MOST_PIXELS)
    assert 1 <= decoder.thread_count <= 4


def test_what_was_closed_meanwhile_is_no_more_read(tmp_path):
    path = make_clip(tmp_path / "clip.ts", seconds=1)
    container = open_media(path)
    packets = demux(container, container.streams.video)
    next(packets)
    container.close()
    with pytest.raises(SourceError, match="was closed while it was being read"):
        next(packets)
    with pytest.raises(SourceError, match="was closed"):
        next(demux(container, ()))


class Ranged(BaseHTTPRequestHandler):
    """Answers with parts of ``data``, and closes the connection if it is asked to, without a word of that."""

    protocol_version = "HTTP/1.1"
    data = b""
    has_ranges = True

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", "")) if self.has_ranges else None
        begin = 0 if asked is None else int(asked[1])
        self.send_response(200 if asked is None else 206)
        if asked is not None:
            self.send_header("Content-Range", f"bytes {begin}-{len(self.data) - 1}/{len(self.data)}")
        if self.has_ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(self.data) - begin))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(self.data[begin:])


@contextmanager
def served(film: Path, **how: object) -> Iterator[str]:
    handler = type("Handler", (Ranged,), {"data": film.read_bytes(), **how})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/{film.name}"
        server.shutdown()


def test_what_comes_over_http_is_whole(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mp4", seconds=3, options={"bf": "2", "b": "600k"})
    with served(film) as url, open_media(url) as container:
        packets = [packet for packet in demux(container, container.streams.video) if packet.size]
    assert len(packets) == 90


def test_a_film_that_its_server_cannot_give_in_parts_says_what_helps(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mp4", seconds=3, options={"b": "600k"})
    with served(film, has_ranges=False) as url, open_media(url, silence_s=0.3) as container:
        packets = demux(container, container.streams.video)
        with pytest.raises(SourceError, match=r"cannot be read on: .*HTTP 206\): download it first"):
            next(packets)
