"""What an endpoint and its workers tell each other: one JSON object a line, as between a session and its worker.

To a worker: BEGIN once, then an OFFER for each publisher that comes to it, LEAVE and END for one, KEEP for the
rings of all. From it: READY, or FAULT if it cannot begin; ANSWER or REFUSED for each offer; STANDING of all that
it takes, twice a second, which also says that its event loop runs; ENDED for each that is over; LOG for what is
logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from aiohttp import web

from ...recorder.state import State
from ..present import Present, Stage
from ..readers import unavailable


class Word(StrEnum):
    """What a message is about."""

    BEGIN = "begin"
    OFFER = "offer"
    LEAVE = "leave"
    END = "end"
    KEEP = "keep"
    READY = "ready"
    FAULT = "fault"
    ANSWER = "answer"
    REFUSED = "refused"
    STANDING = "standing"
    ENDED = "ended"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Account:
    """How a publisher stands, see Standing and Present."""

    file_name: str = ""
    file_bytes: int = 0
    duration_s: float = 0.0
    drops: int = 0
    state: State = State.NEW
    stage: Stage = Stage.CONNECTING
    reason: str = ""
    was_live: bool = False

    @classmethod
    def of(cls, publisher: Present) -> Self:
        """How ``publisher`` stands now."""
        sink = publisher.sink
        return cls(
            sink.file_name,
            sink.file_bytes,
            sink.duration_s,
            sink.drops,
            sink.state,
            publisher.stage,
            publisher.reason,
            publisher.was_live,
        )

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """What ``told`` made."""
        return cls(**{**document, "state": State(document["state"]), "stage": Stage(document["stage"])})

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


_REFUSALS: dict[int, type[web.HTTPException]] = {
    one.status_code: one for one in (web.HTTPBadRequest, web.HTTPUnprocessableEntity, web.HTTPInternalServerError)
}


def refusal(status: int, text: str) -> web.HTTPException:
    """The refusal that a worker told, as it raised it."""
    if status == web.HTTPServiceUnavailable.status_code:
        return unavailable(text.rstrip("\n"))
    return _REFUSALS.get(status, web.HTTPInternalServerError)(text=text)
