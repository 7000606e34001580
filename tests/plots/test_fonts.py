"""Descriptors of fonts do not pile up with the threads that draw."""

import gc
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from recordkit.plots.fonts import drawing
from recordkit.plots.live import LiveCharts
from tests.steering import GUARD_S


def fonts_open():
    """How many descriptors of this process are font files."""
    gc.collect()
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found += descriptor.readlink().suffix == ".ttf"
    return found


def descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def in_threads(work, count):
    """At once, so that each has an identity of its own."""
    barrier = threading.Barrier(count)

    def run():
        work()
        barrier.wait(GUARD_S)

    threads = [threading.Thread(target=drawing, args=(run,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(GUARD_S)


def test_many_redraws_in_many_threads_leave_no_descriptor_behind():
    def redraw():
        charts = LiveCharts(3e8)
        for _ in range(2):
            charts.draw()

    drawing(redraw)
    before, fonts = descriptors(), fonts_open()
    in_threads(redraw, 4)
    assert fonts_open() == fonts == 0
    assert descriptors() <= before


def test_what_fails_gives_its_fonts_back_as_well():
    def fail():
        LiveCharts(None).draw()
        raise ValueError

    with pytest.raises(ValueError):
        drawing(fail)
    assert fonts_open() == 0
