"""Encrypted files: refused or left out in words, never recorded as if they were clear."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from recordkit.demuxed import DemuxedPacket
from recordkit.errors import SourceError
from recordkit.recorder.record import record
from recordkit.recorder.recorder import Recorder
from recordkit.sources.encrypted import is_locked_playlist, is_scrambled_on_air, peeked, scrambled_pids
from recordkit.sources.media_file import MediaFile
from recordkit.sources.opened import told_if_scrambled
from recordkit.verification.verify import verify
from tests.media import make_clip

KEY = "76a6c65c5ea762046bd749a2e632ccbb"
VIDEO, AUDIO = 0x100, 0x101


@pytest.fixture(scope="module")
def clear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clear") / "clear.ts", seconds=1)


@pytest.fixture(scope="module")
def locked(clear: Path) -> Path:
    path = clear.with_name("locked.mp4")
    command = ["ffmpeg", "-v", "error", "-i", str(clear), "-c", "copy", "-encryption_scheme", "cenc-aes-ctr"]
    subprocess.run([*command, "-encryption_key", KEY, "-encryption_kid", KEY[::-1], str(path)], check=True)
    return path


def scrambled(clear: Path, path: Path, pids: set[int], *, with_payload: bool = True, in_pes: bool = False) -> Path:
    """``clear`` with the packets of ``pids`` marked as scrambled, and scrambled: with, or behind, PES headers."""
    data = bytearray(clear.read_bytes())
    for at in range(0, len(data), 188):
        begin = at + (5 + data[at + 4] if data[at + 3] & 0x20 else 4)
        if int.from_bytes(data[at + 1 : at + 3]) & 0x1FFF not in pids or not data[at + 3] & 0x10:
            continue
        if in_pes:
            if data[at + 1] & 0x40:
                data[begin + 6] |= 0x20
                begin += 9 + data[begin + 8]
        else:
            data[at + 3] |= 0x80
        if with_payload:
            data[begin : at + 188] = bytes(byte ^ 0x5A for byte in data[begin : at + 188])
    path.write_bytes(data)
    return path


def test_an_mp4_without_its_key_is_refused_and_nothing_is_written(locked: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is encrypted: the option decryption_key"):
        record(MediaFile(url=str(locked)), tmp_path / "out.ts")
    assert list(tmp_path.iterdir()) == []


def test_an_mp4_with_its_key_is_recorded(locked: Path, tmp_path: Path) -> None:
    record(MediaFile(url=str(locked), options={"decryption_key": KEY}), tmp_path / "out.ts")
    assert verify(tmp_path / "out.ts", decode=True).ok


@pytest.mark.parametrize("in_pes", [False, True], ids=["whole packets", "behind PES headers"])
def test_a_scrambled_transport_stream_is_refused(clear: Path, in_pes: bool, tmp_path: Path) -> None:
    path = scrambled(clear, tmp_path / "locked.ts", {VIDEO, AUDIO}, in_pes=in_pes)
    assert scrambled_pids(path) == {VIDEO, AUDIO}
    with pytest.raises(SourceError, match=r"is encrypted|neither video nor audio"):
        record(MediaFile(url=str(path), format="mpegts"), tmp_path / "out.ts")
    assert not (tmp_path / "out.ts").exists()


def test_what_is_clear_beside_it_is_recorded_and_the_rest_is_told(
    clear: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = scrambled(clear, tmp_path / "half.ts", {AUDIO}, in_pes=True)
    recording = record(MediaFile(url=str(path)), tmp_path / "out.ts")
    assert list(recording.streams) == [0]
    assert recording.counters.video_units == 30
    assert "is left out: it is encrypted" in caplog.text
    assert "degraded" in list(recording.events["kind"])


def test_packets_that_only_say_so_are_clear(clear: Path, tmp_path: Path) -> None:
    path = scrambled(clear, tmp_path / "said.ts", {VIDEO, AUDIO}, with_payload=False)
    assert scrambled_pids(path) == set()
    assert scrambled_pids(tmp_path / "none.ts") == set()
    assert scrambled_pids(clear) == set()


def test_a_scrambled_connection_is_told_by_what_comes_over_it(clear: Path, tmp_path: Path) -> None:
    path = scrambled(clear, tmp_path / "locked.ts", {VIDEO, AUDIO})
    assert is_scrambled_on_air(f"file:{path}", {})
    assert not is_scrambled_on_air(f"file:{clear}", {})
    assert not is_scrambled_on_air(f"file:{tmp_path / 'none.ts'}", {})


def test_a_live_source_of_which_nothing_can_be_read_says_that_it_is_scrambled(
    clear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = scrambled(clear, tmp_path / "locked.ts", {VIDEO, AUDIO}, in_pes=True)
    source = MediaFile(url=str(path))

    def reading() -> Iterator[DemuxedPacket]:
        yield from ()
        raise SourceError(str(path), "nothing came for 30 s")

    with av.open(str(clear)) as container, pytest.raises(SourceError, match="is scrambled"):
        list(told_if_scrambled(source, container, reading()))


def test_an_encrypted_packet_is_refused_by_the_recorder(locked: Path, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "out.ts", audio=None)
    recorder.start()
    with av.open(str(locked)) as container:
        for packet in list(container.demux(video=0))[:10]:
            recorder.write_packet(packet)
        recording = recorder.stop()
    assert recording.counters.rejected_items == 10
    assert recording.path is None


def test_a_fault_behind_the_first_packets_comes_after_them(clear: Path) -> None:
    found: list[DemuxedPacket] = []
    with av.open(str(clear)) as container:
        good = [next(container.demux(video=0))]

        def reading() -> Iterator[DemuxedPacket]:
            yield from good
            raise SourceError("clip.ts", "cannot be read on")

        def read_all(packets: Iterator[DemuxedPacket]) -> None:
            for packet in packets:
                found.append(packet)

        first, again = peeked(reading(), container.streams.get())
        assert first == good
        with pytest.raises(SourceError, match="read on"):
            read_all(again)
    assert found == good


@pytest.fixture(scope="module")
def locked_list(clear: Path) -> Path:
    """A playlist whose segments are encrypted, with a key under a name that libavformat does not open."""
    path = clear.with_name("list.m3u8")
    key, words = clear.with_name("key"), clear.with_name("words")
    key.write_bytes(bytes.fromhex(KEY))
    words.write_text(f"key\n{key}\n")
    command = ["ffmpeg", "-v", "error", "-i", str(clear), "-c", "copy", "-hls_time", "0.5", "-hls_list_size", "0"]
    subprocess.run([*command, "-hls_key_info_file", str(words), str(path)], check=True)
    return path


def test_a_playlist_whose_key_cannot_be_read_is_told_as_encrypted(locked_list: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"is encrypted, and its key cannot be read.*allowed_extensions"):
        record(MediaFile(url=str(locked_list)), tmp_path / "out.ts")
    assert list(tmp_path.iterdir()) == []


def test_a_playlist_whose_key_can_be_read_is_recorded(locked_list: Path, clear: Path, tmp_path: Path) -> None:
    record(MediaFile(url=str(locked_list), options={"allowed_extensions": "ALL"}), tmp_path / "out.ts")
    units = [(one.codec, one.access_units) for one in verify(tmp_path / "out.ts").streams]
    assert units == [(one.codec, one.access_units) for one in verify(clear).streams]


@pytest.mark.parametrize(
    "text", ["#EXTM3U\n#EXT-X-KEY:METHOD=NONE\n", "#EXT-X-KEY:METHOD=AES-128\n", "#EXTM3U\n", None]
)
def test_what_names_no_key_is_not_locked(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "list.m3u8"
    if text is not None:
        path.write_text(text)
    assert not is_locked_playlist(path)
