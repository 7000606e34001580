"""What ends by itself, and what comes back."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest

from recordkit.sources.lasting import comes_back, is_finished, longest_silence_s, waits_for_its_sender
from recordkit.sources.media_file import MediaFile

LIVE, LENGTH = 0, 1_000_000


def container(name: str, *, size: int = LIVE, duration: int | None = None, flags: int = 0) -> Any:
    return SimpleNamespace(format=SimpleNamespace(name=name, flags=flags), size=size, duration=duration)


@pytest.mark.parametrize(
    ("url", "opened", "returns"),
    [
        ("rtsp://cam/1", container("rtsp", flags=1), True),
        ("rtsp://server/film", container("rtsp", flags=1, duration=90_000_000), False),
        ("http://radio/live", container("mp3"), True),
        ("http://server/film.ts", container("mpegts", size=LENGTH), False),
        ("http://server/live.m3u8", container("hls", size=400), True),
        ("http://server/film.m3u8", container("hls", size=400, duration=90_000_000), False),
        ("udp://127.0.0.1:1", container("mpegts"), True),
        ("rtmp://server/live", container("flv"), True),
        ("http://server/live.flv", container("flv", duration=0), True),
        ("http://server/live.avi", container("avi", duration=25_769_803_776_000), True),
        ("/dev/video0", container("video4linux2,v4l2", flags=1), True),
        ("testsrc", container("lavfi", flags=1), False),
        ("film.ts", container("mpegts", size=LENGTH), False),
        ("pipe:0", container("mpegts"), False),
        ("/run/fifo", container("mpegts"), False),
    ],
)
def test_what_has_no_end_of_its_own_comes_back(url: str, opened: Any, returns: bool) -> None:
    assert comes_back(opened, url) is returns


class Wire:
    """What has no length, and no way back."""

    def __init__(self, data: bytes = b"") -> None:
        self._data = io.BytesIO(data)
        self.read, self.write, self.sent = self._data.read, self._data.write, self._data.getvalue


@pytest.mark.parametrize(
    ("name", "coding", "options", "returns"),
    [
        ("mp4", "libx264", {"movflags": "empty_moov+default_base_moof+frag_keyframe"}, True),
        ("mp4", "libx264", {"movflags": "empty_moov+delay_moov+frag_every_frame"}, True),
        ("flv", "libx264", {}, True),
        ("avi", "mpeg4", {}, True),
        ("ivf", "libvpx", {}, True),
        ("matroska", "libx264", {}, True),
        ("mp4", "libx264", None, False),
    ],
)
def test_who_sends_as_it_is_made_does_not_know_its_end(
    name: str, coding: str, options: dict[str, str] | None, returns: bool
) -> None:
    """The last one is a whole film, which a server gives without its length."""
    made = Wire() if options is not None else io.BytesIO()
    with av.open(made, "w", format=name, options=options or {}) as file:
        stream = file.add_stream(coding, rate=30)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", 10
        for number in range(30):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts = number
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    with av.open(Wire(made.sent() if isinstance(made, Wire) else made.getvalue())) as opened:
        assert comes_back(opened, f"http://server/live.{name}") is returns


@pytest.mark.parametrize(
    ("url", "options", "waits"),
    [
        ("udp://127.0.0.1:1", {}, True),
        ("tcp://127.0.0.1:1?listen=1", {}, True),
        ("tcp://127.0.0.1:1?listen=0", {}, False),
        ("srt://127.0.0.1:1?mode=listener", {}, True),
        ("http://127.0.0.1:1/x", {"listen": 1}, True),
        ("rtsp://127.0.0.1:1/x", {"rtsp_flags": "listen"}, True),
        ("rtsp://127.0.0.1:1/x", {}, False),
    ],
)
def test_who_is_called_need_not_wait(url: str, options: dict[str, str | float], waits: bool) -> None:
    assert waits_for_its_sender(MediaFile(url, options=options)) is waits


def test_a_playlist_may_be_silent_for_three_of_its_segments_and_says_when_it_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "live.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n")
    live, file = container("hls"), MediaFile(path)
    assert longest_silence_s(live, file, 5.0) == 12
    assert longest_silence_s(live, file, 15.0) == 15
    assert longest_silence_s(container("rtsp"), file, 5.0) == 5
    assert not is_finished(live, file)
    path.write_text(path.read_text() + "#EXT-X-ENDLIST\n")
    assert is_finished(live, file)
    assert not is_finished(container("rtsp"), file)
