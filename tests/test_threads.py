"""Threads that the system does not give: an error of our own."""

import threading

import pytest

from recordkit.errors import AdmissionError
from recordkit.threads import begin


@pytest.mark.usefixtures("none_left")
def test_a_thread_that_cannot_be_had_is_an_error_of_our_own():
    with pytest.raises(
        AdmissionError, match=r"talk\.ts: not started, for want of threads: .*ulimit -u\)$"
    ) as caught:
        begin(threading.Thread(), "talk.ts")
    assert (caught.value.short, caught.value.needed, caught.value.available) == ("threads", 1, 0)
