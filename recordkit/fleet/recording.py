"""``rk.record_all``: many sources recorded at once, on this machine or on those of a Dask cluster."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from ..background.description import describe
from ..errors import FleetError, SettingsError
from ..recorder.admission import memory_bytes
from ..settings import PortableOptions, RecordingSettings
from ..signatures import named_with
from ..system import System
from ..telemetry.words import count_text
from ..threads import begin
from ..values import NumberLike, PathLike
from ..values import path as read_path
from ..writer.output import Output
from .cluster import ClusterSites, is_client
from .placed import Placed, Sites
from .placing import Placing
from .site import Site

if TYPE_CHECKING:
    import pandas as pd

    from ..sources.given import SourceLike
    from ..sources.source import SignalledSource

log = logging.getLogger("recordkit")

_STEP_S = 1.0
_LONGEST_UNWATCHED_S = 10.0
_FIELD = "{name}"
_HERE = "this machine"
_COLUMNS = {
    "name": "str",
    "state": "str",
    "worker": "str",
    "path": "str",
    "attempt": "int64",
    "elapsed_s": "Float64",
    "duration_s": "Float64",
    "file_bytes": "Int64",
    "bit_rate": "Float64",
    "dropped_units": "Int64",
    "bytes_at_risk": "Int64",
    "rss_bytes": "Int64",
    "free_bytes": "Int64",
    "process": "Int64",
    "problem": "str",
}
_EVENTS = {
    "name": "str",
    "what": "str",
    "path": "str",
    "worker": "str",
    "detail": "str",
    "without_s": "Float64",
    "final": "str",
    "bytes": "Int64",
    "duration_s": "Float64",
    "tail_bytes": "Int64",
}


@named_with(PortableOptions, RecordingSettings)
def record_all(
    sources: Mapping[str, SourceLike | SignalledSource],
    path: PathLike,
    *,
    engine: Any = None,  # noqa: ANN401 - a distributed.Client, of an optional package
    seconds: NumberLike | None = None,
    **settings: Unpack[PortableOptions],
) -> Fleet:
    """Record many sources at once, each in a process of its own, into ``path`` with ``{name}`` for its name.

    Without ``engine`` on this machine. With a ``distributed.Client`` (the extra ``fleet``) on its workers, each
    where there is room: memory, descriptors, disk, and no more than a worker's resource ``slots``, if it has one
    (``dask worker --resources slots=4``). ``path`` must lead to the same folder on all of them. ``settings`` are
    those of ``start``.

    A recording goes on when its Dask worker dies, is retired or scaled down, and is found again by another worker
    on its machine. The same call of ``record_all`` finds again what still records, and records nothing twice: of
    what nobody can be called about it waits to see whether its file grows (state "silent"), and if it does not,
    has it recovered. If its machine is gone, or its process was killed, the
    source is placed anew within ten seconds, into ``name-2.ts`` and so on, and what was recorded before is
    recovered by the next worker that sees its folder. What that cost is a row of ``Fleet.events``.

    Raises SettingsError for what cannot be used, OutputNameError for a name that is none of a recording, FleetError
    if the cluster is not there. A source that cannot be recorded is a row of ``Fleet.figures``; the others go on.
    """
    placed = _placed(sources, path, seconds, settings)
    chosen = RecordingSettings(path=placed[0].first_path, **settings)
    # Two slots of a threshold each, and their headers.
    needs = memory_bytes(2 * chosen.flush_threshold, chosen.queue_bytes, chosen.video)
    if engine is None:
        sites: Sites = LocalSites()
    elif is_client(engine):
        sites = ClusterSites(engine)
    else:
        advice = "give a distributed.Client, or None for the processes of this machine"
        raise SettingsError("engine", engine, advice)
    return Fleet(placed, sites, needs)


def _placed(
    sources: Any,  # noqa: ANN401 - whatever a caller gives
    path: PathLike,
    seconds: NumberLike | None,
    settings: Mapping[str, Any],
) -> list[Placed]:
    from ..sources.given import source_of  # which loads PyAV

    pattern = str(read_path("path", path).absolute())
    if not isinstance(sources, Mapping) or not sources:
        raise SettingsError("sources", sources, "give a dict, of sources by their names")
    if _FIELD not in Path(pattern).name and len(sources) > 1:
        raise SettingsError("path", pattern, "give a name with {name} in it, such as 'shared/{name}.ts'")
    told = {name: describe(name, value) for name, value in {"seconds": seconds, **settings}.items()}
    placed = []
    for name, source in sources.items():
        if not isinstance(name, str) or not name or "/" in name or "\0" in name or name.startswith("."):
            raise SettingsError("sources", name, "give each a name that can be part of a file's name")
        made = (
            source if hasattr(source, "open_on") and not isinstance(source, type) else source_of("sources", source)
        )
        target = pattern.replace(_FIELD, name)
        Output(Path(target), System())  # refuses what is no name of a recording
        order = {"source": describe("sources", made), "settings": told}
        placed.append(Placed(name, order, target))
    return placed


class LocalSites:
    """No machine but this one, whose recordings end with this program."""

    def __init__(self) -> None:
        self._site = Site("finish")

    def living(self) -> dict[str, float | None]:
        """The one."""
        return {_HERE: None}

    def ask(self, questions: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """What it answers."""
        return {address: self._site.answer(asked) for address, asked in questions.items()}


class Fleet:
    """Many sources that are recorded; ``recordkit.record_all`` makes it. As a context it is stopped at the end.

    ``figures`` has a row a source, ``events`` a row for each time that one was placed, lost, found again, or
    recovered. Those of a cluster go on when this program ends; the same call finds them again.
    """

    def __init__(self, placed: list[Placed], sites: Sites, memory_bytes: int) -> None:
        self._events: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._failure: FleetError | None = None
        self._placing = Placing(placed, sites, memory_bytes, self._note, time.monotonic)
        self._closing, self._ended = threading.Event(), threading.Event()
        self._placing.step()
        self._thread = threading.Thread(target=self._run, name="recordkit-fleet", daemon=True)
        begin(self._thread, f"{len(placed):,} sources")

    def _note(self, event: dict[str, Any]) -> None:
        self._events.append({"time": time.time_ns(), **event})
        if event["what"] in ("lost", "failed", "refused", "no room"):
            log.warning("%s: %s (%s): %s", event["name"], event["what"], event["worker"], event.get("detail", ""))

    def _run(self) -> None:
        try:
            while not self._placing.has_ended and not self._closing.wait(_STEP_S):
                self._step()
        finally:
            self._ended.set()

    def _step(self) -> None:
        try:
            with self._lock:
                self._placing.step()
            self._failure = None
        except FleetError as error:
            if self._failure is None:
                log.warning("The recordings go on unwatched: %s", error)
            self._failure = error

    @property
    def error(self) -> FleetError | None:
        """Why the recordings cannot be watched at the moment; None if they can."""
        return self._failure

    @property
    def figures(self) -> pd.DataFrame:
        """One row a source: ``state``, ``worker``, ``path`` of its newest file, and the figures of ``Session``."""
        import pandas as pd

        with self._lock:
            rows = [
                {**one.standing, **{name: getattr(one, name) for name in ("name", "state", "path", "attempt")}}
                | {"worker": one.site}
                for one in self._placing.sources
            ]
        from .rows import piece

        return piece(rows, _COLUMNS).set_index("name") if rows else pd.DataFrame()

    @property
    def events(self) -> pd.DataFrame:
        """One row for each time a source was placed, began to record, was lost, found again, recovered, or failed.

        ``without_s`` is how long it was not recorded; ``bytes``, ``duration_s`` and ``tail_bytes`` are what was
        recovered, into ``final``.
        """
        import pandas as pd

        from .rows import piece

        with self._lock:
            events = list(self._events)
        rows = piece(events, _EVENTS)
        times = pd.to_datetime(pd.Series([one["time"] for one in events], dtype="int64"), unit="ns", utc=True)
        rows.insert(0, "time", times.astype("datetime64[ns, UTC]"))
        return rows

    def __repr__(self) -> str:
        states = [one.state for one in self._placing.sources]
        counts = ", ".join(f"{states.count(one):,} {one}" for one in sorted(set(states)))
        return f"<Fleet {count_text(len(states), 'source')}: {counts}>"

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until all sources have ended, ``seconds`` at the most; whether they have."""
        self._ended.wait(seconds)
        return self._placing.has_ended

    def stop(self, *, timeout: float | None = None) -> pd.DataFrame:
        """End and commit all recordings, and recover what is left; the figures then.

        Raises FleetError if that is not done within ``timeout`` seconds (it goes on), if the cluster has not been
        there for ten, or they are watched no more.
        """
        self._placing.is_stopping = True
        begun_s = time.monotonic()
        while not self.wait(_STEP_S if timeout is None else min(_STEP_S, timeout)) and not self._ended.is_set():
            passed_s = time.monotonic() - begun_s
            if self._failure is not None and passed_s >= _LONGEST_UNWATCHED_S:
                raise FleetError(
                    self._failure.engine, f"the recordings go on, nobody can stop them: {self._failure}"
                )
            if timeout is not None and passed_s >= timeout:
                break
        if not self._placing.has_ended:
            watched = "are watched no more" if self._ended.is_set() else f"have not all ended within {timeout:g} s"
            raise FleetError("the fleet", f"its recordings {watched}: {self!r}")
        return self.figures

    def close(self) -> None:
        """Watch no more: nothing is placed anew. Those of a cluster go on."""
        self._closing.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.close()
