"""What is asked of a few of many packets is what each of them says alone."""

from __future__ import annotations

import numpy as np
import pytest

from recordkit.mpegts.batch import Batch
from recordkit.mpegts.sync import headers_of

PACKETS = 400
PLAIN, WITH_FIELD, FIELD_ALONE, SCRAMBLED = 0x10, 0x30, 0x20, 0x90


def batch_of(every: int, control: int = PLAIN) -> Batch:
    """Packets of two PIDs in turn; each so many begin a unit, and have a field with a PCR and a discontinuity."""
    rows = np.zeros((PACKETS, 188), np.uint8)
    rows[:, :4] = [0x47, 0x01, 0x00, PLAIN]
    rows[1::2, 2] = 1
    rows[::every, 1] |= 0x40
    rows[::every, 3:6] = [WITH_FIELD, 7, 0x90]
    rows[::every, 11] = np.arange(len(rows[::every]))  # the PCR's last byte
    if control != PLAIN:
        rows[5, 3:5] = [control, 183]
    return Batch(0, rows, headers_of(rows), 188)


@pytest.mark.parametrize("every", [1, 3, 90, 399])
@pytest.mark.parametrize("first", [0, 1, 399])
def test_few_and_many_are_found(every: int, first: int) -> None:
    batch = batch_of(every)
    index = np.arange(first, PACKETS, 2)
    marked = [row for row in index.tolist() if row % every == 0]
    assert index[batch.starts(index)].tolist() == batch.discontinuities(index) == marked
    rows, values = batch.pcrs(index)
    assert (rows.tolist(), values.tolist()) == (marked, [row // every % 256 for row in marked])
    assert batch.payload_bytes(index) == sum(len(batch.payload(row)) for row in index.tolist())
    carried = batch.payloads(index)
    assert carried.bytes(0, 188 * PACKETS) == b"".join(batch.payload(row) for row in index.tolist())


def test_nothing_is_found_among_none() -> None:
    none = np.arange(0)
    assert (batch_of(90).starts(none).tolist(), batch_of(90).payload_bytes(none)) == ([], 0)


@pytest.mark.parametrize(
    ("control", "all_carry", "any_scrambled"),
    [(PLAIN, True, False), (FIELD_ALONE, False, False), (SCRAMBLED, False, True)],
)
def test_what_all_of_them_are(control: int, all_carry: bool, any_scrambled: bool) -> None:
    batch = batch_of(90, control)
    assert (batch.do_all_carry, batch.is_any_scrambled, batch.are_all_usable) == (all_carry, any_scrambled, True)
