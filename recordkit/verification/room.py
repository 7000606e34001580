"""Memory that files are read into, one after the other."""

from __future__ import annotations

import mmap

import numpy as np


class Room:
    """Kept between files: to have pages of zeros made for each costs a tenth of its check.

    For one file at a time; what was read of the one before is gone then.
    """

    def __init__(self) -> None:
        self._memory = memoryview(b"")

    def __call__(self, size: int) -> memoryview:
        """``size`` bytes of it, with whatever is in them."""
        if len(self._memory) < size:
            # From a large piece that is given back the C library learns to keep what smaller ones leave. Else the
            # columns of each piece of a file are given back, and the kernel makes new pages of zeros for the next.
            np.empty(size, np.uint8)
            # numpy would ask for huge pages, which the kernel may have to make room for first.
            self._memory = memoryview(mmap.mmap(-1, size))
        return self._memory[:size]
