"""Which frame a unit is, and where decoding begins for it."""

import random
from fractions import Fraction

import numpy as np

from recordkit.reading.growing import Growing, build
from recordkit.reading.index import NOT_SHOWN, Unit

BASE = Fraction(1, 90_000)


def index(*rows: tuple[int, bool], **flags: dict[int, bool]):
    """An index of units given as (PTS, is a keyframe) in decoding order, a tick apart."""
    units = [
        Unit(pts, place, 100 * place, 10, key, **{name: which.get(place, False) for name, which in flags.items()})
        for place, (pts, key) in enumerate(rows)
    ]
    return build(units, BASE)


def test_frames_are_numbered_as_they_are_shown():
    found = index((0, True), (3, False), (1, False), (2, False), (4, True))
    assert found.order.tolist() == [0, 2, 3, 1, 4]
    assert found.number.tolist() == [0, 3, 1, 2, 4]
    assert found.shown_pts.tolist() == [0, 1, 2, 3, 4]
    assert found.entry.tolist() == [0, 0, 0, 0, 4]


def test_what_no_decoder_can_show_has_no_number():
    found = index((0, False), (5, True), (3, False), (6, False))
    assert found.number.tolist() == [NOT_SHOWN, 0, NOT_SHOWN, 1]
    hidden = index((0, True), (1, False), (2, False), hidden={0: True})
    assert hidden.number.tolist() == [NOT_SHOWN, 0, 1]


def test_leading_frames_of_an_open_group_begin_at_the_keyframe_before():
    found = index((0, True), (1, False), (5, True), (3, False), (4, False), (6, False))
    assert found.entry.tolist() == [0, 0, 2, 0, 0, 2]


def test_a_clock_that_begins_anew_begins_a_stretch_of_its_own():
    units = [Unit(pts, pts, 0, 1, True) for pts in (100, 101, 5, 6)]
    assert build(units, BASE).order.tolist() == [0, 1, 2, 3]


def test_without_any_keyframe_the_first_unit_has_to_do():
    assert index((0, False), (1, False)).entry.tolist() == [0, 0]


def test_an_order_that_was_learnt_gives_the_times_in_that_order():
    units = [Unit(None, dts, 0, 1, dts == 0) for dts in (0, 10, 20)]
    found = build(units, BASE, [0, 2, 1])
    assert found.shown_pts.tolist() == [0, 10, 20]
    assert found.pts.tolist() == [0, 20, 10]


def test_damage_reaches_to_the_next_keyframe():
    found = index((0, True), (1, False), (2, False), (3, True), damaged={1: True})
    assert [found.is_affected(number) for number in range(4)] == [False, True, True, False]


def test_an_empty_file_has_an_empty_index():
    found = build([], BASE)
    assert len(found) == 0
    assert found.shown_pts.dtype == np.int64
    assert not len(found.keys_before(0))


def drawn(chance):
    """Units of some groups, whose order, clocks and keyframes are as odd as chance has it."""
    units, dts = [], chance.randrange(100)
    for _ in range(chance.randrange(1, 12)):
        dts = chance.randrange(50) if chance.random() < 0.1 else dts
        count, delay = chance.randrange(1, 9), chance.choice([0, 0, 1, 2])
        times = [dts + place + delay for place in range(count)]
        if delay and count > 2:
            later = chance.randrange(1, count)
            times[0], times[later] = times[later], times[0]
        for place, pts in enumerate(times):
            is_key, hidden = not units or (place == 0 and chance.random() < 0.9), chance.random() < 0.02
            units.append(Unit(pts, dts + place, len(units), 1, is_key, hidden=hidden))
        dts += count + chance.choice([0, 0, 3])
    return units


def test_an_index_that_grows_is_the_one_of_all_at_once():
    settled = 0
    for seed in range(200):
        chance = random.Random(seed)
        units = drawn(chance)
        growing, at = Growing(BASE), 0
        while at < len(units):
            count = chance.randrange(1, 10)
            growing.extend(units[at : at + count])
            at += count
            grown = growing.index
        whole = build(units, BASE)
        for name in ("order", "number", "entry", "dts", "keyframe"):
            assert getattr(grown, name).tolist() == getattr(whole, name).tolist(), (seed, name)
        settled += growing._settled.units > 0
    assert settled > 100
