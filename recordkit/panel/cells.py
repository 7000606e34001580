"""Which panel a cell showed when it ran before: running it again must neither leak nor lose a recording."""

from __future__ import annotations

import sys
import weakref
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass
class _Cell(Generic[T]):
    execution: str
    shown: list[weakref.ref[T]] = field(default_factory=list)
    earlier: list[weakref.ref[T]] = field(default_factory=list)


def predecessor(panel: T) -> T | None:
    """The panel that stood in this one's place when the cell that runs now ran before, if it still exists.

    Notes ``panel`` for the next time. None outside a notebook, or if the front end does not name
    its cells.
    """
    shell = _shell()
    parent = shell.get_parent() if hasattr(shell, "get_parent") else None
    if not isinstance(parent, dict):
        return None
    cell = (parent.get("metadata") or {}).get("cellId")
    execution = str((parent.get("header") or {}).get("msg_id"))
    if not cell:
        return None
    # Kept by the shell, whose cells they are: a second shell in this process has cells of its own.
    cells: dict[str, _Cell[T]] = shell.__dict__.setdefault("recordkit_panels", {})
    known = cells.get(cell)
    if known is None or known.execution != execution:
        known = cells[cell] = _Cell(execution, earlier=known.shown if known else [])
    known.shown.append(weakref.ref(panel))
    return known.earlier.pop(0)() if known.earlier else None


def _shell() -> Any:  # noqa: ANN401 - IPython's shell, if there is one
    interactive = sys.modules.get("IPython")
    return None if interactive is None else interactive.get_ipython()
