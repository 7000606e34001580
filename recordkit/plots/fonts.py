"""Fonts of threads that draw: matplotlib opens them anew in each thread, and keeps them open when it has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

from matplotlib import font_manager

P = ParamSpec("P")


def drawing(work: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Do ``work``, which may draw, as all that a thread does; its fonts are closed at its end.

    Threads that still draw open theirs again. Without this a notebook held two descriptors more with each thread
    that had ever drawn, up to 64 fonts.
    """
    try:
        work(*args, **kwargs)
    finally:
        # matplotlib has no public way to let go of fonts.
        clear = getattr(getattr(font_manager, "_get_font", None), "cache_clear", None)
        if clear is not None:
            clear()
