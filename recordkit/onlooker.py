"""Whoever only looks on cannot end a recording: what it raises is logged, and goes no further."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

log = logging.getLogger("recordkit")

P = ParamSpec("P")
R = TypeVar("R")


class Onlooker:
    """Makes the calls of one that looks on, called ``name`` in the log; each thread had better have its own.

    The first failure is logged with its traceback; those that follow it at once say nothing new, and are not told.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._has_failed = False

    def tell(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """What ``call`` returns; None if it raised something."""
        try:
            result = call(*args, **kwargs)
        except Exception:
            if not self._has_failed:
                self._has_failed = True
                log.exception("%s failed; the recording goes on", self._name)
            return None
        self._has_failed = False
        return result
