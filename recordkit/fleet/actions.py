"""What is done to each of many files, in a process that does nothing else; each returns a row."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ..errors import RecordkitError, SettingsError, SourceError
from ..names import stem_of
from ..system import System
from ..writer.whole import SUFFIX as EXPORTING
from ..writer.whole import WholeFile
from .files import MEDIA, MOVIES, TRANSPORT_STREAMS, VIDEOS
from .rows import FIRST, LAST, Row, failed_by

if TYPE_CHECKING:
    from ..verification.check import Problem
    from ..verification.verify import Verification

_WORST = ("no media", "not a transport stream", "cut", "lost sync", "continuity")
"""Kinds of problems that begin so are told first, in this order; then what the check has found first."""


@dataclass(frozen=True, slots=True)
class Task:
    """One file and what is to be done to it: the name of an action, where the copy goes, further ``options``."""

    action: str
    path: str
    target: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Action:
    """Its name and work; the suffixes that it means in a folder; what its rows have between first and last.

    ``makes`` is the suffix of what it makes of a file, by the options; None: it makes nothing that is named here.
    """

    work: Callable[[Task], Row]
    suffixes: tuple[str, ...]
    own: Mapping[str, str]
    makes: Callable[[str, Mapping[str, Any]], str] | None = None

    @property
    def columns(self) -> dict[str, str]:
        """The columns of its rows, with their dtypes."""
        return {**FIRST, **self.own, **LAST}


def run(task: Task) -> Row:
    """Do ``task``. What fails is a row, too; only a fault of recordkit's own is raised."""
    began = perf_counter()
    try:
        row = ACTIONS[task.action].work(task)
    except (RecordkitError, OSError, MemoryError) as error:
        row = failed_by(task.path, error)
    return row | {"elapsed_s": round(perf_counter() - began, 6)}


def clear(task: Task) -> None:
    """Remove what a process that died at ``task`` has left of its copy: the original has all of it."""
    if task.target is None:
        return
    stem, suffix = os.path.splitext(task.target)  # noqa: PTH122
    for left in (task.target + EXPORTING, f"{stem}.repairing{suffix}"):
        Path(left).unlink(missing_ok=True)


def _verify(task: Task) -> Row:
    from ..verification.verify import verify, verify_stored

    if _is_elsewhere(task.path):
        from ..reading.remote import remote

        if task.options.get("decode"):
            raise SourceError(task.path, "is a URL: only files here are decoded")
        store = remote(task.path)
        if store is None:
            raise SourceError(task.path, "cannot be had by ranges: copy it to a file here")
        return _verified(verify_stored(task.path, store.size, store.read))
    return _verified(verify(task.path, decode=bool(task.options.get("decode"))))


def _is_elsewhere(path: str) -> bool:
    return "://" in path


def _check_is_here(task: Task) -> None:
    if _is_elsewhere(task.path):
        raise SourceError(task.path, "is a URL, of which verify and frames can read: copy it to a file here")


def _verified(found: Verification) -> Row:
    video = next((one for one in found.streams if one.is_video), None)
    size = None if video is None or not video.sizes else video.sizes[0]
    problem = worst(found.problems)
    return {
        "path": found.path,
        "ok": found.ok,
        "problem": None if problem is None else problem.kind,
        "detail": None if problem is None else problem.detail,
        "problems": len(found.problems),
        "streams": len(found.streams),
        "codecs": " ".join(one.codec for one in found.streams),
        "duration_s": found.duration_s,
        "bytes": found.bytes,
        "bit_rate": found.bit_rate,
        "gaps": sum(one.gaps for one in found.streams),
        "gaps_s": sum(one.gaps_s for one in found.streams),
        "frames": sum(one.frames for one in found.streams),
        "keyframes": sum(one.keyframes for one in found.streams),
        "width": None if size is None else size.width,
        "height": None if size is None else size.height,
        "frame_rate": None if video is None else video.frame_rate,
        "decoded": found.decoded,
    }


def worst(problems: tuple[Problem, ...]) -> Problem | None:
    """The one that says most about what is wrong."""

    def rank(problem: Problem) -> int:
        return next((at for at, words in enumerate(_WORST) if problem.kind.startswith(words)), len(_WORST))

    return min(problems, key=rank, default=None)


def _recover(task: Task) -> Row:
    from ..recovery.outcome import Outcome
    from ..recovery.recover import recover_one
    from ..recovery.repair import repair

    _check_is_here(task)
    dry_run = bool(task.options.get("dry_run"))
    if task.target is None:
        found = recover_one(Path(task.path), dry_run=dry_run, on_progress=None, system=System())
    else:
        row = _verify(task)
        if row["ok"]:
            kept = {name: row[name] for name in ("path", "ok", "problem", "detail", "duration_s", "bytes")}
            return kept | {"outcome": "whole", "cut_bytes": 0}
        if not dry_run:
            Path(task.target).parent.mkdir(parents=True, exist_ok=True)
        found = repair(Path(task.path), task.target, dry_run=dry_run, on_progress=None, system=System())
    is_running = found.outcome is Outcome.RECORDING
    return {
        "path": task.path,
        "ok": found.ok or is_running,
        "problem": None if found.ok else str(found.outcome),
        "detail": found.message.removeprefix(f"{found.path}: "),
        "failed": found.outcome in (Outcome.FAILED, Outcome.RECORDING),
        "outcome": str(found.outcome),
        "output": None if found.final_path is None else str(found.final_path),
        "duration_s": found.duration_s,
        "bytes": found.bytes,
        "tail_bytes": found.tail_bytes,
        "cut_bytes": found.cut_bytes,
    }


def _export(task: Task) -> Row:
    from ..reading.export import export

    _check_is_here(task)
    if task.target is None:
        raise SettingsError("output", None, "an export has a target")
    made = export(task.path, task.target)
    return {
        "path": task.path,
        "ok": True,
        "output": str(made.path),
        "duration_s": made.duration_s,
        "bytes": made.bytes,
        "units": made.units,
        "encoded": made.encoded,
    }


def _frames(task: Task) -> Row:
    from ..reading.opening import open as open_video

    with open_video(task.path) as video:
        frames = video.frames
        row: Row = {
            "path": task.path,
            "ok": True,
            "frames": len(frames),
            "keyframes": int(frames["keyframe"].sum()),
            "duration_s": video.duration_s,
            "frame_rate": video.fps,
            "lost": int(frames["lost_before"].sum()),
            "damaged": int(frames["damaged"].sum()),
        }
    problems = [f"{row[name]:,} {words}" for name, words in (("lost", "lost"), ("damaged", "damaged")) if row[name]]
    if problems:
        row |= {"ok": False, "problem": "frames " + " and ".join(w for w in ("lost", "damaged") if row[w])}
        row |= {"detail": ", ".join(problems)}
    if task.target is not None:
        _write_table(frames, Path(task.target))
        row["output"] = task.target
    return row


def _write_table(frames: Any, target: Path) -> None:  # noqa: ANN401 - a DataFrame
    if target.suffix == ".parquet":
        from io import BytesIO

        binary = BytesIO()
        try:
            frames.to_parquet(binary)
        except ImportError as error:
            raise SourceError(str(target), f"Parquet needs pyarrow: {error}") from error
        data = binary.getvalue()
    else:
        text = StringIO()
        frames.to_csv(text)
        data = text.getvalue().encode()
    with WholeFile(target, System()) as file:
        file.write(data)
        file.commit()


def _same_kind(name: str, options: Mapping[str, Any]) -> str:
    """A repaired file is of the kind of the broken one."""
    return ".mp4" if name.lower().endswith(MOVIES) else ".ts"


def _chosen(name: str, options: Mapping[str, Any]) -> str:
    return str(options["suffix"])


def stem(name: str) -> str:
    """``name`` without the suffix of its kind of media."""
    ends = next((one for one in sorted(VIDEOS + MEDIA, key=len, reverse=True) if name.lower().endswith(one)), "")
    return min(stem_of(name), name[: len(name) - len(ends)], key=len)


ACTIONS = {
    "verify": Action(
        _verify,
        MEDIA,
        {
            "problems": "Int64",
            "streams": "Int64",
            "codecs": "str",
            "duration_s": "Float64",
            "bytes": "Int64",
            "bit_rate": "Float64",
            "gaps": "Int64",
            "gaps_s": "Float64",
            "frames": "Int64",
            "keyframes": "Int64",
            "width": "Int64",
            "height": "Int64",
            "frame_rate": "Float64",
            "decoded": "boolean",
        },
    ),
    "recover": Action(
        _recover,
        (*TRANSPORT_STREAMS, *MOVIES),
        {
            "outcome": "str",
            "output": "str",
            "duration_s": "Float64",
            "bytes": "Int64",
            "tail_bytes": "Int64",
            "cut_bytes": "Int64",
        },
        _same_kind,
    ),
    "export": Action(
        _export,
        (*TRANSPORT_STREAMS, *MOVIES),
        {"output": "str", "duration_s": "Float64", "bytes": "Int64", "units": "Int64", "encoded": "Int64"},
        _chosen,
    ),
    "frames": Action(
        _frames,
        VIDEOS,
        {
            "frames": "Int64",
            "keyframes": "Int64",
            "duration_s": "Float64",
            "frame_rate": "Float64",
            "lost": "Int64",
            "damaged": "Int64",
            "output": "str",
        },
        _chosen,
    ),
}
"""By their names."""
