"""Which source records where: placed by the room there is, found again, placed anew when its machine is gone.

No thread and no clock in here: ``step`` is called again and again, with what the machines answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..recorder.admission import DESCRIPTORS
from .placed import ENDED, Lost, Placed, Sites
from .site import Standing

GONE_AFTER_S = 6.0
"""So long nobody may know anything of a recording before its machine is taken for gone."""
AGAIN_AFTER_S = 5.0
"""So long a machine that refused is not asked again, nor is a recovery that could not be done."""
_LEAST_FREE_BYTES = 256 * 1024 * 1024
_EARLIER = "an earlier call"
"""Stands for the worker of a recording whose file is there, and of which nobody who answers knows."""
_RECORDS = frozenset({"starting", "recording", "degraded", "stopping"})


class Placing:
    """Keeps ``sources`` recorded on ``sites``; ``on_event`` gets a row of what happened to one."""

    def __init__(
        self,
        sources: Iterable[Placed],
        sites: Sites,
        memory_bytes: int,
        on_event: Callable[[dict[str, Any]], None],
        clock: Callable[[], float],
    ) -> None:
        self.sources = list(sources)
        self.is_stopping = False
        self._sites = sites
        self._memory_bytes = memory_bytes
        self._on_event = on_event
        self._clock = clock
        self._rooms: dict[str, dict[str, Any]] = {}
        self._lost: dict[str, Lost] = {}
        self._taken = sorted({one.first_path for one in self.sources})
        self._folders = sorted({str(Path(one.first_path).parent) for one in self.sources})

    @property
    def has_ended(self) -> bool:
        """Whether all sources have, and nothing is left to recover."""
        return all(one.has_ended for one in self.sources) and not self._lost

    def step(self) -> None:
        """Ask all machines, and do what follows from their answers."""
        living = self._sites.living()
        for lost in self._lost.values():
            lost.site = lost.site if lost.site in living else _next(lost.site, living)
        questions = {address: self._question(address, living) for address in living}
        answers = self._sites.ask(questions)
        now = self._clock()
        self._rooms = {address: answer["room"] for address, answer in answers.items()}
        for one in self._placed:
            self._look(one, answers, now)
        for one in self._sought:
            self._find(one, answers, now)
        for path in list(self._lost):
            self._look_for(path, answers, now)
        waiting = [one for one in self.sources if one.site is None and not one.has_ended]
        if self.is_stopping:
            for one in waiting:
                one.state = "stopped"
        elif waiting:
            self._place(waiting, living, now)

    @property
    def _placed(self) -> list[Placed]:
        return [one for one in self.sources if not one.has_ended and one.site is not None]

    @property
    def _sought(self) -> list[Placed]:
        """Those that may be recorded since an earlier call."""
        return [one for one in self.sources if not one.has_ended and one.site is None and not one.attempt]

    def _question(self, address: str, living: Mapping[str, float | None]) -> dict[str, Any]:
        asked, now = self._placed, self._clock()
        return {
            "folders": self._folders,
            # One whose worker does not answer is looked for by all.
            "watch": [one.path for one in asked if one.site == address or self._is_orphan(one, living)],
            "seek": [one.first_path for one in self._sought],
            "taken": self._taken,
            "stop": [one.path for one in asked if self.is_stopping and one.site == address],
            "recover": [path for path, lost in self._lost.items() if lost.site == address and lost.at_s <= now],
        }

    def _is_orphan(self, one: Placed, living: Mapping[str, float | None]) -> bool:
        return one.site not in living or one.site not in self._rooms

    def _look(self, one: Placed, answers: Mapping[str, dict[str, Any]], now: float) -> None:
        """What the answers say of a recording."""
        own = answers.get(one.site or "")
        if own is not None:
            one.machine = own["room"]["machine"]
            self._believe(one, own["standings"].get(one.path, {"state": "absent"}), now)
            return
        # Of a worker that did not answer just now nobody else has been asked yet.
        told = _told(one.path, answers)
        for address, standing in told.items():
            machine = answers[address]["room"]["machine"]
            if standing["state"] in _RECORDS:
                self._take(one, address, machine, f"its worker {one.site} is gone, the recording goes on", now)
            # That a process is gone, or its file, is known on its own machine alone.
            elif not (machine == one.machine or standing["state"] in ENDED):
                continue
            self._believe(one, standing, now)
            return
        if told:
            self._wait_for(one, told.values(), now)

    def _find(self, one: Placed, answers: Mapping[str, dict[str, Any]], now: float) -> None:
        """Whether an earlier call has it recorded, or has left something that nobody has brought to its end."""
        left: Standing | None = None
        for address, standing in _told(one.first_path, answers).items():
            if standing["state"] in _RECORDS:
                one.attempt = standing["attempt"]
                machine = answers[address]["room"]["machine"]
                self._take(one, address, machine, "an earlier call had placed it, the recording goes on", now)
                self._believe(one, standing, now)
                return
            if standing["state"] in ("died", "away"):
                left = standing
        if left is not None:
            # Whether it grows will show whether somebody records it of whom nobody here can know.
            one.site, one.attempt, one.state, one.seen_s = _EARLIER, left["attempt"], "silent", now
            one.standing = {"partial_bytes": left["partial_bytes"]}
            self._tell(one, "found again", "its file alone: nobody who answers records it", None, now)

    def _take(self, one: Placed, address: str, machine: str, why: str, now: float) -> None:
        """It is recorded there."""
        self._tell(one, "found again", why, address, now)
        one.site, one.machine = address, machine

    def _wait_for(self, one: Placed, told: Iterable[Standing], now: float) -> None:
        """Nobody is on its machine: it is alive as long as its file grows, as others see it."""
        size = max(standing["partial_bytes"] or 0 for standing in told)
        if size > (one.standing.get("partial_bytes") or 0):
            one.standing["partial_bytes"], one.seen_s = size, now
        one.state = "silent"
        one.silent_s = now if one.silent_s is None else one.silent_s
        unseen_s = now - one.seen_s
        if unseen_s >= GONE_AFTER_S:
            self._lose(one, f"nothing was heard of {one.site} for {unseen_s:.0f} s, nor did its file grow", now)
        elif self.is_stopping and now - one.silent_s >= GONE_AFTER_S:
            detail = "it goes on: nobody who answers could stop it"
            self._tell(one, "left", detail, one.site, now)
            one.state = "left"

    def _believe(self, one: Placed, standing: Standing, now: float) -> None:
        state = standing["state"]
        if state == "refused":
            one.refused[one.site or ""] = now
            self._tell(one, "refused", standing["problem"], one.site, now)
            one.site, one.state, one.attempt = None, "waiting", one.attempt - 1
        elif state in ("died", "absent"):
            self._lose(one, standing.get("problem") or "nothing of it is there any more", now)
        elif state == "away":
            one.state = "silent"
        else:
            if state in ("recording", "degraded") and one.state in ("starting", "waiting"):
                self._tell(one, "recording", "", one.site, now, one.lost_s)
                one.lost_s = None
            elif state == "failed":
                self._tell(one, "failed", standing["problem"], one.site, now)
            one.state, one.standing, one.seen_s, one.silent_s = state, standing, now, None

    def _lose(self, one: Placed, why: str, now: float) -> None:
        """Its recording has ended without a commit: what there is is recovered, and the source placed anew."""
        self._tell(one, "lost", why, one.site, now)
        self._lost[one.path] = Lost(one.name, one.site, now)
        one.lost_s = one.seen_s if one.lost_s is None else one.lost_s
        if one.site is not None:
            one.refused[one.site] = now
        one.site, one.machine, one.state, one.silent_s = None, None, "waiting", None

    def _look_for(self, path: str, answers: Mapping[str, dict[str, Any]], now: float) -> None:
        """Whether somebody has recovered a partial, or could not."""
        lost = self._lost[path]
        answer = answers.get(lost.site or "")
        found = None if answer is None else answer["recovered"].get(path)
        if found is None:
            return
        if found["outcome"] is None:
            lost.site, lost.at_s = _next(lost.site, answers), now + AGAIN_AFTER_S
        else:
            del self._lost[path]
            self._on_event({"name": lost.name, "what": "recovered", "path": path, "worker": lost.site, **found})

    def _place(self, waiting: list[Placed], living: Mapping[str, float | None], now: float) -> None:
        orders: dict[str, list[dict[str, Any]]] = {}
        for one in waiting:
            address = self._room_for(one, living, now)
            if address is None:
                if one.state != "no room" and self._rooms:
                    one.state = "no room"
                    self._tell(one, "no room", f"on none of {len(living):,} workers", None, now)
                continue
            one.attempt += 1
            while one.attempt > 1 and one.path in self._taken:
                one.attempt += 1
            one.site, one.state, one.seen_s = address, "starting", now
            one.standing = {"state": "starting"}
            orders.setdefault(address, []).append(one.order | {"path": one.path})
            self._tell(one, "placed", "", address, now)
        if orders:
            self._sites.ask({address: {"begin": some} for address, some in orders.items()})

    def _room_for(self, one: Placed, living: Mapping[str, float | None], now: float) -> str | None:
        """The machine with the fewest recordings that has room, and of these that with the most memory."""
        best: tuple[int, int] | None = None
        found = None
        for address, slots in living.items():
            count = sum(other.site == address and not other.has_ended for other in self.sources)
            room = self._rooms.get(address)
            # One that just lost it, or refused it, is asked last.
            recent = now - one.refused.get(address, -AGAIN_AFTER_S) < AGAIN_AFTER_S
            if room is None or (slots is not None and count >= slots) or not self._has_room(room):
                continue
            rank = (count + 1000 * recent, -(room["memory_bytes"] or 0))
            if best is None or rank < best:
                best, found = rank, address
        return found

    def _has_room(self, room: Mapping[str, Any]) -> bool:
        needs = {"memory_bytes": self._memory_bytes, "descriptors": DESCRIPTORS, "free_bytes": _LEAST_FREE_BYTES}
        return all(room[name] is None or room[name] >= need for name, need in needs.items())

    def _tell(
        self, one: Placed, what: str, detail: str, site: str | None, now: float, since_s: float | None = None
    ) -> None:
        without_s = None if since_s is None else round(now - since_s, 3)
        self._on_event(
            {
                "name": one.name,
                "what": what,
                "path": one.path,
                "worker": site,
                "detail": detail,
                "without_s": without_s,
            }
        )


def _told(path: str, answers: Mapping[str, dict[str, Any]]) -> dict[str, Standing]:
    """What each says of ``path``, of those that were asked."""
    return {
        address: answer["standings"][path] for address, answer in answers.items() if path in answer["standings"]
    }


def _next(site: str | None, sites: Iterable[str]) -> str | None:
    """Who is asked after ``site``: one after the other."""
    addresses = sorted(sites)
    behind = [address for address in addresses if site is not None and address > site]
    return next(iter(behind or addresses), None)
