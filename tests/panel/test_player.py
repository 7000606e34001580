"""The player's side in the kernel: what pages ask for, and what code does with it."""

import os
import shutil
import signal
from types import SimpleNamespace

import fsspec
import numpy as np
import pandas as pd
import pytest

import recordkit as rk
from recordkit.errors import SettingsError, SourceError
from recordkit.panel.kept import cards
from recordkit.playback.film import MOST_READERS
from recordkit.sources.marks import read_frame_number
from tests.media import make_clip

FRAMES = 90


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("player") / "talk.ts"
    with rk.Recorder(path) as recorder:
        for frame in rk.Synthetic(width=160, height=90, realtime=False, seconds=FRAMES / 30).frames():
            recorder.write(frame)
        recorder.flush()  # a mark stands at what has been recorded by then
        recorder.mark("the end")
    return recorder.stop()


@pytest.fixture
def made():
    """Makes players; what they say to their pages is in ``.said``."""
    players = []

    def make(source, **options):
        player = rk.Player(source, **options)
        player.said = []
        player.send = lambda content, buffers=None: player.said.append((content, buffers or []))
        players.append(player)
        return player

    yield make
    for one in players:
        one.close()


def ask(player, what, view="v", **more):
    player._from_page(player, {"ask": what, "id": 1, "view": view, **more}, [])
    content, buffers = player.said.pop()
    assert (content["answer"], content["view"]) == (1, view)
    return content, buffers


def test_a_page_is_told_what_there_is_and_gets_what_it_asks_for(recording, made):
    player = made(recording)
    status, _ = ask(player, "open")
    assert (status["count"], status["width"], status["height"], status["growing"]) == (FRAMES, 160, 90, False)
    assert status["video"].startswith("avc1.")
    assert (status["audio"], status["refusal"], status["words"]) == ("mp4a.40.2", "", "")
    content, (data, numbers, times, captured, keys) = ask(player, "media", number=70, audio=True, bytes=1 << 20)
    assert (content["first"], content["next"], content["fresh"], content["over"]) == (60, FRAMES, True, True)
    assert content["goal"] == {"number": 70, "media_s": pytest.approx(70 / 30, abs=0.03), "isEnd": False}
    assert b"moof" in data
    assert np.frombuffer(numbers, "i4").tolist() == list(range(60, 90))
    assert len(times) == len(captured) == 8 * 30
    assert keys[0] == 1
    # By time, and the newest one.
    content, _ = ask(player, "media", media_s=1.0, audio=True, bytes=0)
    assert content["goal"]["number"] in (29, 30)
    content, _ = ask(player, "media", number=-1, audio=True, bytes=0)
    assert content["goal"] == {"number": 89, "media_s": pytest.approx(89 / 30, abs=0.03), "isEnd": True}
    assert not player.said


def test_images(recording, made):
    player = made(recording)
    content, (data,) = ask(player, "image", number=10, width=80)
    assert (content["number"], data[:2]) == (10, b"\xff\xd8")
    content, (data,) = ask(player, "image", number=10, kind="png")
    assert data[1:4] == b"PNG"
    content, _ = ask(player, "image", number=-1)
    assert content["number"] == FRAMES - 1


def test_views_do_not_disturb_each_other_and_are_let_go_of(recording, made):
    player = made(recording)
    ask(player, "media", view="one", number=0, bytes=0)
    other, _ = ask(player, "media", view="two", number=60, bytes=1 << 20)
    following, (_, numbers, *_) = ask(player, "media", view="one", unit=other["first"] and 60, bytes=1 << 20)
    assert np.frombuffer(numbers, "i4")[0] == 60
    for number in range(3 * MOST_READERS):
        ask(player, "media", view=str(number), number=0, bytes=0)
    assert len(player._films[0]._readers) == MOST_READERS
    player._from_page(player, {"tell": "gone", "view": str(3 * MOST_READERS - 1)}, [])
    assert len(player._films[0]._readers) == MOST_READERS - 1
    assert following["over"]


def test_what_is_shown_can_be_observed_and_set(recording, made):
    player = made(recording)
    seen = []
    player.observe(lambda change: seen.append(change["new"]), "number")
    player._from_page(player, {"tell": "at", "number": 45, "media_s": 1.5}, [])
    assert (player.number, player.media_s, seen) == (45, 1.5, [45])
    assert not player.said  # the page knows
    along = {"ask": "look", "id": 1, "view": "1", "at": {"number": 46, "media_s": 1.533}}
    player._from_page(player, along, [])
    assert (player.number, player.media_s, player.said.pop()[0]["answer"]) == (46, 1.533, 1)
    player.at(2.0)
    assert player.said.pop()[0] == {"do": "go", "number": player.number, "media_s": player.media_s}
    assert player.media_s == pytest.approx(2.0, abs=0.04)
    player.at("the end")
    assert player.number == FRAMES - 1
    player.number = 12
    assert seen[-1] == 12
    player.play()
    player.pause()
    assert [content["do"] for content, _ in player.said] == ["go", "go", "play", "pause"]
    with pytest.raises(IndexError, match="no frame 500"):
        player.number = 500
    with pytest.raises(IndexError, match="it ends at"):
        player.at(99)
    with pytest.raises(KeyError, match="no mark 'lunch': there are 'the end'"):
        player.at("lunch")


def test_marks_are_those_of_the_log_and_those_made_here(recording, made):
    player = made(recording)
    assert [one["name"] for one in player.marks_shown] == ["the end"]
    player._from_page(player, {"tell": "at", "number": 30, "media_s": 1.0}, [])
    ask(player, "mark", name="a thought")
    assert [one["name"] for one in player.marks_shown] == ["a thought", "the end"]
    marks = player.marks
    assert marks["name"].tolist() == ["a thought", "the end"]
    assert marks["number"].tolist()[1] == FRAMES - 1
    assert str(marks["time"].dt.tz) == "UTC"
    assert isinstance(marks["time"].iloc[0], pd.Timestamp)


def test_it_is_made_of_whatever_has_frames(recording, made, tmp_path):
    with rk.open(recording) as video:
        assert made(video).titles == ["talk.ts"]
    assert made(str(recording.path)).titles == ["talk.ts"]
    assert recording.play().titles == ["talk.ts"]
    both = made([recording, recording.path])
    assert (both.titles, both.shifts) == (["talk.ts", "talk.ts"], [0.0, 0.0])


def test_a_clip_is_made_beside_the_recording(made, recording, tmp_path):
    copy = tmp_path / "talk.ts"
    shutil.copy(recording.path, copy)
    player = made(copy)
    told, _ = ask(player, "clip", start=0.5, end=1.5)
    assert told["path"].endswith("talk-clip-1.mp4")
    # From the frame that is shown at its beginning to the one that is shown at its end.
    with rk.open(copy) as whole, rk.open(tmp_path / "talk-clip-1.mp4") as clip:
        first, last = whole.showing(0.5), whole.showing(1.5)
        assert [read_frame_number(clip[number].frame) for number in (0, -1)] == [first, last]
        assert told["length"] == pytest.approx(whole.time_of(last + 1) - whole.time_of(first), abs=0.03)
    last_s = player._films[0].video.time_of(FRAMES - 1)
    ask(player, "clip", start=last_s - 0.2, end=last_s)
    with rk.open(tmp_path / "talk-clip-2.mp4") as clip:
        assert read_frame_number(clip[-1].frame) == FRAMES - 1
    assert ask(player, "clip", start=0.5, end=1.5)[0]["path"].endswith("talk-clip-3.mp4")
    assert rk.verify(tmp_path / "talk-clip-1.mp4").ok
    assert "behind the start" in ask(player, "clip", start=1.5, end=0.5)[0]["fault"]


def test_a_recording_at_a_url_has_a_name_and_is_not_deleted(made, recording):
    files = fsspec.filesystem("memory")
    files.pipe_file("/there/talk.ts", recording.path.read_bytes())
    try:
        player = made("memory://there/talk.ts")
        status, _ = ask(player, "open")
        assert (player.titles, status["count"], status["words"]) == (["talk.ts"], FRAMES, "")
        # Clips are made beside a file that is here.
        assert (player.tools, made(recording).tools) == (["mark"], ["mark", "clip"])
        card = cards(player._films)
        assert "90 frames" in card
        assert ">size<" not in card
    finally:
        files.rm("/there", recursive=True)


def test_what_no_page_can_play_is_shown_as_images(made, tmp_path):
    player = made(make_clip(tmp_path / "old.avi", video="mpeg4", seconds=1))
    status, _ = ask(player, "open")
    assert (status["video"], status["refusal"]) == ("", "the video is in mpeg4, which is not carried to pages")
    assert ask(player, "image", number=3)[1][0][:2] == b"\xff\xd8"
    assert "mpeg4" in ask(player, "media", number=0)[0]["fault"]


def test_bad_input_is_told_in_words(recording, made, tmp_path):
    with pytest.raises(SourceError, match="cannot be opened"):
        rk.Player(tmp_path / "nothing.ts")
    with pytest.raises(SettingsError, match='choose "full"'):
        rk.Player(recording, mode="large")
    with pytest.raises(SettingsError, match="give a recording"):
        rk.Player([])
    copy = tmp_path / "talk.ts"
    shutil.copy(recording.path, copy)
    player = made(copy)
    assert "which no player knows" in ask(player, "dance")[0]["fault"]
    # What is wrong with a question is the page's to know, not the kernel's.
    assert "ValueError" in ask(player, "media", number="x")[0]["fault"]
    # Deleted while it is watched: what is open plays on, and the page is told.
    copy.unlink()
    content, _ = ask(player, "media", number=0, bytes=0)
    assert "deleted meanwhile" in content["words"]
    assert content["next"] > 0


def test_a_recording_that_grows_is_followed_to_its_end(made, tmp_path):
    path = tmp_path / "live.ts"
    source = rk.Synthetic(width=160, height=90, realtime=False, seconds=2).frames()
    with rk.Recorder(path, flush_interval=60) as recorder:
        for _, frame in zip(range(100), source, strict=False):
            recorder.write(frame)
        recorder.flush()
        player = made(path)
        assert player.titles == ["live.ts"]
        status, _ = ask(player, "open")
        assert status["growing"]
        content, _ = ask(player, "media", number=-1, bytes=1 << 20)
        assert (content["over"], content["growing"]) == (False, True)
        for frame in source:
            recorder.write(frame)
        recorder.mark("late")
    content, (data, *_) = ask(player, "media", unit=content["next"], bytes=1 << 20)
    assert data
    content, _ = ask(player, "media", unit=content["next"], bytes=1 << 20)
    assert (content["over"], content["growing"], content["count"]) == (True, False, 60)
    assert ask(player, "look")[0]["words"] == ""
    assert player.marks["name"].tolist() == ["late"]


def test_what_a_saved_notebook_keeps_is_a_card_with_frames_and_no_script(recording, made, monkeypatch):
    shown = []
    monkeypatch.setattr("recordkit.panel.kept.display", lambda *what, **how: shown.append((what, how)))
    player = made(recording)
    player._ipython_display_()
    (card,), _ = shown[0]
    assert f'data-recordkit="{player.kept}"' in card.data
    assert card.data.count("<img") == 6
    assert len(card.data) < 150_000
    for words in ("talk.ts", "valid", "90 frames", "the end"):
        assert words in card.data
    assert "<style" not in card.data
    (bundle,), how = shown[1]
    assert how["raw"]
    assert bundle["text/plain"] == "<Player of talk.ts>"
    assert "application/vnd.jupyter.widget-view+json" in bundle
    # A mark that is made here stands in no log: the notebook keeps it.
    told = []
    player._kept._handle = SimpleNamespace(update=lambda html: told.append(html.data))
    ask(player, "mark", name="a thought")
    assert ["a thought" in one for one in told] == [True]


def test_a_recording_of_a_session_is_shown_from_its_first_frame_on(made, tmp_path):
    session = rk.start(rk.Synthetic(width=160, height=90), tmp_path / "live.ts")
    player = made(session)
    status, _ = ask(player, "open")
    assert status["growing"]
    while not status["count"]:
        assert status["words"] == "Nothing can be shown yet: the first frame has not come."
        assert not session.wait(0.1)
        status, _ = ask(player, "open")
    assert status["video"].startswith("avc1.")
    session.mark("here")
    session.stop()
    assert [one["name"] for one in player.marks_shown] == ["here"]
    status, _ = ask(player, "look")
    assert (status["growing"], status["count"]) == (False, session.recording.counters.video_units)
    card = cards(player._films)
    assert ">valid<" in card  # the file has another name by now
    assert "not judged" not in card


def test_a_recording_that_is_broken_off_while_it_is_watched_says_how_to_go_on(made, tmp_path):
    session = rk.start(rk.Synthetic(width=160, height=90), tmp_path / "live.ts")
    player = made(session)
    while not ask(player, "open")[0]["count"]:
        assert not session.wait(0.1)
    assert ask(player, "look")[0]["words"] == ""
    os.kill(session.worker_pid, signal.SIGKILL)
    while not session.has_ended:
        session.wait(0.1)
    content, _ = ask(player, "look")
    assert f"rk.recover({str(session.path)!r})" in content["words"]
    rk.recover(session.path)
    content, _ = ask(player, "look")
    assert (content["words"], content["growing"]) == ("", False)
    with rk.open(session.path) as video:
        assert content["count"] == len(video)


def test_a_page_that_opens_later_begins_where_code_has_sent_the_video(recording, made):
    player = made(recording)
    assert "begin" not in ask(player, "open")[0]
    player.at("the end")
    player.said.clear()
    assert ask(player, "open")[0]["begin"] == player.number == FRAMES - 1
    player._from_page(player, {"tell": "at", "number": 4, "media_s": 0.13}, [])
    assert "begin" not in ask(player, "open", view="w")[0]


def test_a_film_beside_it_begins_there_too(recording, made):
    player = made([recording, recording])
    assert "begin" not in ask(player, "open", of=1)[0]
    player.at(2)
    player.said.clear()
    assert ask(player, "open", of=1)[0]["begin"] == player.number > 0
