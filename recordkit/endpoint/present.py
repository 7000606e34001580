"""What an endpoint knows of a publisher, whatever takes it: in this process, or in one of its workers."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Protocol

from aiortc import MediaStreamTrack, RTCPeerConnection
from aiortc.sdp import SessionDescription

from ..onlooker import Onlooker
from ..recorder.state import State


class Stage(StrEnum):
    """Where a publisher stands."""

    CONNECTING = "connecting"
    LIVE = "live"
    ENDING = "ending"
    ENDED = "ended"


class Standing(Protocol):
    """How the recording of one publisher stands."""

    @property
    def file_name(self) -> str:
        """The name of the final file; of the newest, where there are several."""
        ...

    @property
    def file_bytes(self) -> int:
        """Bytes written so far."""
        ...

    @property
    def duration_s(self) -> float:
        """Seconds of media so far."""
        ...

    @property
    def drops(self) -> int:
        """What was dropped or lost so far."""
        ...

    @property
    def state(self) -> State:
        """Where the recording stands."""
        ...


class Sink(Standing, Protocol):
    """What takes the media of one publisher."""

    @property
    def silent_s(self) -> float:
        """Seconds since any media came, or since the start."""
        ...

    async def start(self, peer: RTCPeerConnection, tracks: list[MediaStreamTrack]) -> None:
        """Begin to take what these tracks will send; raises RecordkitError."""
        ...

    async def renew(self) -> bool:
        """Finish the file and go on in a new one; False if there are no files to choose here.

        Raises RecordkitError, with all going on as before.
        """
        ...

    async def stop(self) -> None:
        """Take no more, and finish; raises RecordkitError."""
        ...


class Present(Protocol):
    """A publisher; ``stage`` and ``reason``, why it ends, say where it stands."""

    id: str
    stream: str
    stage: Stage
    reason: str
    onlooker: Onlooker
    was_answered: bool
    was_live: bool

    @property
    def sink(self) -> Standing:
        """What it is recorded by."""
        ...

    async def answer(self, offer: SessionDescription, offer_text: str) -> str:
        """Take the offer and begin to record; gives the answer.

        Raises HTTPException for an offer that cannot be taken and RecordkitError where recording cannot begin.
        """
        ...

    async def leave(self) -> None:
        """End it as its publisher wishes."""
        ...

    async def end(self, reason: str) -> None:
        """Commit what was recorded and close the connection."""
        ...

    def begin_end(self, reason: str) -> asyncio.Task[None]:
        """As ``end``, without waiting for it."""
        ...

    def look(self) -> None:
        """End it where a limit is reached; called every second or so."""
        ...
