"""Threads that begin, or an error of our own: a system may give no further one (RLIMIT_NPROC, pids.max)."""

from __future__ import annotations

import threading

from .errors import AdmissionError


def begin(thread: threading.Thread, owner: str) -> None:
    """Start ``thread``, which works for the recording ``owner``. Raises AdmissionError if the system has none."""
    try:
        thread.start()
    except RuntimeError as error:
        raise AdmissionError(
            owner,
            "threads",
            1,
            0,
            "the system gives this process no further thread: end another recording or program, or raise the limit "
            "(ulimit -u)",
        ) from error
