"""The panel's form: which source, which file, which settings; and what they make."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from ..background.sessions import StandIn
from ..errors import SettingsError
from ..names import PARTIAL_SUFFIXES, SUFFIXES, TAIL_SUFFIX, stem_of, suffix_of
from ..settings import VideoSettings
from ..sources.source import Source
from .choices import Choice, GivenChoice, Sources, choices
from .endless import Again, Bounds, Several, group, tick
from .file_choice import FOLLOWED
from .parts import LABELLED, close_all, row, small, wide


class Form:
    """Source, name and settings. ``settings`` are those of ``recordkit.start``."""

    def __init__(self, sources: Sources, folder: Path, followed: tuple[str, ...] | None = FOLLOWED) -> None:
        self._folder = folder
        self.choices = choices(sources, folder, followed)
        self.kind = widgets.Dropdown(
            options=[(one.label, number) for number, one in enumerate(self.choices)],
            description="Record",
            style=LABELLED,
            layout=wide(),
        )
        self.name = widgets.Text(
            value=free_name(folder), description="into", style=LABELLED, layout=wide(), continuous_update=True
        )
        self.options = widgets.VBox([self.choices[0].box])
        self.bit_rate = widgets.FloatText(
            value=0, description="Mbit/s (0: by size)", style=LABELLED, layout=small()
        )
        self.seconds = widgets.FloatText(
            value=0, description="Stop after, s (0: never)", style=LABELLED, layout=small()
        )
        self.threshold = widgets.BoundedFloatText(
            value=4, min=0.0625, max=1024, description="Flush at, MB", style=LABELLED, layout=small()
        )
        self.interval = widgets.BoundedFloatText(
            value=2, min=0.05, max=3600, description="or after, s", style=LABELLED, layout=small()
        )
        self.durability = widgets.Dropdown(
            options=[("each flush", "flush"), ("leave it to the system", "process")],
            description="Sync to disk",
            style=LABELLED,
            layout=widgets.Layout(width="260px"),
        )
        self.overwrite = tick("Replace what has this name", "Else it counts on: talk-1.ts")
        self.gap = widgets.Dropdown(
            options=[("stays as a gap", "mark"), ("is closed up", "close")],
            description="A pause",
            style=LABELLED,
            layout=small(),
        )
        self.several, self.bounds, self.again = Several(), Bounds(folder), Again()
        settings = widgets.VBox(
            [
                group("Recording", self.bit_rate, self.seconds, self.gap),
                group("Disk", self.threshold, self.interval, self.durability, self.overwrite),
                self.several.box,
                self.bounds.box,
                self.again.box,
            ]
        )
        settings.add_class("recordkit-settings")
        self.folded = widgets.Accordion([settings])
        self.folded.set_title(0, "Settings")
        self.box = widgets.VBox([row(self.kind, self.name), self.options, self.folded])
        self.kind.observe(self._show_options, "value")
        self.name.observe(lambda _: self._tell_names(), "value")
        self.several.watch(self._tell_names)
        self.again.show_for(returns=self.choices[0].returns)

    @property
    def path(self) -> Path:
        """The file that is asked for, or what the files are called. Raises SettingsError for what is no name."""
        name = str(self.name.value).strip()
        if name in ("", ".", "..") or Path(name).name != name:
            raise SettingsError(
                "name", name, f"give a file's name, such as talk.ts or talk.mp4; it goes into {self._folder}"
            )
        return self._folder / self.several.named(name if suffix_of(name) else name + SUFFIXES[0])

    def source(self) -> Source | StandIn:
        """The source that is asked for. Raises SettingsError."""
        number: int = self.kind.value
        source = self.choices[number].source()
        with self._unfolded_if_wrong():
            return self.again.applied(source)

    def settings(self) -> dict[str, Any]:
        """The settings that are asked for. Raises SettingsError by the name that stands on the page."""
        given: dict[str, Any] = {
            "flush_threshold": round(self.threshold.value * 2**20),
            "flush_interval": self.interval.value,
            "durability": self.durability.value,
            "overwrite": self.overwrite.value,
        }
        if self.bit_rate.value:
            given["video"] = VideoSettings(bit_rate=round(self.bit_rate.value * 1e6))
        if self.seconds.value:
            given["seconds"] = self.seconds.value
        with self._unfolded_if_wrong():
            several = {"segments": self.several.settings(), "keep": self.bounds.settings()}
        return given | {name: value for name, value in several.items() if value is not None}

    def next_name(self) -> None:
        """Count on to a free name if the one in the form has been taken, and is not to be replaced."""
        name = self.name.value.strip()
        stem = stem_of(name)
        if not self.overwrite.value and stem in _taken(self._folder):
            self.name.value = free_name(self._folder, stem, suffix_of(name) or SUFFIXES[0])

    def lock(self, *, locked: bool) -> None:
        """Let nothing be changed while it would mean nothing."""
        for one in (self.kind, self.name, *self._inputs(self.folded), *self._inputs(self.options)):
            one.disabled = locked

    def take_over(self, earlier: Form) -> None:
        """Go on with the source that ``earlier`` records: a camera that was closed now would end it."""
        going_on = earlier.choices[earlier.kind.value]
        for number, one in enumerate(self.choices):
            if one.label != going_on.label:
                continue
            earlier.choices.remove(going_on)
            earlier.options.children = ()
            self.choices[number] = going_on
            self._let_go(one)
            self.kind.value = number
            self.options.children = [going_on.box]

    def close(self) -> None:
        """Close the choices' widgets, those that are shown and those that are not; not the caller's own."""
        self.options.children = ()
        for one in self.choices:
            self._let_go(one)

    def _let_go(self, choice: Choice) -> None:
        if isinstance(choice, GivenChoice):
            choice.box.children = ()
        close_all(choice.box)

    def _inputs(self, box: Any) -> list[Any]:  # noqa: ANN401 - ipywidgets carry no types
        if hasattr(box, "children"):
            return [one for child in box.children for one in self._inputs(child)]
        return [box] if hasattr(box, "disabled") else []

    def _show_options(self, change: Mapping[str, Any]) -> None:
        chosen = self.choices[change["new"]]
        self.options.children = [chosen.box]
        self.again.show_for(returns=chosen.returns)

    def _tell_names(self) -> None:
        name = self.name.value.strip()
        self.several.tell(name if suffix_of(name) else name + SUFFIXES[0])

    @contextmanager
    def _unfolded_if_wrong(self) -> Iterator[None]:
        """What is wrong in the settings is to be seen."""
        try:
            yield
        except SettingsError:
            self.folded.selected_index = 0
            raise


_WHEN = re.compile(r"_\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(?: \(\d+\))?$")
"""What a file of several has behind the name of the recording: see ``WHEN``."""


def free_name(folder: Path, stem: str = "recording-1", suffix: str = SUFFIXES[0]) -> str:
    """A name in ``folder`` that neither a recording nor an unfinished one has: ``recording-3.ts``."""
    base, _, number = stem.rpartition("-")
    if not (base and number.isdecimal()):
        base, number = stem, "1"
    count, taken = int(number), _taken(folder)
    while f"{base}-{count}" in taken:
        count += 1
    return f"{base}-{count}{suffix}"


def _taken(folder: Path) -> set[str]:
    """The names of the recordings in ``folder``, without their endings."""
    names: list[str] = []
    with suppress(OSError):  # it is not there yet, or cannot be one: whoever records says so
        names = os.listdir(folder)  # noqa: PTH208 - which makes no Path of each
    endings = (*SUFFIXES, *PARTIAL_SUFFIXES, TAIL_SUFFIX)
    stems = {stem_of(one) for one in names if one.endswith(endings)}
    return stems | {_WHEN.sub("", one) for one in stems}
