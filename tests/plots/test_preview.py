"""What a recording shows of itself."""

import base64
import io
import re
from dataclasses import replace
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path

import av
import pytest

import recordkit as rk
from recordkit.model import Codec, Event, EventKind, StreamFormat
from recordkit.plots import preview
from recordkit.recorder.result import Counters
from recordkit.telemetry.frames import Log
from recordkit.telemetry.journal import Contents
from tests.telemetry.records import sample

EMPTY = Log({}, Contents((), (), ()))
VIDEO = StreamFormat(Codec.H264, width=320, height=180)
AUDIO = StreamFormat(Codec.AAC, sample_rate=44_100, channels=2, language="deu")
VOID = {"img", "br", "meta"}


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preview")
    return rk.record(rk.Synthetic(width=320, height=180, realtime=False), folder / "talk <b>&.ts", seconds=13)


class Page(HTMLParser):
    """Holds that each element is closed in its turn, and keeps words and images."""

    def __init__(self, page):
        super().__init__()
        self.open, self.words, self.images, self.tags = [], [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def image(attrs):
    kind, data = re.fullmatch(r"data:image/(\w+);base64,(.+)", attrs["src"]).groups()
    return kind, base64.b64decode(data, validate=True)


def made_up(**fields):
    facts = {
        "path": Path("/nowhere/talk.ts"),
        "bytes": 1_500_000,
        "duration_s": 12.0,
        "streams": {0: VIDEO, 1: AUDIO},
        "counters": Counters(),
        "flush_log": EMPTY,
    }
    return rk.Recording(**facts | fields)


def test_a_page_has_figures_pictures_and_plots(talk):
    page = Page(talk._repr_html_())
    kinds = [image(one)[0] for one in page.images]
    assert kinds == ["jpeg"] * 6 + ["png"]
    assert all(one["alt"] for one in page.images)
    for words in (str(talk.path), "H.264 320x180 + AAC 48 kHz", "no units dropped", "0:12"):
        assert words in page.words
    assert "b" not in page.tags
    assert len(talk._repr_html_()) < 250_000


@pytest.mark.parametrize(("minutes", "is_told"), [(9, False), (11, True)])
def test_a_slope_of_memory_is_told_once_it_means_something(minutes, is_told):
    samples = tuple(sample(10.0 * number, rss_bytes=10**8 + 10**5 * number) for number in range(6 * minutes + 1))
    recording = made_up(flush_log=Log({}, Contents((), samples, ())))
    assert ("+36.0 MB an hour" in recording._repr_html_()) is is_told


def test_thumbnails_are_small_key_pictures_spread_over_the_recording(talk):
    found = preview.thumbnails(talk)
    assert [round(one.at_s) for one in found] == [0, 4, 6, 8, 10, 12]
    assert sum(len(one.jpeg) for one in found) < preview.MOST_THUMBNAIL_BYTES
    for one in found:
        with av.open(io.BytesIO(one.jpeg), format="image2pipe") as container:
            frame = next(container.decode(video=0))
        assert (frame.width, frame.height) == (one.width, one.height) == (160, 90)


def test_the_same_picture_is_not_shown_twice(talk):
    times = [one.at_s for one in preview.thumbnails(talk, count=40)]
    assert len(times) == len(set(times)) == 7


def test_a_recording_shorter_than_its_key_pictures_are_apart_has_one(tmp_path):
    short = rk.record(rk.Synthetic(width=320, height=180, realtime=False), tmp_path / "short.ts", seconds=1)
    assert [one.at_s for one in preview.thumbnails(short)] == [0.0]


@pytest.mark.parametrize(
    ("width", "height", "aspect", "size"),
    [(1920, 1080, 1.0, (160, 90)), (720, 576, Fraction(16, 15), (160, 120)), (90, 160, 1.0, (90, 160))],
)
def test_thumbnails_keep_the_shape_of_the_picture(width, height, aspect, size):
    one = preview._thumbnail(av.VideoFrame(width, height, "yuv420p"), 0.0, aspect)
    assert (one.width, one.height) == size


def test_thumbnails_keep_within_time_and_size(talk, monkeypatch):
    monkeypatch.setattr(preview, "MOST_THUMBNAIL_BYTES", 9000)
    assert 0 < len(preview.thumbnails(talk)) < 6
    monkeypatch.setattr(preview, "LONGEST_SEARCH_S", -1.0)
    assert preview.thumbnails(talk) == []


def test_a_search_that_finds_no_key_picture_ends(talk, monkeypatch):
    monkeypatch.setattr(preview, "MOST_PACKETS", 5)
    with av.open(str(talk.path)) as container:
        container.streams.video[0].codec_context.skip_frame = "ALL"
        assert preview._next_picture(container, container.streams.video[0]) is None


def test_without_the_file_there_are_no_pictures(talk, tmp_path):
    gone = replace(talk, path=tmp_path / "gone.ts")
    assert preview.thumbnails(gone) == []
    page = Page(gone._repr_html_())
    assert [image(one)[0] for one in page.images] == ["png"]


def test_a_file_that_cannot_be_decoded_breaks_nothing(talk, tmp_path):
    broken = tmp_path / "broken.ts"
    broken.write_bytes(b"\x47nothing" * 1000)
    page = Page(replace(talk, path=broken)._repr_html_())
    assert [image(one)[0] for one in page.images] == ["png"]
    assert preview.thumbnails(replace(talk, path=tmp_path)) == []


def test_sound_alone_has_no_pictures():
    assert preview.thumbnails(made_up(streams={1: AUDIO})) == []


def test_a_plot_that_fails_breaks_nothing(talk, monkeypatch):
    def fail(*_):
        raise ValueError("no plot")

    monkeypatch.setattr("recordkit.plots.charts.plot_overview", fail)
    assert [image(one)[0] for one in Page(talk._repr_html_()).images] == ["jpeg"] * 6


def test_without_a_log_there_is_still_a_page():
    page = Page(made_up()._repr_html_())
    assert "H.264 320x180 + AAC 44.1 kHz (deu)" in page.words
    assert "0:12, 1.50 MB, 1.00 Mbit/s (running or crashed)" in page.words


def test_without_a_file_it_says_so():
    nothing = made_up(path=None, bytes=0, duration_s=0.0, streams={})
    assert str(nothing) == "no recording: no media came, and no file was made"
    page = Page(nothing._repr_html_())
    assert "none: no media came, and no file was made" in page.words
    assert page.images == []
    ring = made_up(path=None, bytes=0, duration_s=0.0, streams={}, counters=Counters(video_units=30))
    assert str(ring) == "no recording: nothing was asked for, and no file was made"


def test_gaps_and_alerts_are_told_and_escaped():
    events = [
        Event(1, 1.0, EventKind.ALERT_RAISED, {"rule": "own", "message": f"<script>{number}"})
        for number in range(9)
    ]
    told = made_up(flush_log=Log({}, Contents((), (), tuple(events))), counters=Counters(gap_count=2, gap_s=0.75))
    html = told._repr_html_()
    assert "<script" not in html
    page = Page(html)
    assert "no units dropped, 2 gaps, 750 ms of audio" in page.words
    assert "; ".join(f"<script>{number}" for number in range(5)) + " and 4 more" in page.words


def test_it_brings_no_colours_of_its_own(talk):
    html = re.sub(r"base64,[^\"]+", "", talk._repr_html_())
    colours = re.findall(r"(?:color|background)[^:;\"]*:([^;\"]+)", html)
    assert set(colours) <= {"inherit", "transparent"}
    assert "#" not in html.replace("&#", "")
