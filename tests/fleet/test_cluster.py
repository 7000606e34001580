"""The workers of a Dask cluster: the same rows, and what is said of a cluster that cannot be used."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import distributed
import pytest
from distributed.client import ClosedClientError, FutureCancelledError
from distributed.scheduler import KilledWorker

import recordkit as rk
from recordkit.fleet import cluster, many, recording
from recordkit.fleet.cluster import Cluster, is_client, run_at
from recordkit.fleet.task import Task
from recordkit.version import __version__
from tests.fleet.driving import Here, lay_archive, until


@pytest.fixture(scope="module")
def client() -> Iterator[distributed.Client]:
    """Two workers in processes of their own."""
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as local,
        distributed.Client(local) as made,
    ):
        yield made


def path() -> str:
    return str(Path(rk.__file__).parents[1])


def test_the_rows_are_those_of_this_machine(
    client: distributed.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = lay_archive(tmp_path / "archive")
    monkeypatch.setattr(many, "Pool", lambda jobs: Here())
    here = rk.verify_all(archive)
    there = rk.verify_all(archive, engine=client, progress=False)
    assert there.drop(columns="elapsed_s").equals(here.drop(columns="elapsed_s"))


class Fake:
    """A client that does at once what it is given, as far as the cluster asks."""

    asynchronous = False
    status = "running"

    def __init__(
        self, versions: dict[str, object], status: str = "finished", dask: str = distributed.__version__
    ) -> None:
        self._versions, self._ends = versions, status
        told = {"packages": {"distributed": dask}}
        self.scheduler = SimpleNamespace(address="tcp://127.0.0.1:1", versions=lambda: told)
        self.cancelled: list[object] = []
        self.sent: list[int] = []

    def sync(self, ask: Callable[[], object]) -> object:
        return ask()

    def wait_for_workers(self, count: int, timeout: float) -> None:
        if not self._versions:
            raise TimeoutError

    def run(self, probe: object, on_error: str) -> dict[str, object]:
        return self._versions

    def nthreads(self) -> dict[str, int]:
        return dict.fromkeys(self._versions, 1)

    def submit(self, work: object, tasks: list[Task], version: str, pure: bool) -> SimpleNamespace:
        task = tasks[0]
        self.sent.append(len(tasks))
        rows = [{"path": one.path, "ok": True, "elapsed_s": 0.01} for one in tasks]
        ends = "error" if any(one.path == "kill" for one in tasks) else self._ends
        future = SimpleNamespace(key=f"{task.path} {len(tasks)}", status=ends, result=lambda: rows)
        future.exception = lambda: KilledWorker(task.path, None, 4) if task.target else ValueError("odd")
        future.add_done_callback = lambda call: ends == "pending" or call(future)
        return future

    def cancel(self, futures: list[object]) -> None:
        self.cancelled += futures


def rows(client: Fake, count: int = 3) -> list[Any]:
    return list(Cluster(client, wait_s=0).rows(Task("verify", str(number)) for number in range(count)))


def test_workers_without_recordkit_or_with_another_are_told() -> None:
    versions = {"tcp://a": __version__, "tcp://b": None, "tcp://c": "0.0.1"}
    with pytest.raises(rk.FleetError) as raised:
        rows(Fake(versions))
    assert str(raised.value) == (
        f"tcp://127.0.0.1:1: 2 of 3 workers cannot work with recordkit {__version__}: tcp://b has none, "
        "tcp://c has 0.0.1; install that version there"
    )
    with pytest.raises(rk.FleetError, match="2 more; install"):
        rows(Fake(dict.fromkeys("abcde")))
    with pytest.raises(rk.FleetError, match="has recordkit"):
        run_at([Task("verify", "a")], "0.0.1")


@pytest.mark.parametrize(("version", "words"), [(None, "has none"), ("0.0.1", r"has 0\.0\.1")])
def test_real_workers_without_recordkit_or_with_another_are_told(
    client: distributed.Client, tmp_path: Path, version: str | None, words: str
) -> None:
    def change(other: str | None) -> None:
        import sys
        from types import SimpleNamespace

        sys.modules["recordkit.version"] = None if other is None else SimpleNamespace(__version__=other)  # type: ignore[assignment]

    def change_back() -> None:
        import sys

        del sys.modules["recordkit.version"]

    client.run(change, version)
    try:
        with pytest.raises(rk.FleetError, match=f"2 of 2 workers cannot work with.*{words}.*install that version"):
            rk.verify_all(tmp_path, engine=client, progress=False)
        with pytest.raises(rk.FleetError, match=words):
            rk.record_all({"a": rk.Synthetic()}, tmp_path / "{name}.ts", engine=client)
    finally:
        client.run(change_back)
    assert not list(tmp_path.iterdir())


def test_a_scheduler_of_another_version_is_told_beside_what_it_does(caplog: pytest.LogCaptureFixture) -> None:
    versions: dict[str, object] = {"a": __version__}
    here = distributed.__version__
    assert len(rows(Fake(versions, dask="2024.8.0"))) == 3
    assert f"tcp://127.0.0.1:1 has distributed 2024.8.0, and here is {here}" in caplog.text

    def refuse(*_: object, **__: object) -> None:
        raise TypeError("unexpected keyword")

    client = Fake(versions, dask="2024.8.0")
    client.run = refuse  # type: ignore[assignment, method-assign]
    with pytest.raises(
        rk.FleetError, match=r"not understood: TypeError: unexpected keyword \(it has .* 2024\.8\.0"
    ):
        rows(client)
    same = Fake(versions)
    same.run = refuse  # type: ignore[assignment, method-assign]
    with pytest.raises(TypeError):
        rows(same)


def test_a_real_scheduler_that_is_gone_is_told(tmp_path: Path) -> None:
    with (
        distributed.LocalCluster(1, processes=False, dashboard_address=":0", silence_logs=50) as local,
        distributed.Client(local) as client,
    ):
        local.close()
        with pytest.raises(rk.FleetError, match="is the scheduler there"):
            rk.verify_all(tmp_path, engine=client, progress=False)


def test_a_worker_that_dies_while_it_is_asked_ends_nothing() -> None:
    assert len(rows(Fake({"tcp://a": __version__, "tcp://b": OSError("Stream is closed")}))) == 3
    with pytest.raises(rk.FleetError, match="tcp://b has none"):
        rows(Fake({"tcp://a": __version__, "tcp://b": TypeError("cannot be unpickled")}))


def test_a_cluster_that_is_not_there_is_told() -> None:
    gone = Fake({"a": __version__})
    gone.status = "closed"
    with pytest.raises(rk.FleetError, match="not connected"):
        rows(gone)
    with pytest.raises(rk.FleetError, match="the scheduler has no workers"):
        rows(Fake({}))
    with pytest.raises(rk.FleetError, match="the scheduler has lost 0"):
        rows(Fake({"a": __version__}, "cancelled"))


def test_a_scheduler_that_goes_while_there_is_work_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Fake({"a": __version__}, "pending")
    made = Cluster(client).rows(Task("verify", str(number)) for number in range(10))
    monkeypatch.setattr(cluster, "TICK_S", 0.01)
    assert next(made) is None
    client.status = "closed"
    with pytest.raises(rk.FleetError, match="not connected"):
        next(made)
    assert client.cancelled == [], "nobody is there to do it"


def test_what_is_not_wanted_any_more_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Fake({"a": __version__}, "pending")
    monkeypatch.setattr(cluster, "TICK_S", 0.01)
    with closing(Cluster(client).rows(Task("verify", str(number)) for number in range(10))) as made:
        assert next(made) is None
    assert len(client.cancelled) == 2, "no more were asked for than two for a thread"


@pytest.mark.parametrize(
    "error", [OSError("closed"), FutureCancelledError("a", "gone"), ClosedClientError("closed")]
)
def test_what_a_scheduler_that_is_gone_makes_of_a_call_is_told(error: Exception) -> None:
    client = Fake({"a": __version__})

    def refuse(*_: object, **__: object) -> None:
        raise error

    client.submit = refuse  # type: ignore[assignment, method-assign]
    with pytest.raises(rk.FleetError, match="the scheduler does not answer any more"):
        rows(client)


def test_what_a_worker_raises_is_a_row() -> None:
    found = rows(Fake({"a": __version__}, "error"))
    assert {(row["problem"], row["detail"]) for row in found} == {("failed", "ValueError: odd")}
    assert [row["ok"] for row in rows(Fake({"a": __version__}))] == [True] * 3


@pytest.mark.parametrize("status", ["lost", "pending"])
def test_what_was_done_on_a_worker_that_died_with_it_is_waited_for_once_more(status: str) -> None:
    class Losing(Fake):
        def submit(self, *arguments: Any, **options: Any) -> SimpleNamespace:
            future = super().submit(*arguments, **options)
            future.status, calls = status, []

            def add(call: Callable[[object], object]) -> None:
                calls.append(call)
                if len(calls) == 2:
                    future.status = "finished"
                call(future)

            future.add_done_callback = add
            return future

    found = rows(Losing({"a": __version__}))
    assert sorted(row["path"] for row in found if row is not None) == ["0", "1", "2"]
    assert all(row["ok"] for row in found if row is not None)


def test_small_files_are_sent_together_and_one_that_kills_costs_its_own_row_alone() -> None:
    client = Fake({"a": __version__})
    names = [*map(str, range(90)), "kill", "last"]
    found = list(Cluster(client).rows(Task("verify", name) for name in names))
    assert sorted(str(row["path"]) for row in found if row is not None) == sorted(names)
    assert [row["path"] for row in found if row is not None and not row["ok"]] == ["kill"]
    assert client.sent[0] == 1
    assert max(client.sent) == 25, "as many as take a quarter of a second"


def test_a_file_at_which_each_worker_died_is_a_row_and_nothing_half_is_left(tmp_path: Path) -> None:
    (tmp_path / "a.mp4.exporting").write_bytes(b"1")
    client = Fake({"a": __version__}, "error")
    (row,) = Cluster(client).rows(iter([Task("export", "a.ts", str(tmp_path / "a.mp4"))]))
    assert row is not None
    assert (row["path"], row["problem"], row["ok"]) == ("a.ts", "worker died", False)
    assert list(tmp_path.iterdir()) == []


def test_a_client_is_known_without_dask_being_imported() -> None:
    assert not is_client(object())
    asynchronous = Fake({})
    asynchronous.asynchronous = True
    with pytest.raises(rk.SettingsError, match="not asynchronous"):
        Cluster(asynchronous)
    code = "import sys, recordkit.fleet.many; sys.exit('dask' in sys.modules or 'distributed' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=path(), check=False).returncode == 0


def test_a_recording_outlives_its_worker_and_is_found_again(
    client: distributed.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "_STEP_S", 0.05)
    sources = {"door": rk.Synthetic(width=64, height=48, fps=25, audio=False)}
    fleet = rk.record_all(sources, tmp_path / "{name}.ts", engine=client)
    until(lambda: fleet.figures["state"].tolist() == ["recording"])
    address = fleet.figures.loc["door", "worker"]
    before = fleet.figures["process"].tolist()
    os.kill(client.run(os.getpid, workers=[address])[address], signal.SIGKILL)
    until(lambda: fleet.figures.loc["door", "worker"] not in (address, ""))
    assert fleet.figures["process"].tolist() == before
    fleet.close()
    with rk.record_all(sources, tmp_path / "{name}.ts", engine=client) as again:
        until(lambda: again.figures["state"].tolist() == ["recording"])
        assert again.figures["process"].tolist() == before
        until(lambda: again.figures.loc["door", "file_bytes"] > 0)
    assert again.events["what"].tolist().count("found again") == 1
    assert rk.verify_all(tmp_path, engine=client, progress=False)["ok"].tolist() == [True]
