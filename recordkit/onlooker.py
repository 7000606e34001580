"""Whoever only looks on cannot end a recording: what it raises is logged, and goes no further."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

log = logging.getLogger("recordkit")

P = ParamSpec("P")
R = TypeVar("R")


class Onlooker:
    """Makes the calls of one that looks on, called ``name`` in the log; each that looks on has its own.

    The first failure of a call is logged with its traceback; those that follow it at once say nothing new, and are
    not told. Another call that succeeds in between ends nothing.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._failing: set[str] = set()

    def tell(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """What ``call`` returns; None if it raised something."""
        what = getattr(call, "__qualname__", type(call).__qualname__)
        try:
            result = call(*args, **kwargs)
        except Exception:
            if what not in self._failing:
                self._failing.add(what)
                log.exception("%s failed; the recording goes on", self._name)
            return None
        self._failing.discard(what)
        return result
