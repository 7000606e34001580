"""A network that loses media on its way to the endpoints of this process, decided by a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import aioice.ice
import pandas as pd
import pytest

from recordkit.model import EventKind
from recordkit.reading.opening import open as open_video
from recordkit.sources.webrtc.direct import DirectTransport
from recordkit.telemetry.frames import read_flush_log

STANDS_AFTER_S = 1.0
_MEDIA = range(128, 192)  # the first byte (RFC 7983, 7)
_REPORTS = range(192, 224)  # the second byte (RFC 5761, 4)
TOLD_WITHIN = 5
"""Samples, of which one is taken a second where the machine keeps up."""


@dataclass
class Lossy:
    """Loses this share of the packets, and all of the first ``late_by`` ones; ``lost`` counts them.

    ``at_begin`` counts, by SSRC, those lost before the first that came, ``at_end`` those lost behind the last:
    nothing shows a receiver that they were sent.
    """

    share: float = 0.0
    late_by: int = 0
    lost: int = 0
    came: int = 0
    at_begin: dict[bytes, int] = field(default_factory=dict)
    at_end: dict[bytes, int] = field(default_factory=dict)
    _has_come: set[bytes] = field(default_factory=set)
    _dice: random.Random = field(default_factory=lambda: random.Random(5))

    def attach(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand between the wire and each ICE connection that is made from now on."""
        receive, take = aioice.ice.Connection.recv, DirectTransport.take

        async def recv(connection: aioice.ice.Connection) -> bytes:
            while True:
                data = await receive(connection)
                # What is taken where it arrives has been through there, this too.
                if "data_received" in vars(connection) or not self._loses(data):
                    return data

        def taken(transport: DirectTransport, size: int, age_s: float, now_s: float) -> bool:
            return self._loses(bytes(transport.buffer[: min(size, 12)])) or take(transport, size, age_s, now_s)

        monkeypatch.setattr(aioice.ice.Connection, "recv", recv)
        monkeypatch.setattr(DirectTransport, "take", taken)

    def _loses(self, datagram: bytes) -> bool:
        if len(datagram) < 12 or datagram[0] not in _MEDIA or datagram[1] in _REPORTS:
            return False
        ssrc = datagram[8:12]
        self.came += 1
        is_lost = self.came <= self.late_by or self._dice.random() < self.share
        self.lost += is_lost
        self.at_end[ssrc] = self.at_end.get(ssrc, 0) + 1 if is_lost else 0
        if not is_lost:
            self._has_come.add(ssrc)
        elif ssrc not in self._has_come:
            self.at_begin[ssrc] = self.at_begin.get(ssrc, 0) + 1
        return is_lost

    @property
    def unseen(self) -> int:
        """How many were lost of which nothing shows that they were sent."""
        return sum(self.at_begin.values()) + sum(self.at_end.values())


def frames_sent(path: Path) -> pd.DataFrame:
    """The frames of a recording but for those that stand.

    Where nothing comes for two seconds, as on a machine with much to do, the last frame is there once more, which
    nobody took.
    """
    with open_video(path) as video:
        frames = video.frames
    return frames[frames["captured"].notna() | ~(frames["media_s"].diff() > STANDS_AFTER_S)]


def standing_frames(path: Path) -> int:
    """How many frames of a recording stand."""
    with open_video(path) as video:
        return len(video) - len(frames_sent(path))


def accounted(path: Path) -> dict[str, int]:
    """What the log of a recording says in the end of its video: the counters of what was received."""
    (told,) = (
        event.fields
        for event in read_flush_log(path).contents.events
        if event.kind is EventKind.STREAM and event.fields.get("stream") == 0 and "received_units" in event.fields
    )
    return {name: int(value) for name, value in told.items() if isinstance(value, int)}


def assert_accounted(path: Path, sent: int, kept: int, unseen: int = 0) -> dict[str, int]:
    """Each of the frames ``sent`` is among those ``kept`` in the file, or in the counters, which are returned.

    ``unseen`` packets came before the first that was seen, or behind the last.
    """
    received = accounted(path)
    assert kept == received["received_units"], received
    # A frame of which no packet came at all is known by its packets alone.
    taken = received["dropped_units"]
    assert taken <= sent - kept <= taken + received["lost_packets"] + unseen, (received, sent, kept)
    if taken:
        assert told_after(path) <= TOLD_WITHIN
    return received


def told_after(path: Path) -> int:
    """Samples from the first sign of the loss in the file to the alert of it; without a frame, from the start."""
    contents = read_flush_log(path).contents
    events = contents.events
    alert_s = next(
        event.elapsed_s
        for event in events
        if event.kind is EventKind.ALERT_RAISED and event.fields["rule"] == "received_dropped_units"
    )
    signs = (EventKind.DISCONTINUITY, EventKind.KEYFRAME)
    begun_s = next(event.elapsed_s for event in events if event.kind is EventKind.START)
    sign_s = next((event.elapsed_s for event in events if event.kind in signs), begun_s)
    return sum(sign_s < sample.elapsed_s <= alert_s for sample in contents.samples)
