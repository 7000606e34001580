"""A small part of the matrix: what ffmpeg makes is recorded whole, in whatever it comes."""

import re

import pytest

from ..judges import judge
from .comparing import Row, tried
from .matrix import VARIETIES, Candidate, candidates, covering, films, held, taken

pytestmark = pytest.mark.judge

WHOLE = [
    # film, and what becomes of its streams
    ("mp4/h264/plain", ["h264 40p 40f 1.56s", "aac 76p 76f 1.62s"]),
    ("mov/hevc/bframes", ["hevc 40p 40f 1.56s", "aac 76p 76f 1.62s"]),
    ("matroska/vp9/plain", ["h264 40p 40f 1.56s", "aac 76p 76f 1.62s"]),
    ("avi/mpeg4/bframes", ["h264 40p 40f 1.56s", "aac 76p 76f 1.62s"]),
    ("flv/h264/late", ["h264 40p 40f 1.56s", "aac 39p 39f 0.83s"]),
    ("mpegts/h264/bframes", ["h264 40p 40f 1.56s", "aac 76p 76f 1.62s"]),
    ("mxf/mpeg2video/plain", ["h264 40p 40f 1.56s", "aac 76p 76f 1.62s"]),
    ("ogg/opus/plain", ["h264 40p 40f 1.56s", "opus 81p 81f 1.62s"]),
    ("wav/pcm_s16le/plain", ["aac 76p 76f 1.62s"]),
    ("mpegts/h264/cut", []),
    ("flv/mp3/cut", []),
]


def direct(way, *arguments, limit_s):
    """Try it here: these films neither hang nor crash."""
    return way(*arguments)


def row_of(name, tmp_path) -> Row:
    judge("ffmpeg")
    judge("ffprobe")
    films_folder, scratch = tmp_path / "films", tmp_path / "scratch"
    films_folder.mkdir()
    scratch.mkdir()
    for path, found in films(films_folder, f"^{name}$"):
        return tried(path, found, scratch, direct, limit_s=60)
    pytest.skip(f"this ffmpeg cannot make {name}")


@pytest.mark.parametrize(("name", "became"), WHOLE, ids=[name for name, _ in WHOLE])
def test_ffprobe_agrees(name, became, tmp_path):
    row = row_of(name, tmp_path)
    assert not row.disagreements
    if became:
        assert not row.told
        assert [words.split(" -> ")[1] for words in row.streams] == became
    else:
        assert row.streams  # cut in the middle: what is there is recorded


def test_every_film_that_makes_sense_is_a_candidate():
    judge("ffmpeg")
    found = candidates()
    assert len(set(found)) == len(found) > 1_000
    assert found == candidates()
    assert Candidate("mp4", "video", "h264", "turned") in found
    assert not [one for one in found if one.variety == "turned" and one.container == "matroska"]
    assert candidates("^mp4/h264/cut$") == [Candidate("mp4", "video", "h264", "cut")]
    assert "vp8" not in taken("flv")
    assert all(re.match("^mov/", one.name) for one in candidates("^mov/"))


def test_the_sample_covers_each_pair():
    found = [Candidate(a, "video", b, c) for a in "abcdefgh" for b in "123456789" for c in VARIETIES]
    impossible = {("a", "1", None), ("b", "2", "late"), (None, "3", "turned")}

    def is_possible(one):
        ways = [(one.container, one.coding, None), (one.container, one.coding, one.variety)]
        return not impossible & {*ways, (None, one.coding, one.variety)}

    choosing = covering(found)
    made, refused = set(), set()
    try:
        one = next(choosing)
        while True:
            (made if is_possible(one) else refused).add(one)
            one = choosing.send(is_possible(one))
    except StopIteration:
        pass
    assert {(one.container, one.coding) for one in made} == {
        (one.container, one.coding) for one in found if (one.container, one.coding) != ("a", "1")
    }
    assert len({(one.coding, one.variety) for one in made}) == 9 * len(VARIETIES) - 1
    assert len({(one.container, one.variety) for one in made}) == 8 * len(VARIETIES)
    assert len(made) < len(found) / 4
    assert len(refused) < 12


def test_what_a_container_refuses_is_known_without_a_program_to_start():
    judge("ffmpeg")
    pairs = [("mp4", "h264"), ("mp4", "vp8"), ("wav", "h264"), ("flv", "aac"), ("nut", "pcm_s16le"), ("ogg", "mp3")]
    assert list(held(pairs)) == [("mp4", "h264"), ("flv", "aac"), ("nut", "pcm_s16le")]
