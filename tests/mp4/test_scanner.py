"""The scanner: what was laid is read again, from partials, from finished files, from cut and damaged ones."""

from io import BytesIO

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recordkit.model import Codec
from recordkit.mp4.movie import FRONT, FTYP
from recordkit.mp4.rebuild import Rebuilder
from recordkit.mp4.report import ChunkEvent, MovieEvent, ProblemKind
from recordkit.mp4.scanner import Scanner

from ..judges import assert_decodes_in_silence
from ..media import make_clip, remuxed
from . import real
from .cases import CASES
from .laying import lay, recording
from .test_packager import as_sample

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def scan(data: bytes, piece: int = 1 << 16, *, payload: bool = True, skips: bool = False):
    scanner, rebuilder, events, at = Scanner(payload=payload), Rebuilder(), [], 0
    while at < len(data):
        skippable = scanner.skippable if skips else 0
        if skippable:
            count = min(skippable, len(data) - at)
            events += scanner.skip(count)
        else:
            count = min(piece, len(data) - at)
            events += scanner.feed(data[at : at + count])
        at += count
    events += scanner.close()
    for event in events:
        rebuilder.take(event)
    return scanner.report, events, rebuilder


def applied(data: bytes, rebuilder: Rebuilder, front: int) -> bytes:
    finish = rebuilder.finish(len(data), front)
    made = bytearray(data + b"".join(finish.append))
    for offset, patch in finish.patches:
        made[offset : offset + len(patch)] = patch
    return bytes(made)


@pytest.fixture(scope="module")
def small():
    """A recording of few bytes, so that it can be cut at each."""
    return lay(recording(real.video(Codec.H264, 64, 48, 6), real.audio(Codec.AAC, 48_000, 1))[:13])


@each_case
@pytest.mark.parametrize(("piece", "skips"), [(1, False), (1 << 16, False), (100, True)])
def test_what_was_laid_is_read_again(case, piece, skips):
    laid = lay(case.steps)
    for data in (laid.partial, laid.whole):
        report, events, rebuilder = scan(data, piece, payload=not skips, skips=skips)
        assert report.problems == ()
        chunks = [event for event in events if isinstance(event, ChunkEvent)]
        assert [event.end for event in chunks] == laid.ends
        assert report.usable_end == len(laid.partial)
        assert report.front == len(FTYP)
        assert report.finished == (data is laid.whole or data == laid.whole)
        formats = laid.packager.streams
        for unit, chunk in zip(laid.units, chunks, strict=True):
            (sample,) = chunk.samples
            assert sample.track == unit.stream + 1
            assert sample.keyframe == unit.random_access
            if not skips:
                assert chunk.data(sample) == as_sample(unit, formats[unit.stream])
        if data == laid.partial and case.name != "video_first_audio_early":
            # There the first times lie before the partial's own; only the packager knows them.
            assert applied(data, rebuilder, report.front) == laid.whole


@each_case
def test_a_fragmented_finish_is_read_again(case):
    laid = lay(case.steps, fragmented=True)
    report, _, _ = scan(laid.whole, payload=False)
    assert report.problems == ()
    assert report.usable_end == len(laid.partial)
    assert not report.finished


def test_a_cut_anywhere_leaves_all_whole_units(small):
    _, events, _ = scan(small.partial)
    front_end = next(event.end for event in events if isinstance(event, MovieEvent))
    # The front, and the chunk of a frame and of audio; between them all are alike.
    between = range(small.ends[0] + 1, small.ends[-3], 7)
    for cut in [*range(small.ends[0] + 1), *between, *small.ends, *range(small.ends[-3], len(small.partial) + 1)]:
        report, _, rebuilder = scan(small.partial[:cut], 997, payload=False)
        whole = [end for end in small.ends if end <= cut]
        assert report.usable_end == (whole[-1] if whole else front_end if cut >= front_end else 0)
        assert len(rebuilder) == len(whole)
        expected = cut in (report.usable_end, len(FTYP), len(FRONT)) or not cut
        assert bool(report.problem_counts.keys() - {ProblemKind.MISSING_MOVIE, ProblemKind.NOT_MP4}) != expected


@pytest.mark.judge
def test_what_a_cut_leaves_is_finished_and_plays(small, tmp_path):
    path = tmp_path / "cut.mp4"
    for cut in [*range(small.ends[-2] + 1, small.ends[-1], 60), small.ends[6] + 50, small.ends[3] + 111]:
        report, _, rebuilder = scan(small.partial[:cut])
        path.write_bytes(applied(small.partial[: report.usable_end], rebuilder, report.front))
        # FFmpeg 9 warns of audio that is nothing but what is hidden.
        assert_decodes_in_silence(path, allowed="No filtered frames for output stream")


def test_a_kill_at_each_byte_of_the_finish(small):
    """Whatever of the ``moov`` was appended, with the turn or without: all units are there, and finish alike."""
    whole, end = small.whole, len(small.partial)
    appended = small.partial + whole[end:]
    for cut in range(end, len(whole) + 1):
        report, _, rebuilder = scan(appended[:cut], 4096, payload=False)
        assert (report.usable_end, report.finished) == (end, False)
        assert applied(appended[: report.usable_end], rebuilder, report.front) == whole
        report, _, rebuilder = scan(whole[:cut], 4096, payload=False)
        assert (report.usable_end, report.finished) == (end, cut == len(whole))
        assert applied(whole[: report.usable_end], rebuilder, report.front) == whole


def test_tables_that_differ_from_the_chunks_are_told(small):
    whole = bytearray(small.whole)
    at = whole.rindex(b"stco") + 12
    whole[at + 3] ^= 1
    report, _, _ = scan(bytes(whole))
    assert report.problem_counts == {ProblemKind.TABLES_DIFFER: 1}
    assert not report.finished


def test_damage_costs_its_own_chunk(small):
    """A lost sector: the boxes behind it are found again."""
    data = bytearray(small.partial)
    begin = small.ends[7]
    data[begin : begin + 60] = bytes(60)
    report, events, _ = scan(bytes(data))
    assert report.problem_counts == {ProblemKind.LOST_BOXES: 1, ProblemKind.MISSING_CHUNKS: 1}
    ends = [event.end for event in events if isinstance(event, ChunkEvent)]
    assert ends == small.ends[:8] + small.ends[9:]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", ProblemKind.NOT_MP4),
        (b"G" * 1000, ProblemKind.NOT_MP4),
        (bytes(1000), ProblemKind.NOT_MP4),
        (b"RIFF\x10\0\0\0AVI LIST" + bytes(100), ProblemKind.NOT_MP4),
        (FRONT, ProblemKind.MISSING_MOVIE),
        (FTYP + b"\0\0\0\x18mdat" + bytes(16), ProblemKind.MISSING_MOVIE),
    ],
)
def test_what_is_no_mp4(data, kind):
    report, events, _ = scan(data)
    assert kind in report.problem_counts
    assert not [event for event in events if isinstance(event, ChunkEvent)]
    assert not report.finished


FOREIGN = {
    "plain": {},
    "faststart": {"movflags": "faststart"},
    "keyframes": {"movflags": "frag_keyframe+empty_moov"},
    "every_frame": {"movflags": "frag_every_frame+empty_moov+default_base_moof"},
    "delayed": {"movflags": "frag_keyframe+delay_moov+separate_moof"},
    "hybrid": {"movflags": "hybrid_fragmented+frag_keyframe"},
    "global_sidx": {"movflags": "frag_keyframe+empty_moov+global_sidx+default_base_moof"},
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("foreign") / "clip.mp4", seconds=3, options={"g": "15"})


@pytest.mark.parametrize("name", FOREIGN)
def test_files_of_others_are_read(clip, name):
    data = remuxed(clip, clip.with_name("remuxed.mp4"), options=FOREIGN[name]).read_bytes()
    report, _, _ = scan(data)
    # libavformat gives one sample in two of such audio no duration, and the next the same time.
    assert report.problem_counts.keys() <= ({ProblemKind.DTS_NOT_INCREASING} if name == "every_frame" else set())
    with av.open(BytesIO(data)) as container:
        counts = {stream.id: 0 for stream in container.streams}
        for packet in container.demux():
            counts[packet.stream.id] += packet.size > 0
    assert {one.track: one.samples for one in report.tracks} == counts


@pytest.mark.parametrize("name", ["keyframes", "every_frame"])
def test_fragments_of_others_that_broke_off_are_finished(clip, name):
    """Put behind a front of our own, byte for byte: nothing in them has to be written anew."""
    data = remuxed(clip, clip.with_name("remuxed.mp4"), options=FOREIGN[name]).read_bytes()
    report, _, _ = scan(data[: len(data) * 3 // 4])
    assert 0 < report.usable_end <= len(data) * 3 // 4
    rebuilder = Rebuilder(shift=len(FRONT))
    for event in scan(data[: report.usable_end])[1]:
        rebuilder.take(event)
    made = applied(FRONT + data[: report.usable_end], rebuilder, len(FTYP))
    with av.open(BytesIO(made)) as container, av.open(BytesIO(data)) as original:
        frames = [bytes(frame.planes[0]) for frame in container.decode(video=0)]
        # The last ones may refer to some that are missing.
        assert len(frames) > 40
        assert frames[:-3] == [bytes(frame.planes[0]) for frame in original.decode(video=0)][: len(frames) - 3]


@pytest.mark.parametrize("piece", [1, 7, 1 << 16])
def test_a_fragment_whose_size_is_damaged_costs_itself_alone(small, piece):
    intact = [event for event in scan(small.whole)[1] if isinstance(event, ChunkEvent)]
    data = bytearray(small.whole)
    data[intact[5].offset] = 0x7F
    report, events, _ = scan(bytes(data), piece)
    assert [event.offset for event in events if isinstance(event, ChunkEvent)] == [
        event.offset for event in intact if event is not intact[5]
    ]
    assert report.problem_counts[ProblemKind.LOST_BOXES] == 1


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_is_too_much(small, data):
    whole = bytearray(small.whole)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + data.draw(st.integers(1, 8))] = data.draw(st.binary(max_size=8))
    report, events, _ = scan(bytes(whole), data.draw(st.sampled_from([1, 7, 100, 1 << 16])))
    assert report.bytes == len(whole)
    assert 0 <= report.usable_end <= len(whole)
    assert all(isinstance(event, MovieEvent | ChunkEvent) or event.offset <= len(whole) for event in events)
