"""Packets that a source has sent behind the last that came: its reports alone tell of them (RFC 3550, 6.4.1)."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from ...ticks import signed_difference

SETTLED_S = 0.5
"""So long after a report what it counts may still come: packets overtake each other."""
_COUNT_BITS = 32
_MOST_PASSED = 5


class _Account(NamedTuple):
    """A report: the packets it counts, the number that had been reached, and those that came beside the media."""

    sent: int
    reached: int
    besides: int
    again: int
    since_s: float
    was_overtaken: bool

    @property
    def excess(self) -> tuple[int, int, int]:
        """By how much it is beyond the media, if it counts that alone, what is sent besides, what came again."""
        media = self.sent - self.reached
        return media, media - self.besides, media - self.besides - self.again


class SentPackets:
    """Sets the counts of one source's reports against the sequence numbers that have come of it.

    What was sent before anybody listened stands in all counts alike. It is known from reports behind which more
    media came: these cannot have counted packets behind the last one for good. A report that packets sent behind
    it have overtaken counts too few beside what had come; it is not looked at if there is a better one.

    Senders count what they send on their source for retransmission, padding too, or leave it out (RFC 4588, 4,
    makes it a source of its own); who has none sends packets again on the source itself. All are reckoned; while
    nothing tells them apart the smaller result holds, so that rather too few are told. What is counted beyond that,
    such as each packet twice, nobody sees: then nothing is told.
    """

    def __init__(self) -> None:
        self._last: _Account | None = None
        self._passed: deque[_Account] = deque(maxlen=_MOST_PASSED)

    def report(
        self, sent: int, reached: int, besides: int, now_s: float, *, again: int = 0, was_overtaken: bool = False
    ) -> None:
        """Take a report that came at ``now_s``.

        ``sent`` counts the packets sent (32 bits), ``reached`` is the highest sequence number so far, unwrapped,
        ``besides`` the packets that the source has sent for retransmission, as far as is known, ``again`` those
        that came late or twice. ``was_overtaken`` says that packets which had come already were sent behind it.
        """
        last = self._last
        if last is not None:
            sent = last.sent + signed_difference(sent, last.sent, _COUNT_BITS)
            if sent < last.sent or reached < last.reached:
                # It counts anew.
                self._passed.clear()
                last = None
            elif reached > last.reached:
                self._passed.append(last)
        is_same = last is not None and (sent, reached, besides) == (last.sent, last.reached, last.besides)
        since_s = last.since_s if last is not None and is_same else now_s
        self._last = _Account(sent, reached, besides, again, since_s, was_overtaken)

    def missing(self, reached: int, now_s: float, *, is_over: bool = False) -> int:
        """How many packets at least are missing behind number ``reached``, the last that has come by ``now_s``.

        ``is_over`` says that the source has taken its leave: nothing more is on its way.
        """
        last = self._last
        if last is None or not self._passed or not (is_over or now_s - last.since_s >= SETTLED_S):
            return 0
        if reached < last.reached:
            return 0  # it counts anew, of which its next report tells
        # The reading that has been the steadier is the sender's.
        steadiness: list[tuple[int, int, int]] = []
        believed = [one.excess for one in self._passed if not one.was_overtaken]
        believed = believed or [one.excess for one in self._passed]
        for reading, now in enumerate(last.excess):
            passed = [one[reading] for one in believed]
            steadiness.append((max(passed) - min(passed), now - min(passed), passed[-1] - min(passed)))
        _, beyond, unseen = min(steadiness)
        if unseen:
            return 0
        return max(0, beyond - (reached - last.reached))
