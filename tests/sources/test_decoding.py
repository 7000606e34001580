"""Packets that are decoded, and those that give nothing."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path

import av
import pytest

from recordkit.demux import demux, open_media
from recordkit.sources.decoding import Decoding, lacks_display_times
from tests.media import make_clip


def decoded(path: Path, thread_type: str = "AUTO") -> list[av.VideoFrame | av.AudioFrame]:
    with open_media(path) as container:
        streams = list(container.streams.video)
        streams[0].codec_context.thread_type = thread_type
        decoding = Decoding(str(path), streams)
        frames = [frame for packet in demux(container, streams) for frame in decoding.frames(packet)]
        decoding.tell_losses()
    return frames


def last_packet_cut(clip: Path, into: Path) -> Path:
    """The same film with a last packet of which ten bytes are there."""
    with av.open(str(clip)) as container, av.open(str(into), "w") as output:
        stream = output.add_stream_from_template(container.streams.video[0])
        packets = [packet for packet in container.demux(video=0) if packet.size]
        for packet in packets[:-1]:
            packet.stream = stream
            output.mux(packet)
        cut = av.Packet(bytes(packets[-1])[:10])
        cut.stream, cut.time_base, cut.pts, cut.dts = (
            stream,
            packets[-1].time_base,
            packets[-1].pts,
            packets[-1].dts,
        )
        output.mux(cut)
    return into


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9", "mpeg2video"])
def test_a_film_that_is_whole_says_nothing(codec: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "recordkit")
    options = {"deadline": "realtime", "auto-alt-ref": "1", "lag-in-frames": "10"} if "vpx" in codec else {}
    clip = make_clip(tmp_path / "clip.mkv", video=codec, audio=[], seconds=1, options=options)
    assert len(decoded(clip)) == 30
    assert not caplog.records


@pytest.mark.parametrize("threads", ["AUTO", "SLICE"])
def test_a_packet_that_is_cut_off_is_told_by_each_way_of_decoding(
    threads: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Beside each other, decoders keep the error of the last packet for themselves.
    clip = last_packet_cut(
        make_clip(tmp_path / "clip.mkv", video="libvpx-vp9", audio=[], seconds=1, options={"deadline": "realtime"}),
        tmp_path / "cut.mkv",
    )
    frames = decoded(clip, threads)
    assert len(frames) == 29
    assert "1 of 30 packets gave no frame" in caplog.text or "1 packets could not be decoded" in caplog.text


@pytest.mark.parametrize("codec", ["gif", "mpeg2video"])
def test_what_an_edit_list_hides_is_not_shown(codec: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole, film = tmp_path / "whole.mov", tmp_path / "film.mov"
    source = ["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=1.6", "-c:v", codec, "-g", "10", whole]
    subprocess.run(["ffmpeg", "-v", "error", *source], check=True)
    subprocess.run(["ffmpeg", "-v", "error", "-ss", "0.72", "-i", whole, "-c", "copy", film], check=True)
    assert len(decoded(film)) == 22
    assert not caplog.records


def test_times_of_reordered_frames_rise(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.avi", video="mpeg4", audio=[], seconds=1, options={"bf": "2"})
    with av.open(str(clip)) as container:
        assert lacks_display_times(container.streams.video[0])
    times = [frame.pts for frame in decoded(clip) if frame.pts is not None]
    assert times == sorted(set(times))
    assert len(times) == 30
