"""Each target runs on what fuzzing begins with."""

import pytest

from .seeds import SEEDS
from .targets import LONGEST_BYTES, TARGETS


def test_each_target_has_seeds():
    assert SEEDS.keys() == TARGETS.keys()


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_pass(name):
    seeds = list(SEEDS[name]())
    assert len(seeds) >= 5
    for seed in seeds:
        assert len(seed) <= LONGEST_BYTES
        TARGETS[name](seed)
