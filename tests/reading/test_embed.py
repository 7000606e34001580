"""``Recording.embed``: a clip in the page that plays, in no more bytes than are allowed, and says what it is."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import av
import pytest

import recordkit as rk
from tests.media import make_clip


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> rk.Recording:
    """Six seconds with a mark and a name that is HTML."""
    path = tmp_path_factory.mktemp("talk") / "<i>talk.ts"
    with rk.Recorder(path, sample_interval=0) as recorder:
        for number, frame in enumerate(rk.Synthetic(width=160, height=120, fps=30, seconds=6).frames()):
            recorder.write(frame)
            if number == 300:
                recorder.mark("here")
    return recorder.stop()


def movie(embedded: rk.Embedded) -> bytes:
    """The MP4 that stands in the page."""
    (found,) = re.findall(r'src="data:(?:video|audio)/mp4;base64,([^"]+)"', embedded.html)
    data = base64.b64decode(found)
    assert len(data) == embedded.bytes
    return data


def length_s(data: bytes) -> float:
    """How long it is shown; every frame is decoded."""
    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(container.streams.best("video") or container.streams.audio[0]))
        return float(frames[-1].time - frames[0].time)


def test_a_recording_that_fits_is_there_as_a_whole(talk: rk.Recording) -> None:
    embedded = talk.embed()
    assert (embedded.is_cut, embedded.begins_s) == (False, 0)
    assert embedded.ends_s == pytest.approx(talk.duration_s, abs=0.05)
    assert length_s(movie(embedded)) == pytest.approx(6 - 1 / 30, abs=0.01)
    assert embedded._repr_html_() == embedded.html
    assert "<video controls" in embedded.html
    assert "&lt;i&gt;talk.ts, all 6.0 s" in embedded.html
    assert "<i>" not in embedded.html


@pytest.mark.parametrize(("limit", "start"), [("50k", None), (50_000, 2.5), (80_000, "here")])
def test_of_a_longer_one_there_is_what_fits_and_words_that_say_so(
    talk: rk.Recording, limit: int | str, start: float | str | None
) -> None:
    embedded = talk.embed(max_bytes=limit, start=start)
    most = 50_000 if limit == "50k" else int(limit)
    assert embedded.is_cut
    assert len(embedded.html) <= most
    assert most / 2 < len(embedded.html)
    assert f"what fits into {most / 1000:.1f} kB, the recording goes on" in embedded.words
    begin = float(talk.marks["media_s"][0]) if start == "here" else start or 0
    assert embedded.begins_s == pytest.approx(begin, abs=0.04)
    assert length_s(movie(embedded)) == pytest.approx(embedded.ends_s - embedded.begins_s, abs=0.2)


def test_a_part_of_it_is_not_called_cut(talk: rk.Recording) -> None:
    embedded = talk.embed(start=1.5, end=3)
    assert not embedded.is_cut
    assert repr(embedded) == "<Embedded <i>talk.ts, from 1.5 s to 3.0 s>"
    assert (embedded.begins_s, embedded.ends_s) == (pytest.approx(1.5, abs=0.04), pytest.approx(3, abs=0.04))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_bytes": 10_000}, "the first frames of <i>talk.ts do not fit: give more"),
        ({"max_bytes": 0}, "give 10,000 to"),
        ({"start": 7}, r"<i>talk.ts ends at 6\.\d+ s"),
        ({"end": 9}, r"<i>talk.ts ends at 6\.\d+ s"),
        ({"start": 3, "end": 2}, "give a time behind the start"),
        ({"start": "nowhere"}, "has no such mark: there are 'here'"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_words(
    talk: rk.Recording, given: dict[str, float | str], message: str
) -> None:
    with pytest.raises(rk.SettingsError, match=message):
        talk.embed(**given)  # type: ignore[arg-type]


def test_what_no_browser_plays_is_refused_and_the_way_out_is_named(talk: rk.Recording, tmp_path: Path) -> None:
    foreign = make_clip(tmp_path / "foreign.mp4", video=None, audio=["ac3"], seconds=1)
    with pytest.raises(rk.MediaError, match=r"has ac3, which not every browser plays: .*transcode_audio=True"):
        replace(talk, path=foreign).embed()
    web = make_clip(tmp_path / "web.webm", video="libvpx", audio=["libopus"], seconds=1)
    with pytest.raises(rk.SourceError, match="MPEG-TS and MP4 can be exported"):
        replace(talk, path=web).embed()
    with pytest.raises(rk.SourceError, match=r"gone\.ts"):
        replace(talk, path=tmp_path / "gone.ts").embed()
    with pytest.raises(rk.SourceError, match="no media came"):
        replace(talk, path=None).embed()


def test_audio_alone_has_a_player_of_its_own(talk: rk.Recording, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "talk.m4a", video=None, seconds=1)
    embedded = replace(talk, path=path).embed()
    assert "<audio controls" in embedded.html
    assert length_s(movie(embedded)) == pytest.approx(1, abs=0.1)
