"""Start codes in the payload of packets: all that are there, however many or few."""

from __future__ import annotations

import numpy as np
import pytest

from recordkit.mpegts.payload import Payload, RawBytes


@pytest.mark.parametrize("every", [2, 3, 4, 7, 1_001, 60_001])
@pytest.mark.parametrize("size", [0, 1, 5, 131_072, 300_001, 530_001])
def test_each_start_code_is_found(size, every):
    """More of them than are sought one by one, some across the borders of what is looked at together."""
    data = np.random.default_rng(every).integers(0, 2, size, np.uint8) if every == 2 else np.zeros(size, np.uint8)
    data[every::every] |= 1
    raw = data.tobytes()
    expected = [at for at in range(size - 2) if raw.startswith(b"\0\0\1", at)]
    assert RawBytes(data, 188, 188).start_codes.tolist() == expected


CODE = b"\0\0\1"


@pytest.mark.parametrize("stride", [188, 192, 204])
def test_only_those_in_the_payload_count(stride: int) -> None:
    """Not those in an adaptation field, in what lies between two packets, or that reach into it."""
    between = CODE.ljust(stride - 188, b"\2")[: stride - 188]
    full = CODE + bytes([2]) * 179 + b"\0\0"  # which goes on in the next packet, whose first byte is 1
    odd = CODE + bytes([2]) * 77 + b"\1" + bytes([2]) * 98 + CODE + b"\0\0"
    packets = [b"head" + full, b"head" + odd, b"head" + full, b"head" + b"\1" + full[1:]]
    raw = RawBytes(np.frombuffer(between.join(packets), np.uint8), stride, 188)
    payload = Payload(raw, np.array([0, 1, 3]), np.array([1]), np.array([104]))
    data = full + odd[80:] + packets[3][4:]
    assert payload.bytes(0, len(data) + 9) == data
    assert bytes(payload.joined(np.empty(0, np.uint8))) == data
    assert payload.start_codes().tolist() == [at for at in range(len(data)) if data.startswith(CODE, at)]
    places = np.arange(len(data))
    expected = [int.from_bytes(data[at : at + 8].ljust(8, b"\0")) for at in places]
    assert payload.words(places).tolist() == expected
    assert payload.begin(np.arange(4)).tolist() == [0, 184, 288, 472]
