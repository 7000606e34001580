"""The panel's settings of a recording without an end: its files, what is deleted, and a source that comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import ipywidgets as widgets

from ..background.sessions import StandIn
from ..errors import SettingsError
from ..names import SUFFIXES, segment_fields, segment_name, stem_of, suffix_of
from ..printable import for_page
from ..settings import Keep, Segments
from ..sources.media_settings import MediaFileSettings
from ..sources.reconnect import Reconnect
from ..sources.source import Source
from .parts import LABELLED, put, row, small

T = TypeVar("T")
WRONG = "recordkit-wrong"
"""The class of an input whose value cannot be used."""
WHEN = "_{start:%Y-%m-%d_%H-%M-%S}"
"""Behind the name of a recording in several files, if that does not tell them apart by itself."""


def made_of(kind: Callable[..., T], inputs: Mapping[str, widgets.Text], **more: object) -> T:
    """``kind`` with what stands in ``inputs``, and ``more``; nothing is given for an empty one.

    Raises SettingsError by the name that the input has on the page, and marks it there.
    """
    try:
        return kind(**{name: text(one) for name, one in inputs.items() if text(one)}, **more)
    except SettingsError as error:
        wrong = inputs.get(error.name)
        if wrong is None:
            raise
        wrong.add_class(WRONG)
        raise SettingsError(wrong.description, text(wrong), error.advice) from error


def text(one: widgets.Text) -> str:
    """What was typed in."""
    return str(one.value).strip()


class Several:
    """When the recording goes on in another file."""

    def __init__(self) -> None:
        self.every = entry("A file every", "10min")
        self.max_bytes = entry("of at most", "4GB")
        self.at_clock = tick("when the clock shows a multiple", "Files begin at 10:00, 10:10, 10:20 …")
        self._told = widgets.HTML()
        self.box = group("Files", self.every, self.at_clock, self.max_bytes, self._told)

    @property
    def is_wanted(self) -> bool:
        """Whether anything is asked for."""
        return bool(text(self.every) or text(self.max_bytes) or self.at_clock.value)

    def settings(self) -> Segments | None:
        """What is asked for; None if it is one file. Raises SettingsError."""
        inputs = {"every": self.every, "max_bytes": self.max_bytes}
        return made_of(Segments, inputs, at_clock=self.at_clock.value) if self.is_wanted else None

    def named(self, name: str) -> str:
        """The name of a recording, with what tells its files apart if there are several. Raises SettingsError."""
        try:
            if not self.is_wanted or segment_fields(name):
                return name
        except ValueError as error:
            advice = f"{error}: {{start:%H-%M-%S}} and {{number:04d}} may stand there"
            raise SettingsError("name", name, advice) from error
        return f"{stem_of(name)}{WHEN}{suffix_of(name) or SUFFIXES[0]}"

    def tell(self, name: str) -> None:
        """Say how the files are called."""
        words = ""
        if self.is_wanted:
            try:
                first = segment_name(self.named(name), datetime.now().astimezone(), 1)
                words = f"They are called <code>{for_page(first)}</code> and so on."
            except (SettingsError, ValueError) as error:
                words = for_page(str(error))
        put(self._told, f'<span class="recordkit-hint">{words}</span>' if words else "")

    def watch(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` when something else is asked for."""
        for one in (self.every, self.max_bytes, self.at_clock):
            one.observe(lambda _: changed(), "value")


class Bounds:
    """Which old recordings of ``folder`` are deleted."""

    def __init__(self, folder: Path) -> None:
        self.max_age = entry("Keep for", "7d")
        self.max_bytes = entry("together at most", "200GB")
        self.min_free = entry("leave free", "20GB")
        self._folder = folder
        self._told = widgets.HTML()
        self._inputs = {"max_age": self.max_age, "max_bytes": self.max_bytes, "min_free": self.min_free}
        self.box = group("Old files", *self._inputs.values(), self._told)
        for one in self._inputs.values():
            one.observe(self._tell, "value")

    def settings(self) -> Keep | None:
        """What is asked for; None if nothing is deleted. Raises SettingsError."""
        return made_of(Keep, self._inputs) if any(map(text, self._inputs.values())) else None

    def _tell(self, _: object) -> None:
        words = f"The oldest recordings in <code>{for_page(str(self._folder))}</code> are deleted beyond that."
        is_asked = any(map(text, self._inputs.values()))
        put(self._told, f'<span class="recordkit-hint">{words}</span>' if is_asked else "")


class Again:
    """Whether a source that goes away is asked for again; shown for those that may come back."""

    def __init__(self) -> None:
        self.is_wanted = tick("Ask again when it goes away", "It goes on in the same recording, behind a gap")
        self.give_up_after = entry("give up after", "never")
        self.box = group("Source", self.is_wanted, self.give_up_after)

    def show_for(self, *, returns: bool) -> None:
        """Whether the source that is chosen may come back."""
        self.box.layout.display = "" if returns else "none"

    def applied(self, source: Source | StandIn) -> Source | StandIn:
        """``source``, asked for again if that is wanted and it may come back. Raises SettingsError."""
        if not (self.is_wanted.value or text(self.give_up_after)) or not comes_back(source):
            return source
        changed: Any = source  # one of the dataclasses that have it
        again: Source = replace(changed, reconnect=made_of(Reconnect, {"give_up_after": self.give_up_after}))
        return again


def comes_back(source: object) -> bool:
    """Whether a source may be asked for again after it went away."""
    from ..endpoint.whep_settings import WhepSettings

    return isinstance(source, MediaFileSettings | WhepSettings)


def entry(description: str, placeholder: str) -> widgets.Text:
    """A short text that need not be filled in."""
    made = widgets.Text(description=description, placeholder=placeholder, style=LABELLED, layout=small())
    made.observe(lambda _: made.remove_class(WRONG), "value")
    return made


def tick(description: str, tooltip: str) -> widgets.Checkbox:
    """Something to be ticked, as wide as its words."""
    return widgets.Checkbox(
        description=description, indent=False, tooltip=tooltip, layout=widgets.Layout(width="auto")
    )


def group(name: str, *inputs: widgets.Widget) -> widgets.HBox:
    """Settings that belong together, under a name."""
    box = row(widgets.HTML(f'<span class="recordkit-legend">{for_page(name)}</span>'), *inputs)
    box.add_class("recordkit-group")
    return box
