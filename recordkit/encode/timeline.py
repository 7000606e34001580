"""One timeline for all streams of a recording: source times in, unwrapped 90 kHz ticks out."""

from __future__ import annotations

from typing import Generic, TypeVar

from ..ticks import TICKS_PER_SECOND
from .timing import AHEAD, DISORDERED, JUMP, Item, Placed, StreamTimes

START = 2 * TICKS_PER_SECOND
"""Where a recording begins: room before it for the PCR's lead and for an encoder's priming."""
LEAST = TICKS_PER_SECOND
"""Nothing lies before: the PCR would be below zero."""
RESTART = TICKS_PER_SECOND
"""A step back of less is disorder, and the item is late; of more, the source may have begun anew."""
FASTER = 10 * TICKS_PER_SECOND
"""A stream whose times have gained so much on their arrivals does not come as it is taken."""
UNRELATED = 3600 * TICKS_PER_SECOND
"""A stream that begins further away from the others counts by a clock of its own."""
LONGEST_HOLD = TICKS_PER_SECOND * 3 // 4
"""An item that waits longer, by the time of the other streams, would come too late for a player."""
_MOST_HELD = 32
_MOST_HELD_BYTES = 16 * 1024 * 1024
T = TypeVar("T")


class Timeline(Generic[T]):
    """Places the items of several streams, which share one origin: that of the first item placed.

    A time in doubt is not believed at once: its item waits until the next ones of its stream decide.
    In doubt are the first time of a stream, a step of over ten seconds forward, and any step back.
    What the next item continues is true: a gap, or a source that counts anew, which goes on behind what
    was placed last, all streams by the same shift so that they stay in sync (``restarts``). What it does not
    continue was one damaged time, and moves nothing but its own item (``mistimed_items``), or is disorder
    (``late_items``). Another stream that has come as far is a witness, too.

    ``arrival`` is the best witness if the media is live: by it a gap is believed at once, a leap that
    has not taken its time is none, and items that all have the same time are placed. It is in ticks of any clock
    that runs evenly. ``untimed_items`` counts items that came without a time, or with the same one again and again.

    Not more than 32 items or 16 MiB of a stream wait, and not while another stream goes on for 0.75 s.
    """

    def __init__(self) -> None:
        self.late_items = 0
        self.mistimed_items = 0
        self.restarts = 0
        self.untimed_items = 0
        self._offset: int | None = None
        self._epoch = 0
        self._streams: dict[int, StreamTimes[T]] = {}

    @property
    def holds(self) -> bool:
        """Whether items wait for the next ones."""
        for stream in self._streams.values():  # noqa: SIM110 - asked for each item, and a generator costs more
            if stream.held:
                return True
        return False

    def put(
        self,
        index: int,
        item: T,
        ticks: int | None,
        duration: int,
        *,
        keep_late: bool = False,
        trusted: bool = False,
        arrival: int | None = None,
        size: int = 0,
    ) -> list[Placed[T]]:
        """Take an item of stream ``index``; returns those that have found their places, in order.

        ``ticks`` is its time by the source, None if it has none: then it follows the item before it, and the
        first of a stream stands beside the newest of the others. ``duration`` is its own length, or 0 if
        that is not known. An item that comes too late to have a place is left out, unless
        ``keep_late``: a coded frame that others refer to must not be lost. ``trusted`` times have been judged
        by who gives them: a step forward is believed at once.
        """
        stream = self._streams.get(index)
        if stream is None:
            stream = self._streams[index] = StreamTimes(index)
        if stream.is_faster:
            arrival = None
        if ticks is None:
            placed = self._settle(stream)
            given = Item(item, 0, duration, arrival, size, keep_late)
            placed.append(self._untimed(stream, given, has_ticks=False))
        else:
            given = Item(item, ticks, duration, arrival, size, keep_late)
            was_held = bool(stream.held)
            placed = self._judged(stream, given, trusted=trusted)
            if stream.held and not was_held:
                stream.since = self._newest(but=stream) or START
        return placed + self._overdue() if self.holds else placed

    def settle(self) -> list[Placed[T]]:
        """Place what waits by what is known now: nothing more comes, or not for long."""
        return [placed for stream in self._streams.values() for placed in self._settle(stream)]

    def shift(self, index: int) -> int | None:
        """What is added to the source times of stream ``index`` now, in ticks; None while that is not known."""
        stream = self._streams.get(index)
        return None if stream is None or stream.last is None else stream.offset

    def held(self, index: int) -> int | None:
        """Where the first item that waits of stream ``index`` would be by its own time; None if none does."""
        stream = self._streams.get(index)
        return None if stream is None or not stream.held else stream.held[0].ticks + stream.offset

    def close_up(self, ticks: int) -> None:
        """So much time was left out by all streams, and is to be missing in the recording, too: none has a gap."""
        for stream in self._streams.values():
            stream.offset -= ticks
            if stream.lead is not None:
                stream.lead, stream.least_lead = stream.lead - ticks, stream.least_lead - ticks
            if stream.arrival is not None:
                stream.arrival += ticks
        if self._offset is not None:
            self._offset -= ticks

    def _overdue(self) -> list[Placed[T]]:
        placed: list[Placed[T]] = []
        for stream in self._streams.values():
            held = stream.held
            if held and (
                len(held) > _MOST_HELD
                or (len(held) > 1 and sum(one.size for one in held) > _MOST_HELD_BYTES)
                or (self._newest(but=stream) or START) - stream.since > LONGEST_HOLD
            ):
                placed += self._settle(stream)
        return placed

    # What is in doubt, and who decides.

    def _judged(self, stream: StreamTimes[T], item: Item[T], *, trusted: bool = False) -> list[Placed[T]]:
        if stream.last is None:
            return self._first(stream, item, trusted=trusted)
        is_believed = trusted and item.ticks + stream.offset > stream.last
        if not is_believed and not self._is_usual(stream, item):
            self._follow(stream, item)
            if not self._is_usual(stream, item):
                return self._doubted(stream, item)
        if not stream.held:
            return self._believe(stream, item)
        placed = self._wrong(stream, until=item.ticks + stream.offset)
        return placed + self._believe(stream, item)

    def _first(self, stream: StreamTimes[T], item: Item[T], *, trusted: bool) -> list[Placed[T]]:
        """The first items of a stream: that which the second does not continue is not its origin."""
        held = stream.held
        if trusted:
            self._begin(stream, item)
            return self._believe(stream, item)
        if not held:
            held.append(item)
            return []
        if held[-1].ticks == item.ticks:
            held.append(item)
            return self._stuck(stream) if stream.is_stuck else []
        if item.continues(held[-1]):
            placed: list[Placed[T]] = []
            if len(held) > 1 and not self._is_origin(stream, held[0], held[-1]):
                outlier = held.pop(0)
                self._begin(stream, held[-1])
                self.mistimed_items += 1
                place = held[-1].ticks + stream.offset - (item.ticks - held[-1].ticks)
                placed.append(self._at(stream, outlier, max(LEAST, place)))
            placed += self._settle(stream, confirmed=True)
            return placed + self._judged(stream, item)
        if len(held) == 1:
            held.append(item)
            return []
        return self._settle(stream) + self._judged(stream, item)

    def _is_origin(self, stream: StreamTimes[T], first: Item[T], second: Item[T]) -> bool:
        """Whether ``first``, from which ``second`` leaps, may be true: not behind it, nor out of reach of all."""
        if second.ticks <= first.ticks:
            return False
        newest, offset = self._newest(but=stream), self._offset
        if newest is None or offset is None:
            return True
        return abs(first.ticks + offset - newest) <= JUMP or abs(second.ticks + offset - newest) > JUMP

    def _is_usual(self, stream: StreamTimes[T], item: Item[T]) -> bool:
        """Whether the time of ``item`` can be believed without asking the next one."""
        place, last = item.ticks + stream.offset, stream.last
        if last is None or place <= last or stream.is_ahead(item):
            return False
        step = place - last
        if step <= max(JUMP, 2 * stream.stride):
            return True
        if item.arrival is not None and stream.arrival is not None:
            return abs(item.arrival - stream.arrival - step) <= max(AHEAD, step // 10)
        newest = self._newest(but=stream)
        return newest is not None and abs(newest - place) <= AHEAD

    def _follow(self, stream: StreamTimes[T], item: Item[T]) -> None:
        """Count as the others do since one of them began anew, if the item in doubt fits in that way."""
        offset, last = self._offset, stream.last
        if stream.epoch == self._epoch or offset is None or last is None:
            return
        if 0 < item.ticks + offset - last <= RESTART:
            stream.offset, stream.epoch, stream.lead = offset, self._epoch, None

    def _doubted(self, stream: StreamTimes[T], item: Item[T]) -> list[Placed[T]]:
        held = stream.held
        if item.ticks == stream.stuck and not held:
            return [self._untimed(stream, item, has_ticks=True)]
        if not held:
            held.append(item)
            return []
        first, before = held[0], held[-1]
        if item.ticks == before.ticks == first.ticks:
            held.append(item)
            return self._stuck(stream) if stream.is_stuck else []
        step = first.ticks + stream.offset - (stream.last or 0)
        if step > 0 and item.ticks > before.ticks and not stream.is_ahead(first):
            placed = self._settle(stream, confirmed=True)
            return placed + self._judged(stream, item)
        if not item.continues(before, stream.stride):
            placed = self._wrong(stream)
            return placed + self._judged(stream, item)
        held.append(item)
        if step > 0 or step <= -RESTART or len(held) >= DISORDERED:
            return self._begin_anew(stream)
        return []

    # What becomes of it.

    def _settle(self, stream: StreamTimes[T], *, confirmed: bool = False) -> list[Placed[T]]:
        """Place what is held without asking further; ``confirmed`` says that it is true."""
        placed: list[Placed[T]] = []
        if stream.last is None and stream.held:
            first = stream.held.pop(0)
            self._begin(stream, first)
            placed += self._believe(stream, first)
        while stream.held and stream.last is not None:
            one = stream.held[0]
            is_further = one.ticks + stream.offset > stream.last
            if not is_further or stream.is_ahead(one) or not (confirmed or self._is_possible(stream, one)):
                break
            placed += self._believe(stream, stream.held.pop(0))
        return placed + self._wrong(stream)

    def _is_possible(self, stream: StreamTimes[T], item: Item[T]) -> bool:
        """Whether a leap that nobody confirms may be true: the others have leaped, too, or there are none."""
        place = item.ticks + stream.offset
        others = [one for one in self._streams.values() if one is not stream and one.last is not None]
        reached = [one.last for one in others if one.last is not None]
        reached += [held.ticks + one.offset for one in others for held in one.held]
        if not reached:
            return stream.last is None or place - stream.last <= 24 * UNRELATED
        return any(abs(place - time) <= JUMP for time in reached)

    def _begin(self, stream: StreamTimes[T], item: Item[T]) -> None:
        """Let ``stream`` begin with ``item``: the first of all is the origin."""
        newest = self._newest(but=stream)
        if self._offset is None:
            self._offset = START - item.ticks
        stream.offset, stream.epoch = self._offset, self._epoch
        if newest is not None and abs(item.ticks + stream.offset - newest) > UNRELATED:
            self.restarts += 1
            stream.offset = newest - item.ticks

    def _begin_anew(self, stream: StreamTimes[T]) -> list[Placed[T]]:
        first, last = stream.held[0], stream.last or START
        is_far = first.ticks + stream.offset - last <= -RESTART
        place = last + stream.passed(first)
        if is_far and first.arrival is None:
            place = max(last, self._newest() or last) + stream.step
        self.restarts += 1
        self._epoch += 1
        stream.offset = self._offset = place - first.ticks
        stream.epoch, stream.lead = self._epoch, None
        return self._settle(stream, confirmed=True)

    def _stuck(self, stream: StreamTimes[T]) -> list[Placed[T]]:
        """What is held all claims one time, which is none; the very first may have it."""
        placed: list[Placed[T]] = []
        if stream.last is None:
            first = stream.held.pop(0)
            self._begin(stream, first)
            placed += self._believe(stream, first)
        held, stream.held = stream.held, []
        return placed + [self._untimed(stream, item, has_ticks=True) for item in held]

    def _untimed(self, stream: StreamTimes[T], item: Item[T], *, has_ticks: bool) -> Placed[T]:
        self.untimed_items += 1
        if self._offset is None:
            self._offset = START
        if stream.last is None:
            stream.offset, stream.epoch = self._offset, self._epoch
            place = self._newest(but=stream) or START
        else:
            place = stream.last + stream.passed(item)
        placed = self._at(stream, item, place)
        stream.stuck = item.ticks if has_ticks else None
        return placed if has_ticks else placed._replace(shift=stream.offset)

    def _wrong(self, stream: StreamTimes[T], until: int | None = None) -> list[Placed[T]]:
        """Place what is held between the last one and ``until`` without believing its times, or leave it out."""
        held, stream.held = stream.held, []
        placed: list[Placed[T]] = []
        newest = stream.last or START
        for left, item in zip(range(len(held), 0, -1), held, strict=True):
            last, place = stream.last or START, item.ticks + stream.offset
            if until is not None and last < place < until:
                # The others have begun anew, and so has this.
                placed += self._believe(stream, item)
                continue
            is_late = newest - RESTART < place <= newest
            self.late_items += is_late
            self.mistimed_items += not is_late
            if is_late and not item.keep_late:
                continue
            step = stream.passed(item)
            if until is not None:
                step = min(step, (until - last) // (left + 1))
            placed.append(self._at(stream, item, last + max(1, step)))
        return placed

    def _believe(self, stream: StreamTimes[T], item: Item[T]) -> list[Placed[T]]:
        last = stream.last
        place = item.ticks + stream.offset
        if last is None and place < LEAST:
            self.late_items += 1
            return []
        if last is not None:
            place = max(place, last + 1)
            stream.stride = place - last
        if item.arrival is not None:
            lead = place - item.arrival
            stream.least_lead = lead if stream.lead is None else stream.least_lead
            stream.lead = lead if stream.lead is None else max(stream.lead, lead)
            stream.is_faster = stream.lead - stream.least_lead > FASTER
        stream.stuck = None
        return [self._at(stream, item, place)]

    def _at(self, stream: StreamTimes[T], item: Item[T], place: int) -> Placed[T]:
        if item.duration:
            stream.step = item.duration
        elif stream.last is not None:
            stream.step = max(1, min(place - stream.last, TICKS_PER_SECOND))
        stream.last, stream.arrival = place, item.arrival
        return Placed(stream.index, item.item, place, place - item.ticks)

    def _newest(self, but: StreamTimes[T] | None = None) -> int | None:
        """The time of what was placed last in any stream."""
        times = [one.last for one in self._streams.values() if one is not but and one.last is not None]
        return max(times, default=None)
