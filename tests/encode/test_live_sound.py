"""Live audio: kept, or decoded and encoded anew; silence where nothing was sent or some was lost."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from recordkit.encode.live_sound import LiveSound
from recordkit.settings import AudioSettings
from recordkit.ticks import TICKS_PER_SECOND
from tests.encode.live_units import sound


def test_opus_is_kept_byte_for_byte_with_exact_durations():
    units = list(sound("opus", 1.0))
    way = LiveSound(AudioSettings(codec="opus"), 1)
    coded = [one for unit in units for one in way.code(unit, unit.ticks, discontinuity=False)]
    assert [one.unit.data for one in coded] == [unit.data for unit in units]
    assert {one.unit.duration for one in coded} == {TICKS_PER_SECOND // 50}
    assert not any(one.unit.discontinuity for one in coded)


@pytest.mark.parametrize("codec", ["aac", "opus"])
def test_packets_that_came_together_are_as_if_they_came_alone(codec):
    def coded(units):
        way = LiveSound(AudioSettings(codec=codec), 1)
        made = [one for unit in units for one in way.code(unit, unit.ticks, discontinuity=False)] + way.flush()
        return [one.unit for one in made]

    units = list(sound("opus", 1.0))
    runs = [
        replace(
            units[at],
            data=b"".join(one.data for one in units[at : at + 5]),
            duration=sum(one.duration for one in units[at : at + 5]),
            sizes=tuple(len(one.data) for one in units[at : at + 5]),
        )
        for at in range(0, len(units), 5)
    ]
    assert coded(runs) == coded(units)


@pytest.mark.parametrize("codec", ["aac", "opus"])
@pytest.mark.parametrize("gaps", ["silence", "mark"])
def test_a_loss_of_sound_is_filled_or_marked_and_moves_nothing_behind_it(codec, gaps):
    told = []
    way = LiveSound(AudioSettings(codec=codec, gaps=gaps), 1, lambda *gap: told.append(gap))
    units = list(sound("opus", 2.0))
    coded = []
    for number, unit in enumerate(units):
        if number != 50:
            coded += way.code(unit, 180_000 + unit.ticks, discontinuity=number == 51)
    coded += way.flush()
    assert [(stream, round(seconds, 3), filled) for stream, seconds, filled in told] == [
        (1, 0.02, gaps == "silence")
    ]
    assert (way.gap_count, round(way.gap_s, 3)) == (1, 0.02)
    marked = [one.unit.pts for one in coded if one.unit.discontinuity]
    assert len(marked) == (gaps == "mark")
    ends = [one.unit.pts + one.unit.duration for one in coded]
    jumps = [after.unit.pts - end for end, after in zip(ends, coded[1:], strict=False) if after.unit.pts != end]
    assert bool(jumps) == (gaps == "mark")
    assert ends[-1] == pytest.approx(180_000 + 2 * TICKS_PER_SECOND, abs=2 * 1920)


def test_gaps_are_counted_on_when_the_coding_changes_and_no_audio_is_lost():
    way = LiveSound(AudioSettings(codec="opus"), 1)
    coded = []
    for number, unit in enumerate([*sound("opus", 0.5), *sound("pcm_mulaw", 0.5), *sound("opus", 0.5)]):
        # One packet of each is lost.
        if number % 25 != 10:
            coded += way.code(unit, 180_000 + number * 1800, discontinuity=number % 25 == 11)
    coded += way.flush()
    assert way.gap_count == 3
    assert way.gap_s == pytest.approx(0.06)
    assert coded[-1].unit.pts + coded[-1].unit.duration == pytest.approx(180_000 + 75 * 1800, abs=1800)


@pytest.mark.parametrize("codec", ["aac", "opus"])
def test_a_source_that_is_silent_for_a_while_leaves_no_gap(codec):
    """Opus DTX (RFC 7587, 3.1.3): nothing, or a packet in 400 ms, while nobody speaks."""
    told = []
    way = LiveSound(AudioSettings(codec=codec), 1, lambda *gap: told.append(gap))
    coded = []
    for number, unit in enumerate(sound("opus", 2.0)):
        if number < 20 or number > 80 or number % 20 == 0:
            coded += way.code(unit, 180_000 + unit.ticks, discontinuity=False, is_live=True)
    coded += way.flush()
    assert (way.gap_count, way.gap_s, told) == (0, 0.0, [])
    jumps = [after.unit.pts - one.unit.pts - one.unit.duration for one, after in itertools.pairwise(coded)]
    assert max(map(abs, jumps)) <= 1
