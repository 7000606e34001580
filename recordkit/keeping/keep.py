"""``rk.keep``: a folder brought within bounds, with no recording under way."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OutputBusyError, RecordkitError
from ..settings import Keep
from ..signatures import named
from ..system import Clock, System
from ..values import PathLike, flag, instance
from ..values import path as read_path
from .passing import Judged, Passed, Passes

if TYPE_CHECKING:
    import pandas as pd

_KEEP = instance(Keep, "give recordkit.Keep(max_age=..., max_bytes=..., min_free=..., max_count=...)")
_LONGEST_TURN_S = 10.0
_TRY_S = 0.05


@named
def keep(
    folder: PathLike,
    bounds: Keep,
    *,
    dry_run: bool = False,
    _clock: Clock | None = None,
    _system: System | None = None,
) -> pd.DataFrame:
    """Delete the oldest recordings of ``folder`` until it is within ``bounds``; with ``dry_run`` only name them.

    Only what recordkit has recorded there is looked at (it has a log or a table beside it, or was recovered),
    never what lies in folders below or behind a link. One stays that is being recorded or unfinished, that is
    pinned (``recordkit.pin``), that recordkit is reading at this moment, that has changed, or, with
    ``verified_only``, that is not sound. Who is killed in the middle leaves each recording whole, or
    remains of it that the next pass clears.

    One row a recording that is beyond a bound: ``path``, ``bytes`` with all that lies beside it, ``ended`` (UTC),
    ``because``, ``fate`` (``deleted``, ``due`` in a dry run, ``kept``), ``problem`` that kept it.

    Raises SettingsError, OutputAccessError if the folder cannot be looked at, OutputBusyError if another pass is
    at work in it for too long.
    """
    found = passed(folder, bounds, dry_run=dry_run, clock=_clock or Clock(), system=_system or System())
    return table(found.judged)


def passed(folder: PathLike, bounds: Keep, *, dry_run: bool, clock: Clock, system: System) -> Passed:
    """One pass over ``folder``. Raises as ``keep``."""
    passes = Passes(read_path("folder", folder), _KEEP("bounds", bounds), system, whats_wrong)
    flag("dry_run", dry_run)
    until_s = clock.monotonic() + _LONGEST_TURN_S
    while True:
        try:
            return passes.run(clock.time_ns(), dry_run=dry_run)
        except OutputBusyError:
            if clock.monotonic() >= until_s:
                raise
            clock.sleep(_TRY_S, threading.Event())


def whats_wrong(path: Path) -> str | None:
    """What ``verify`` finds wrong with a recording, in words; None if nothing."""
    from ..verification.verify import verify  # which not every pass needs

    try:
        found = verify(path)
    except RecordkitError as error:
        return str(error)
    return None if found.ok else ", ".join(dict.fromkeys(one.kind for one in found.problems))


def table(judged: tuple[Judged, ...]) -> pd.DataFrame:
    """What was judged as a DataFrame."""
    import pandas as pd

    rows = [(str(o.path), o.bytes, o.ended_ns, o.because, str(o.fate), o.problem) for o in judged]
    frame = pd.DataFrame(rows, columns=["path", "bytes", "ended", "because", "fate", "problem"])
    frame["ended"] = pd.to_datetime(frame["ended"].astype("int64"), unit="ns", utc=True)
    texts = dict.fromkeys(("path", "because", "fate", "problem"), "object")
    return frame.astype({**texts, "bytes": "int64"})
