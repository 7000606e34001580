"""What tests of reading share; ``recorded`` is each module's own."""

import pytest

import recordkit as rk


@pytest.fixture
def video(recorded):
    with rk.open(recorded) as opened:
        yield opened
