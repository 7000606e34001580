"""Who takes what a sender's streams give."""

from __future__ import annotations

from typing import Protocol

from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from ...model import EncodedUnit, EventKind, Field


class Sink(Protocol):
    """Who takes what arrives: a Recorder that drops what overflows, or a bounded queue before one.

    Called in the event loop, so nothing of it may wait. ``stream`` numbers the audio streams from
    0. It raises nothing: who records knows best what to do about a recording that failed.
    """

    def put(self, unit: EncodedUnit, stream: int) -> bool:
        """Take a unit; False where the sender is to be asked for one that a decoder can start from."""
        ...

    def put_frame(self, frame: VideoFrame | AudioFrame, ticks: int, stream: int) -> bool:
        """Take a frame, of a track that gives nothing else, for ``ticks``; False where it was dropped."""
        ...

    def note(self, kind: EventKind, **fields: Field) -> None:
        """Hear of an event."""
        ...
