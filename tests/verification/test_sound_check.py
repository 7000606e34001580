"""Verify and audio alone: what is in files of ours and of others, and what is wrong with broken ones."""

from __future__ import annotations

from pathlib import Path

import pytest

import recordkit as rk
from recordkit.model import Codec, StreamFormat
from recordkit.sound.wav import HEAD_BYTES, wav_head
from tests.media import make_clip

CODECS = {".wav": "pcm_s16le", ".mp3": "mp3", ".ogg": "opus", ".opus": "opus", ".m4a": "aac"}


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """One second of each kind, as an export makes it."""
    folder = tmp_path_factory.mktemp("sounds")
    film = make_clip(folder / "film.mp4", seconds=1)
    return {suffix: rk.export(film, folder / f"talk{suffix}").path.read_bytes() for suffix in CODECS}


@pytest.mark.parametrize("suffix", CODECS)
def test_ours_are_whole_and_named(suffix: str, sounds: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / f"talk{suffix}"
    path.write_bytes(sounds[suffix])
    found = rk.verify(path, decode=True)
    assert (found.problems, found.notes, found.bytes) == ((), (), len(sounds[suffix]))
    (stream,) = found.streams
    assert (stream.codec, stream.sample_rate, stream.channels) == (CODECS[suffix], 48_000, 2)
    assert found.duration_s == pytest.approx(1, abs=0.1)
    assert (stream.decoded or 0) / 48_000 == pytest.approx(1, abs=0.1)
    assert not stream.is_video


@pytest.mark.parametrize(("suffix", "coder"), [(".wav", "pcm_s16le"), (".mp3", "libmp3lame"), (".flac", "flac")])
def test_those_of_others_are_too(suffix: str, coder: str, tmp_path: Path) -> None:
    found = rk.verify(make_clip(tmp_path / f"clip{suffix}", video=None, audio=[coder], seconds=1), decode=True)
    assert found.problems == ()
    assert found.duration_s == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("suffix", "kind", "words"),
    [
        (".wav", "cut audio", "of samples were to come"),
        (".mp3", "malformed audio", "behind the last whole unit"),
        (".ogg", "malformed audio", "behind the last whole unit"),
    ],
)
def test_a_cut_is_told(suffix: str, kind: str, words: str, sounds: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(sounds[suffix][:-100])
    (problem,) = rk.verify(path).problems
    assert problem.kind == kind
    assert words in problem.detail


@pytest.mark.parametrize("footer", [b"", b"3DI\4\0\x10\0\0\1\x2c"])
def test_a_cut_is_told_behind_a_tag_as_well(footer: bytes, sounds: dict[str, bytes], tmp_path: Path) -> None:
    tag = b"ID3\4\0" + (b"\x10" if footer else b"\0") + b"\0\0\1\x2c" + bytes(172) + footer
    whole = tag + sounds[".mp3"]
    assert rk.verify(_written(tmp_path / "whole.mp3", whole)).ok
    (problem,) = rk.verify(_written(tmp_path / "cut.mp3", whole[:-100])).problems
    assert problem.kind == "malformed audio"
    # Frames of one bit rate: what is left of the last one.
    assert len(whole) - 400 < (problem.offset or 0) < len(whole) - 100


def test_flac_is_held_against_the_length_that_it_states(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.flac", video=None, audio=["flac"], seconds=1).read_bytes()
    (problem,) = rk.verify(_written(tmp_path / "cut.flac", whole[: len(whole) // 2])).problems
    assert problem.kind == "cut audio"
    assert problem.detail.endswith(" of 1.0 s are there")


def test_a_wav_is_read_up_to_its_samples_however_much_stands_before_them(
    sounds: dict[str, bytes], tmp_path: Path
) -> None:
    data = sounds[".wav"]
    whole = data[:12] + b"bext" + (9000).to_bytes(4, "little") + bytes(9000) + data[12:]
    assert rk.verify(_written(tmp_path / "whole.wav", whole)).ok
    (problem,) = rk.verify(_written(tmp_path / "cut.wav", whole[:-100])).problems
    assert problem.kind == "cut audio"


@pytest.mark.parametrize("size", [None, 0])
def test_what_grows_is_noted_as_unfinished(size: int | None, sounds: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "talk.recording.wav"
    unknown = wav_head(StreamFormat(Codec.PCM, sample_rate=48_000, channels=2), size)
    found = rk.verify(_written(path, unknown + sounds[".wav"][HEAD_BYTES:]))
    assert (found.ok, [one.kind for one in found.notes]) == (True, ["unfinished"])


def test_tags_behind_an_mp3_are_no_fault(sounds: dict[str, bytes], tmp_path: Path) -> None:
    assert rk.verify(_written(tmp_path / "tagged.mp3", sounds[".mp3"] + b"TAG" + bytes(125))).ok


@pytest.mark.parametrize(
    "data", [b"OggS" + bytes(60), b"fLaC" + bytes(200), b"RIFF" + bytes(100), b"ID3" + bytes(90)]
)
def test_a_mark_alone_makes_no_audio(data: bytes, tmp_path: Path) -> None:
    assert not rk.verify(_written(tmp_path / "junk.bin", data), decode=True).ok


def test_what_is_none_of_these_is_named(tmp_path: Path) -> None:
    (problem,) = rk.verify(make_clip(tmp_path / "clip.mkv", seconds=0.2)).problems
    assert problem.kind == "not a transport stream"
    assert "it is Matroska / WebM; recordkit record FILE OUTPUT makes a recording of it" in problem.detail


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
