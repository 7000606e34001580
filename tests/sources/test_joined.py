"""Streams of radio servers, joined in the midst: where their first frame is, and what time it has."""

from __future__ import annotations

import threading
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import pytest

from recordkit.demux import demux
from recordkit.model import Codec
from recordkit.recorder.record import record
from recordkit.recorder.result import Recording
from recordkit.sources.joined import joined
from recordkit.sources.media_file import MediaFile
from recordkit.sources.reconnect import Reconnect
from recordkit.verification.verify import verify
from tests.media import make_clip
from tests.sources.test_returning import server

FALSE_HEADER = bytes.fromhex("fffa57ac0c8000")
"""Twelve bits set, as in the midst of a frame, and behind them a length of 100 bytes: where a false header claims
that of several frames FFmpeg 9 takes one of those apart."""


def heard(data: bytes, tmp_path: Path, name: str = "talk.ts") -> Recording:
    """What is recorded of a server that sends ``data`` and closes."""
    stop, how = threading.Event(), Reconnect("50ms", "50ms")
    with server(stop, data) as port:
        recording = record(MediaFile(f"tcp://127.0.0.1:{port}", reconnect=how), tmp_path / name, stop=stop)
    assert verify(tmp_path / name, decode=True).ok
    return recording


def test_aac_that_begins_with_a_false_header_is_passed_through(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.aac", video=None, seconds=4).read_bytes()
    recording = heard(FALSE_HEADER + clip[500:], tmp_path)
    assert next(iter(recording.streams.values())).codec is Codec.AAC
    with av.open(str(tmp_path / "clip.aac")) as sent, av.open(str(tmp_path / "talk.ts")) as kept:
        last = [bytes(one) for one in kept.demux() if one.size][-50:]
        assert last == [bytes(one) for one in sent.demux() if one.size][-50:]


def pages(data: bytes) -> list[bytes]:
    """The pages of an Ogg stream (RFC 3533, 6)."""
    return [b"OggS" + one for one in data.split(b"OggS")[1:]]


def test_flac_that_is_joined_in_the_midst_has_the_time_of_its_frames_from_the_first_on(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ogg", video=None, audio=["flac"], seconds=8, sample_rate=44_100)
    whole = pages(clip.read_bytes())
    with av.open(BytesIO(b"".join(whole[:2] + whole[-4:]))) as container:
        began = next(container.demux()).pts
        container.seek(0)
        times = [one.pts for one in joined(demux(container, container.streams), "ogg", "radio") if one.size]
    assert began == 0  # says libavformat
    assert times == [number * 4608 for number in range(40, 40 + len(times))]


def test_songs_of_flac_at_other_rates_last_as_long_as_they_do(tmp_path: Path) -> None:
    first = make_clip(tmp_path / "a.ogg", video=None, audio=["flac"], seconds=2, sample_rate=44_100).read_bytes()
    second = make_clip(tmp_path / "b.ogg", video=None, audio=["flac"], seconds=2, sample_rate=48_000).read_bytes()
    recording = heard(first + second, tmp_path)
    assert recording.duration_s == pytest.approx(4, abs=0.1)
    assert recording.counters.restarts == 0


def test_a_frame_of_flac_that_claims_to_be_older_than_any_stream_has_no_time() -> None:
    with av.open(BytesIO(), "w", format="ogg") as container:
        packet = av.Packet(bytes.fromhex("fff8fd08febfbfbfbfbfbf0001") + bytes(20))
        packet.stream, packet.time_base = container.add_stream("flac", rate=48_000), Fraction(1, 48_000)
        assert [one.pts for one in joined(iter([packet]), "ogg", "radio")] == [None]
