"""Start codes in the payload of packets: all that are there, however many or few."""

from __future__ import annotations

import numpy as np
import pytest

from recordkit.mpegts.payload import RawBytes


@pytest.mark.parametrize("every", [2, 3, 4, 7, 1_001, 60_001])
@pytest.mark.parametrize("size", [0, 1, 5, 131_072, 300_001])
def test_each_start_code_is_found(size, every):
    """More of them than are sought one by one, some across the borders of what is looked at together."""
    data = np.random.default_rng(every).integers(0, 2, size, np.uint8) if every == 2 else np.zeros(size, np.uint8)
    data[every::every] |= 1
    raw = data.tobytes()
    expected = [at for at in range(size - 2) if raw.startswith(b"\0\0\1", at)]
    assert RawBytes(data, 188, 188).start_codes.tolist() == expected
