"""Transport streams that say what is not so: all frames are there, and decoding begins where it can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import recordkit as rk
from recordkit.model import AccessUnit, Codec, StreamFormat
from recordkit.mpegts.packetiser import Packetiser
from recordkit.sources.marks import read_frame_number
from tests.media import make_clip, remuxed

COUNT, VIDEO_PID = 30, 0x100


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of FFmpeg's, in groups of ten frames; each frame says that decoding can begin there."""
    film = make_clip(tmp_path_factory.mktemp("misstated") / "film.mp4", seconds=1, options={"g": "10", "bf": "0"})
    flags = {"mpegts_flags": "+resend_headers", "omit_video_pes_length": "0", "mpegts_copyts": "1"}

    def says_so(packet: av.Packet[Any]) -> bool:
        packet.is_keyframe = True
        return True

    return remuxed(film, film.with_name("talk.ts"), says_so, flags)


def starts(data: bytes) -> list[int]:
    """Where packets lie with which PES packets of the video begin."""
    head = (0x4000 | VIDEO_PID).to_bytes(2)
    return [at for at in range(0, len(data), 188) if data[at + 1 : at + 3] == head]


def shown(path: Path) -> list[int | None]:
    with rk.open(path) as video:
        return [read_frame_number(frame.frame) for frame in video]


def test_decoding_begins_at_keyframes_although_every_frame_is_said_to_be_one(talk: Path, tmp_path: Path) -> None:
    data = talk.read_bytes()
    assert all(data[at + 5] & 0x40 for at in starts(data)), "random_access_indicator"
    with rk.open(talk) as video:
        assert video.frames.index[video.frames["keyframe"]].tolist() == [0, 10, 20]
        assert video.groups == [0, 10, 20]
        assert read_frame_number(video[17].frame) == 17
    clip = rk.export(talk, tmp_path / "clip.ts", start=0.5)
    assert clip.begins_s == pytest.approx(1 / 3, abs=0.03)
    assert shown(clip.path)[0] == 10
    (stream,) = [one for one in rk.verify(talk).streams if one.codec == "h264"]
    assert (stream.access_units, stream.keyframes) == (COUNT, 3)


@pytest.mark.parametrize("packet_bytes", [188, 192])
def test_what_begins_before_its_tables_has_its_first_frames(talk: Path, packet_bytes: int, tmp_path: Path) -> None:
    data, path = talk.read_bytes(), tmp_path / "cut.ts"
    cut = data[starts(data)[0] :]
    path.write_bytes(b"".join(bytes(packet_bytes - 188) + cut[at : at + 188] for at in range(0, len(cut), 188)))
    assert shown(path) == list(range(COUNT))
    with rk.open(path) as video, rk.open(talk) as whole:
        assert video.frames["pts"].tolist() == whole.frames["pts"].tolist()
        assert path.read_bytes()[video.frames["offset"].iloc[-1]] == 0x47
        assert np.abs(video.audio(0.1, 0.9)[0] - whole.audio(0.1, 0.9)[0]).max() < 1e-3


@pytest.mark.parametrize("taken", [1, 0x200])
def test_frames_that_are_longer_than_they_say_are_whole(talk: Path, taken: int, tmp_path: Path) -> None:
    data, path = bytearray(talk.read_bytes()), tmp_path / "long.ts"
    for at in starts(bytes(data)):
        begin = at + 5 + data[at + 4]
        length = int.from_bytes(data[begin + 4 : begin + 6])
        if length > taken:
            data[begin + 4 : begin + 6] = (length - taken).to_bytes(2)
    path.write_bytes(data)
    assert shown(path) == list(range(COUNT))
    with rk.open(path) as video, rk.open(talk) as whole:
        assert (video[29].image == whole[29].image).all()
    rk.export(path, tmp_path / "copy.mp4")
    assert shown(tmp_path / "copy.mp4") == list(range(COUNT))


@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
def test_frames_that_end_in_the_next_pes_packet_are_whole(talk: Path, suffix: str, tmp_path: Path) -> None:
    """The last bytes of each frame but the last stand before the next one."""
    streams = {0: StreamFormat(Codec.H264)}
    with rk.open(talk) as video:
        packets = [bytes(packet) for packet in video._track.packets(0)]
        pts = video.frames["pts"].tolist()
    packetiser, path = Packetiser(), tmp_path / "unaligned.ts"
    packetiser.declare(0, streams[0])
    memory = packetiser.lend(np.empty((4096, 188), np.uint8))
    rest = b""
    for number, data in enumerate(packets):
        keep = len(data) - (7 if number + 1 < len(packets) else 0)
        carried, rest = rest + data[:keep], data[keep:]
        # What stands in the place of its delimiter is laid as it is.
        at = pts[number]
        unit = AccessUnit(0, at, at, carried[6:], random_access=number % 10 == 0, header=carried[:6])
        packetiser.lay(unit, memory)
    path.write_bytes(memory.bytes[: memory.used_bytes])
    with rk.open(path) as video, rk.open(talk) as whole:
        assert len(video) == COUNT
        for one, other in zip(video, whole, strict=True):
            assert (one.image == other.image).all()
    rk.export(path, tmp_path / f"copy{suffix}")
    assert shown(tmp_path / f"copy{suffix}") == list(range(COUNT))
    assert rk.verify(tmp_path / f"copy{suffix}", decode=True).ok
