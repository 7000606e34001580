"""What is done to each of many files, in a process that does nothing else; each returns a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from ..errors import RecordkitError, SettingsError, SourceError
from ..names import stem_of
from ..system import System
from ..verification.room import Room
from .frames import count_frames, look_into
from .rows import FIRST, LAST, Row, failed_by
from .suffixes import MEDIA, MOVIES, TRANSPORT_STREAMS, VIDEOS
from .task import Task
from .verdicts import check_part, join_parts, verify_one


@dataclass(frozen=True, slots=True)
class Action:
    """Its name and work; the suffixes that it means in a folder; what its rows have between first and last.

    ``makes`` is the suffix of what it makes of a file, by the options; None: it makes nothing that is named here.
    """

    work: Callable[[Task, Room], Row]
    suffixes: tuple[str, ...]
    own: Mapping[str, str]
    makes: Callable[[str, Mapping[str, Any]], str] | None = None

    @property
    def columns(self) -> dict[str, str]:
        """The columns of its rows, with their dtypes."""
        return {**FIRST, **self.own, **LAST}


def run(task: Task, room: Room | None = None) -> Row:
    """Do ``task``, by the memory of ``room``. What fails is a row, too; only our own faults are raised."""
    began = perf_counter()
    try:
        row = ACTIONS[task.action].work(task, room or Room())
    except (RecordkitError, OSError, MemoryError) as error:
        row = failed_by(task.path, error)
    return task.row(row | {"elapsed_s": round(perf_counter() - began, 6)})


def _check_is_here(task: Task) -> None:
    if task.is_elsewhere:
        raise SourceError(task.path, "is a URL, of which verify and frames can read: copy it to a file here")


def _recover(task: Task, room: Room) -> Row:
    from ..recovery.outcome import Outcome
    from ..recovery.recover import recover_one
    from ..recovery.repair import repair

    _check_is_here(task)
    dry_run = bool(task.options.get("dry_run"))
    if task.target is None:
        found = recover_one(Path(task.path), dry_run=dry_run, on_progress=None, system=System())
    else:
        row = verify_one(task, room)
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


def _export(task: Task, _: Room) -> Row:
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
        verify_one,
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
    # Of a file that is checked in parts.
    "check part": Action(check_part, (), {}),
    "join parts": Action(join_parts, (), {}),
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
    "open": Action(
        look_into,
        VIDEOS,
        {
            "frames": "Int64",
            "width": "Int64",
            "height": "Int64",
            "duration_s": "Float64",
            "frame_rate": "Float64",
            "groups": "object",
        },
    ),
    "frames": Action(
        count_frames,
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
