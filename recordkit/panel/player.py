"""A recording in the page: played, stepped through by the frame, followed while it is being written."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import anywidget
import pandas as pd
import traitlets

from ..background.session import Session
from ..errors import RecordkitError, SettingsError
from ..names import final_of, stem_of
from ..playback.answers import Answer, answer
from ..playback.film import Film
from ..playback.script import STYLE, player_script
from ..playback.titles import near
from ..reading.export import export
from ..reading.marking import Mark
from .form import free_name
from .kept import Kept

log = logging.getLogger("recordkit")

Mode = Literal["off", "small", "full"]
_MODES = ("off", "small", "full")


class Player(anywidget.AnyWidget):
    """Plays recordings in a notebook's page: a path, a Recording, a Session or a Video, or several of them.

    What is being recorded is followed while it grows, by whomever it is written. The coded frames travel
    to the page as they are, a little ahead of what is shown and only as the page asks for them.

    ``number`` is the frame that is shown (-1 before any), ``media_s`` its time in seconds of media and
    ``captured`` when it was taken (a pandas Timestamp in UTC, or None): all three can be observed, and setting
    ``number`` moves the video. ``at(12.3)`` does so by time, by a mark's name or by a time of day.
    ``mode`` is "full", "small" (one image a second, for slow links) or "off".

    Several recordings stand side by side on one clock: that of their capture times.

    Raises SourceError if there is nothing to be opened, and SettingsError for a mode that is none.
    """

    _esm = player_script()
    _css = STYLE

    titles: traitlets.List[str] = traitlets.List().tag(sync=True)
    mode = traitlets.Enum(_MODES, "full").tag(sync=True)
    marks_shown: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    shifts: traitlets.List[float] = traitlets.List().tag(sync=True)
    kept = traitlets.Unicode("").tag(sync=True)
    tools: traitlets.List[str] = traitlets.List().tag(sync=True)
    number = traitlets.Int(-1)
    media_s = traitlets.Float(0.0)
    captured = traitlets.Any(None, allow_none=True)

    def __init__(self, source: Any, *, mode: Mode = "full") -> None:  # noqa: ANN401 - as recordkit.open takes it
        # Whoever throws the widget away closes it, one that could not be made as well.
        self._films: list[Film] = []
        self._take_off: list[Callable[[], None]] = []
        if mode not in _MODES:
            raise SettingsError("mode", mode, 'choose "full", "small" or "off"')
        sources = list(source) if isinstance(source, Sequence) and not isinstance(source, str | bytes) else [source]
        if _is_one(source):
            sources = [source]
        if not sources:
            raise SettingsError("source", source, "give a recording, or several")
        self._films += [Film(one, one if isinstance(one, Session) else None) for one in sources]
        self._take_off += [
            film.session.follow(self._heard_of(film)) for film in self._films if film.session is not None
        ]
        self._is_moving = False
        self._sent_to: int | None = None
        self._kept = Kept()
        super().__init__(
            titles=[film.title for film in self._films],
            mode=mode,
            shifts=self._shifts(),
            kept=self._kept.identity,
            tools=["mark", "clip"] if all(film.is_one_file for film in self._films) else ["mark"],
        )
        self._show_marks()
        self.on_msg(self._from_page)
        self.observe(self._moved, "number")

    # What it does, from code.

    def at(self, when: float | str | datetime) -> None:
        """Move to the frame that is showing at ``when``: seconds of media, a mark's name, or a time of day.

        Raises IndexError for a time outside of the video, KeyError for a mark that is not there.
        """
        film = self._films[0]
        if isinstance(when, str):
            named = [one for one in film.marks if one.name == when]
            if not named:
                there = ", ".join(repr(one.name) for one in film.marks[:10]) or "none"
                raise KeyError(f"{film.title} has no mark {when!r}: there are {there}")
            self.number = film.video.showing(named[0].media_s)
            return
        video = film.video
        film.refresh()
        self.number = video.find(when)

    def play(self) -> None:
        """Play in all pages that show it."""
        self.send({"do": "play"})

    def pause(self) -> None:
        """Pause in all pages that show it."""
        self.send({"do": "pause"})

    def mark(self, name: str = "mark") -> None:
        """Note the frame that is shown; at the end of a recording that runs, in its log as well."""
        film = self._films[0]
        session = film.session
        if session is not None and not session.has_ended and self.media_s >= film.video.duration_s - 2:
            session.mark(name)
            return
        taken = self.captured.value if self.captured is not None else time.time_ns()
        film.add_mark(Mark(name, self.media_s, taken))
        self._show_marks()
        if not film.is_growing:  # else at its end
            self._kept.update(self._films)

    @property
    def marks(self) -> pd.DataFrame:
        """One row a mark: ``name``, ``media_s``, ``time`` (UTC) and ``number`` of the frame that was showing."""
        film = self._films[0]
        film.read_marks()
        rows = film.marks
        numbers = [film.video.showing(one.media_s) for one in rows]
        return pd.DataFrame(
            {
                "name": pd.Series([one.name for one in rows], dtype="str"),
                "media_s": pd.Series([one.media_s for one in rows], dtype="float64"),
                "time": pd.to_datetime(
                    pd.Series([one.time_ns for one in rows], dtype="int64"), unit="ns", utc=True
                ),
                "number": pd.Series(numbers, dtype="int64"),
            }
        )

    def __repr__(self) -> str:
        return f"<Player of {', '.join(self.titles)}>"

    def _ipython_display_(self) -> None:
        """Two outputs: the player, and what a saved notebook keeps of it."""
        self._kept.show(self._repr_mimebundle_(), repr(self), self._films)

    def close(self) -> None:
        """Let go of the recordings, and take the player down. May be called again."""
        for take_off in self._take_off:
            take_off()
        self._take_off = []
        for film in self._films:
            film.close()
        super().close()

    # What pages ask for.

    def _from_page(self, _: object, message: dict[str, Any], buffers: object) -> None:
        ask, number = message.get("ask"), message.get("id")
        place = message if message.get("tell") == "at" else message.get("at")
        if isinstance(place, dict):
            self._sent_to = None
            self._shown(int(place.get("number", -1)), float(place.get("media_s", 0.0)))
        if message.get("tell") == "gone":
            for film in self._films:
                film.let_go(str(message.get("view")))
            return
        if not isinstance(ask, str):
            return
        told: dict[str, Any] = {"answer": number, "view": message.get("view")}
        payload: list[bytes] = []
        try:
            film = self._films[int(message.get("of", 0))]
            content, payload = self._answer(film, message)
            told |= content
        except (RecordkitError, IndexError) as error:
            told["fault"] = str(error)
        except Exception as error:
            # Without an answer the page would wait for ever.
            log.exception("The player could not do what its page asked for")
            told["fault"] = f"{type(error).__name__}: {error}"
        self.send(told, payload)

    def _answer(self, film: Film, message: dict[str, Any]) -> Answer:
        ask = message["ask"]
        if ask == "clip":
            start, end = float(message["start"]), film.end_of(float(message["end"]))
            made = export(film.file, _clip_path(film), start=start, end=end)
            return {"path": str(near(made.path)), "length": made.duration_s}, []
        if ask == "mark":
            self.mark(str(message.get("name") or "mark"))
            return {}, []
        content, payload = answer(film, message)
        self._look_after(film)
        if ask == "open" and self._sent_to is not None:
            content["begin"] = self._begin(film)  # code was faster than the page
        return content, payload

    def _begin(self, film: Film) -> int:
        """The frame of ``film`` that is shown beside that of the first one."""
        of = self._films.index(film)
        if of == 0 or not len(film.video):
            return self._sent_to or 0
        return film.video.showing(self.media_s + self.shifts[0] - self.shifts[of])

    def _look_after(self, film: Film) -> None:
        """What has become of a recording while it grew: marks, and its end."""
        is_growing = film.is_growing
        if is_growing or film.was_growing:
            if film.read_marks():
                self._show_marks()
            if film.was_growing and not is_growing:
                self._kept.update(self._films)
            film.was_growing = is_growing

    def _shown(self, number: int, media_s: float) -> None:
        """A page shows another frame."""
        self._is_moving = True
        try:
            with self.hold_trait_notifications():
                self.media_s = media_s
                self.captured = self._films[0].captured(number)
                self.number = number
        finally:
            self._is_moving = False

    def _moved(self, change: dict[str, Any]) -> None:
        """Somebody has set ``number``."""
        if self._is_moving:
            return
        film = self._films[0]
        number = int(change["new"])
        count = len(film.video)
        if not 0 <= number < count:
            raise IndexError(f"{film.title} has no frame {number}: there are 0 to {count - 1}")
        self._shown(number, film.video.time_of(number))
        self._sent_to = number
        self.send({"do": "go", "number": number, "media_s": self.media_s})

    def _heard_of(self, film: Film) -> Any:  # noqa: ANN401 - what Session.follow takes
        def heard(record: object) -> None:
            if film.take_record(record):
                self._show_marks()

        return heard

    def _show_marks(self) -> None:
        self.marks_shown = [
            {"of": of, "name": one.name, "media_s": one.media_s}
            for of, film in enumerate(self._films)
            for one in film.marks
        ]

    def _shifts(self) -> list[float]:
        """By how much each recording began later than the first that began, by capture times, in seconds."""
        begins = []
        for film in self._films:
            taken = None
            with suppress(RecordkitError, IndexError):
                taken = film.video.taken(0)
                begins.append(taken.time_ns / 1e9 - film.video.time_of(0) if taken is not None else None)
                continue
            begins.append(None)
        known = [one for one in begins if one is not None]
        if len(known) < len(begins) or len(begins) == 1:
            return [0.0] * len(begins)
        return [one - min(known) for one in known]


def _is_one(source: object) -> bool:
    """Whether it is one recording, although it has a length: a Video is a sequence of its frames."""
    return hasattr(source, "path")


def _clip_path(film: Film) -> Path:
    """A free name beside the recording for a clip of it."""
    folder, name = film.path.parent, final_of(film.path.name)
    return folder / free_name(folder, f"{stem_of(name)}-clip-1", ".mp4")
