"""Frames that a break has torn: what is left of them is left out, all others are as they came."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from recordkit.errors import SourceError
from recordkit.recorder.record import record
from recordkit.settings import VideoSettings
from recordkit.sources.source import SourceItem
from recordkit.sources.synthetic import Synthetic
from recordkit.sources.torn import without_torn
from tests.media import make_clip

HEADERS = b"\0\0\0\1\x09\xf0\0\0\1\x06\x05\x01\x00\x80"
"""An access unit delimiter, and an SEI message."""


@pytest.fixture
def items(tmp_path: Path) -> Iterator[list[SourceItem]]:
    path = tmp_path / "clip.ts"
    record(Synthetic(160, 90, seconds=0.5, realtime=False), path, video=VideoSettings(preset="ultrafast"))
    with av.open(str(path)) as container:
        yield [SourceItem(packet, 0) for packet in container.demux() if packet.size]


def torn(items: list[SourceItem]) -> SourceItem:
    """The last video packet, cut behind its headers."""
    last = next(item.media for item in reversed(items) if item.media.stream.type == "video")  # type: ignore[union-attr]
    packet = av.Packet(HEADERS)
    packet.stream, packet.pts, packet.dts = last.stream, last.pts, last.dts  # type: ignore[union-attr]
    return SourceItem(packet, 0)


def broken(items: list[SourceItem]) -> Iterator[SourceItem]:
    yield from items
    raise SourceError("camera", "the connection was closed")


def test_headers_without_their_picture_are_left_out_where_it_breaks(items: list[SourceItem]) -> None:
    audio = [item for item in items if item.media.stream.type == "audio"][-2:]  # type: ignore[union-attr]
    given: list[SourceItem] = []
    with pytest.raises(SourceError):
        given.extend(without_torn(broken([*items, torn(items), *audio])))
    assert given == [*items, *audio]


def test_they_stay_where_more_comes(items: list[SourceItem]) -> None:
    cut = torn(items)
    assert list(without_torn(iter([cut, *items]))) == [cut, *items]


@pytest.mark.parametrize("coder", ["libmp3lame", "mp2", "ac3", "aac"])
def test_audio_that_is_cut_off_is_left_out_where_it_breaks(coder: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", video=None, audio=[coder], seconds=0.5)
    with av.open(str(clip)) as container:
        whole = [SourceItem(packet, 0) for packet in container.demux() if packet.size]
        last = whole[-1].media
        cut = av.Packet(bytes(last)[:-1])  # type: ignore[arg-type]
        cut.stream, cut.pts, cut.dts = last.stream, last.pts, last.dts  # type: ignore[union-attr]
        assert list(without_torn(iter([*whole[:-1], SourceItem(cut, 0)]))) == whole[:-1]
        assert list(without_torn(iter([SourceItem(cut, 0), *whole]))) == [SourceItem(cut, 0), *whole]
        assert list(without_torn(iter(whole))) == whole
