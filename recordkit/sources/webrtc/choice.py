"""Which of several sources that take turns in one stream is recorded: one, while it lives (RFC 3550, 8)."""

from __future__ import annotations

from collections.abc import Sequence

from .assembly import MediaPacket

DECISION_S = 0.25
"""So long a second source is looked at before it takes over, or not."""
_STRAGGLERS_S = 0.1
_SILENT_S = 1.0
_MOST_HELD = 4096
_MOST_REFUSED = 64


class SourceChoice:
    """Keeps to one synchronisation source (SSRC) while it sends.

    A source that comes beside it is held for ``DECISION_S``, and so is what comes of the one that
    is kept. If that one goes on, the other is refused as long as it sends: layers of simulcast that
    nobody agreed to. If it has ended, the new one takes over from its first packet on.
    ``refused_packets`` counts what is left out. Not thread-safe.
    """

    def __init__(self) -> None:
        self.ssrc: int | None = None
        self.refused_packets = 0
        self._newest_s = 0.0
        self._held: list[MediaPacket] = []
        self._candidate: MediaPacket | None = None
        self._refused: dict[int, float] = {}

    def put(self, packets: Sequence[MediaPacket]) -> Sequence[MediaPacket]:
        """Take the next packets; returns those to be taken now, in order of arrival."""
        if self._candidate is None:
            ssrc = self.ssrc
            for packet in packets:
                if packet.ssrc != ssrc:
                    break
            else:
                self._newest_s = packets[-1].arrival_s
                return packets
        return [one for packet in packets for one in self._put(packet)]

    def _put(self, packet: MediaPacket) -> list[MediaPacket]:
        now_s = packet.arrival_s
        if packet.ssrc == self.ssrc and self._candidate is None:
            self._newest_s = now_s
            return [packet]
        ready = self.poll(now_s)
        if self.ssrc is None or (packet.ssrc != self.ssrc and now_s - self._newest_s >= _SILENT_S):
            ready += self._decide(packet.ssrc)
        if packet.ssrc == self.ssrc:
            self._newest_s = now_s
        elif self._candidate is None:
            seen_s = self._refused.get(packet.ssrc)
            if seen_s is None or now_s - seen_s >= _SILENT_S:
                self._candidate = packet
        if self._candidate is None or packet.ssrc not in (self.ssrc, self._candidate.ssrc):
            if packet.ssrc == self.ssrc:
                return [*ready, packet]
            self._refuse(packet)
            return ready
        self._held.append(packet)
        return ready + (self._judge() if len(self._held) >= _MOST_HELD else [])

    def poll(self, now_s: float) -> list[MediaPacket]:
        """What has been held long enough at ``now_s``."""
        candidate = self._candidate
        return self._judge() if candidate is not None and now_s - candidate.arrival_s >= DECISION_S else []

    def flush(self) -> list[MediaPacket]:
        """What is held: nothing more will come."""
        return self._judge()

    def _judge(self) -> list[MediaPacket]:
        candidate = self._candidate
        if candidate is None or self.ssrc is None:
            return []
        goes_on = self._newest_s - candidate.arrival_s >= _STRAGGLERS_S
        return self._decide(self.ssrc if goes_on else candidate.ssrc)

    def _decide(self, ssrc: int) -> list[MediaPacket]:
        held, self._held, self._candidate = self._held, [], None
        self.ssrc = ssrc
        self._refused.pop(ssrc, None)
        ready = []
        for packet in held:
            if packet.ssrc == ssrc:
                self._newest_s = packet.arrival_s
                ready.append(packet)
            else:
                self._refuse(packet)
        return ready

    def _refuse(self, packet: MediaPacket) -> None:
        self.refused_packets += 1
        self._refused.pop(packet.ssrc, None)
        self._refused[packet.ssrc] = packet.arrival_s
        if len(self._refused) > _MOST_REFUSED:
            del self._refused[next(iter(self._refused))]
