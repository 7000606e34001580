"""The short versions: a few trials of each kind of attack, with seeds that never change."""

import pytest

from .kinds import KINDS


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_is_promised_holds(tmp_path, kind):
    reason = kind.impossible()
    if reason:
        pytest.skip(reason)
    own = tmp_path / "own"
    own.mkdir()
    with kind.begin(own) as trial:
        for seed in kind.short:
            place = tmp_path / f"trial{seed}"
            place.mkdir()
            outcome = trial(seed, place)
            assert not outcome.faults, f"seed {seed}"
