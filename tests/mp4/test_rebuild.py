"""The finish of what was found in a file that somebody damaged."""

from dataclasses import replace

import pytest

from recordkit.model import Codec
from recordkit.mp4.rebuild import Rebuilder
from recordkit.mp4.report import ChunkEvent, MovieEvent
from recordkit.mp4.scanner import Scanner

from . import real
from .laying import lay, recording


@pytest.fixture(scope="module")
def events():
    laid = lay(recording(real.video(Codec.H264, 64, 48, 12), real.audio(Codec.AAC, 48_000, 1))[:26])
    scanner = Scanner()
    return [*scanner.feed(laid.partial), *scanner.close()]


def rebuilt(events):
    rebuilder = Rebuilder()
    for event in events:
        rebuilder.take(event)
    return rebuilder


def test_samples_of_a_track_that_nothing_describes_are_left_out_and_the_others_stay(events):
    movie = events[0]
    assert isinstance(movie, MovieEvent)
    video, audio = movie.tracks
    of_audio = sum(sample.track == audio.number for one in events[1:] for sample in one.samples)
    bare = MovieEvent(
        movie.offset, movie.end, movie.rate, (replace(video, entries=(), described=()), audio), True, 0
    )
    assert len(rebuilt([bare, *events[1:]])) == of_audio > 0
    alone = MovieEvent(movie.offset, movie.end, movie.rate, (audio,), True, 0)
    assert len(rebuilt([alone, *events[1:]])) == of_audio


@pytest.mark.parametrize("shift", [1 << 40, -(1 << 40), 1 << 31])
def test_a_sample_shown_beyond_what_a_table_holds_is_shown_as_late_as_that_allows(events, shift):
    first, *rest = [one for one in events if isinstance(one, ChunkEvent)]
    moved = replace(first, samples=tuple(one._replace(pts=one.dts + shift) for one in first.samples))
    finish = rebuilt([events[0], moved, *rest]).finish(1 << 20, 0)
    within = min(max(shift, -(1 << 31)), (1 << 31) - 1)
    # A run of one sample in the table of composition offsets.
    assert (1).to_bytes(4) + within.to_bytes(4, signed=True) in b"".join(finish.append)
