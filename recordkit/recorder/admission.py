"""Whether the machine can carry one more recording."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import AdmissionError
from ..settings import VideoSettings
from .capacity import Capacity

_OTHER_BYTES = 8 * 1024 * 1024
_ENCODER_BYTES_PER_PIXEL = 25
_UNKNOWN_SIZE = (640, 360)
"""Small: nobody is refused for frames that may never come."""
DESCRIPTORS = 8
"""Files that one recording has open at a time: four, more for moments, and some for its source."""
RECENT_S = 10.0


@dataclass(frozen=True, slots=True)
class Needs:
    """What a recording will take. ``device`` is the number of the disk it goes to, None where that is not known.

    ``encodes`` says that it may have frames to encode.
    """

    name: str
    memory_bytes: int
    encodes: bool
    device: int | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """How a recording that runs in this process bears up.

    ``since_drop_s`` is the time since it last dropped something for want of room, ``since_full_s`` that
    since it last had coded more than its disk took; None where it never came to that.
    """

    name: str
    since_drop_s: float | None = None
    since_full_s: float | None = None
    device: int | None = None


def memory_bytes(tail_bytes: int, queue_bytes: int, video: VideoSettings | None) -> int:
    """What a recording may take once its tail and its queue are full; encoders as they were measured."""
    encoder_bytes = 0
    if video is not None:
        width, height = video.size or _UNKNOWN_SIZE
        encoder_bytes = width * height * _ENCODER_BYTES_PER_PIXEL
    return tail_bytes + queue_bytes + encoder_bytes + _OTHER_BYTES


def check(needs: Needs, running: Iterable[Load], capacity: Capacity) -> None:
    """Raises AdmissionError where the recording cannot be carried.

    A busy machine is no reason to refuse: what runs may well have all that it needs. It is only
    where a recording of this process loses media at this moment that another one would make it
    lose more; one that has no frames to encode is never refused for the processor's sake.
    """
    # First: without a descriptor nothing else can be asked.
    free = capacity.descriptors()
    if free is not None and free < DESCRIPTORS:
        raise AdmissionError(
            needs.name,
            "file descriptors",
            DESCRIPTORS,
            free,
            f"it opens up to {DESCRIPTORS} files, this process may open {free} more: raise the limit (ulimit -n)",
        )
    free_bytes = capacity.memory_bytes()
    if free_bytes is not None and free_bytes < needs.memory_bytes:
        raise AdmissionError(
            needs.name,
            "memory",
            needs.memory_bytes,
            free_bytes,
            f"it may need {needs.memory_bytes / 1e6:,.0f} MB of memory and {free_bytes / 1e6:,.0f} MB can be had: "
            "end another recording or program, or give a smaller queue_bytes or flush_threshold",
        )
    for load in running:
        if not _is_recent(load.since_drop_s):
            continue
        # A queue that fills since the disk is behind says nothing of the processor.
        if _is_recent(load.since_full_s):
            if needs.device is not None and needs.device == load.device:
                raise AdmissionError(
                    needs.name,
                    "disk",
                    None,
                    None,
                    f"the disk is behind already, {load.name} is losing media to it: record to another disk, "
                    "at a lower bit rate, or end a recording",
                )
        elif needs.encodes:
            raise AdmissionError(
                needs.name,
                "processor",
                None,
                None,
                f"{load.name} is losing media already, since it is not encoded fast enough: end a recording, "
                "pass packets through, or give a smaller size or a faster preset",
            )


def _is_recent(since_s: float | None) -> bool:
    return since_s is not None and since_s <= RECENT_S
