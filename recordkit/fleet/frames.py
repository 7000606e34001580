"""What is asked of the frames of one of many videos."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

from ..errors import SourceError
from ..system import System
from ..verification.room import Room
from ..writer.whole import WholeFile
from .rows import Row
from .task import Task


def count_frames(task: Task, _: Room) -> Row:
    """The row of a video's frames; with a target their table is written there."""
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


def look_into(task: Task, _: Room) -> Row:
    """The row of a video that is one of many to be opened: how many frames, of which size, in which groups."""
    from ..reading.opening import open as open_video

    with open_video(task.path) as video:
        if not len(video):
            raise SourceError(task.path, "holds no frames")
        width, height = video.size
        return {
            "path": task.path,
            "ok": True,
            "frames": len(video),
            "width": width,
            "height": height,
            "duration_s": video.duration_s,
            "frame_rate": video.fps,
            "groups": video.groups,
        }
