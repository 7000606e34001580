"""Memory that files are read into, one after the other."""

from __future__ import annotations


class Room:
    """Kept between files: to have pages of zeros made for each costs a tenth of its check.

    For one file at a time; what was read of the one before is gone then.
    """

    def __init__(self) -> None:
        self._memory = bytearray()

    def __call__(self, size: int) -> memoryview:
        """``size`` bytes of it, with whatever is in them."""
        if len(self._memory) < size:
            self._memory = bytearray(size)
        return memoryview(self._memory)[:size]
