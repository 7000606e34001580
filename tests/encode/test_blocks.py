"""Blocks of samples to access units: none lost, none doubled, each where it belongs."""

from __future__ import annotations

import numpy as np
import pytest

from recordkit.encode.blocks import BlockEncoder
from recordkit.encode.coded import Coded
from recordkit.encode.layouts import CodedLayout
from recordkit.settings import AudioSettings

RATE = 48_000
STEREO, MONO = CodedLayout("stereo", 2), CodedLayout("mono", 1)


def encoder(codec: str, layout: CodedLayout = STEREO, anchor: int = 90_000) -> BlockEncoder:
    return BlockEncoder(AudioSettings(codec=codec), 1, RATE, anchor, layout)  # type: ignore[arg-type]


def tone(samples: int, channels: int = 2) -> list[np.ndarray]:
    wave = np.sin(np.arange(samples) / 20).astype(np.float32) * 0.3
    return [np.stack([wave] * channels)]


def places(coded: list[Coded]) -> list[int]:
    return [one.unit.pts for one in coded]


@pytest.mark.parametrize(("codec", "block"), [("aac", 1024), ("opus", 960)])
def test_units_follow_each_other_from_the_anchor_on(codec: str, block: int) -> None:
    blocks = encoder(codec)
    coded = []
    for _ in range(50):
        blocks.put(tone(777))
        coded += blocks.drain()
    coded += blocks.finish()
    step = block * 90_000 // RATE
    assert np.all(np.abs(np.diff(places(coded)) - step) <= 1)
    # What the codec puts first stands before the anchor; the last covers all that was given.
    assert places(coded)[0] <= 90_000
    assert places(coded)[-1] + step >= 90_000 + 50 * 777 * 90_000 // RATE - 1


def test_what_is_skipped_is_not_there() -> None:
    blocks = encoder("pcm")
    blocks.put([*tone(600), *tone(1000)], skip=1000)
    coded = blocks.finish()
    assert sum(len(one.unit.data) // 4 for one in coded) == 600
    assert sum(one.unit.duration for one in coded) == 600 * 90_000 // RATE


@pytest.mark.parametrize("codec", ["aac", "opus"])
def test_a_gap_stands_where_it_is_and_is_marked(codec: str) -> None:
    blocks = encoder(codec)
    blocks.put(tone(RATE // 2))
    before = blocks.drain() + blocks.step(RATE)
    blocks.put(tone(RATE // 2))
    after = blocks.finish()
    units = [*before, *after]
    marked = [one.unit.pts for one in units if one.unit.discontinuity]
    assert len(marked) == 1
    assert max(np.diff(places(units))) == pytest.approx(90_000, abs=3000)


@pytest.mark.parametrize("codec", ["aac", "opus"])
def test_after_a_rest_nothing_stands_twice(codec: str) -> None:
    blocks = encoder(codec)
    blocks.put(tone(5000))
    coded = blocks.drain()
    held, added = blocks.let_out()
    assert (5000 + added) % (1024 if codec == "aac" else 960) == 0
    blocks.put(tone(5000))
    coded += held + blocks.finish()
    assert places(coded) == sorted(places(coded))
    if codec == "aac":
        assert len(set(places(coded))) == len(coded)


def test_more_channels_go_on_where_the_fewer_ended() -> None:
    blocks = encoder("aac", MONO)
    blocks.put(tone(5000, 1))
    coded = blocks.drain() + blocks.widen(STEREO)
    blocks.put(tone(5000))
    coded += blocks.finish()
    assert [one.format.channels for one in coded] == sorted(one.format.channels for one in coded)
    assert {one.format.channels for one in coded} == {1, 2}
    assert np.all(np.abs(np.diff(places(coded)) - 1920) <= 1)
