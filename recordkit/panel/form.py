"""The panel's form: which source, which file, which settings; and what they make."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from ..background.sessions import StandIn
from ..errors import SettingsError
from ..names import PARTIAL_SUFFIXES, SUFFIXES, TAIL_SUFFIX, stem_of, suffix_of
from ..settings import VideoSettings
from ..sources.source import Source
from .choices import FOLLOWED, Choice, GivenChoice, Sources, choices
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
        self.overwrite = widgets.Checkbox(description="Replace what has this name", indent=False)
        self.folded = widgets.Accordion(
            [row(self.bit_rate, self.seconds, self.threshold, self.interval, self.durability, self.overwrite)]
        )
        self.folded.set_title(0, "Settings")
        self.box = widgets.VBox([row(self.kind, self.name), self.options, self.folded])
        self.kind.observe(self._show_options, "value")

    @property
    def path(self) -> Path:
        """The file that is asked for. Raises SettingsError for a name that leaves the folder."""
        name = str(self.name.value).strip()
        if name in ("", ".", "..") or Path(name).name != name:
            raise SettingsError(
                "name", name, f"give a file's name, such as talk.ts or talk.mp4; it goes into {self._folder}"
            )
        return self._folder / (name if suffix_of(name) else name + SUFFIXES[0])

    def source(self) -> Source | StandIn:
        """The source that is asked for. Raises SettingsError."""
        number: int = self.kind.value
        return self.choices[number].source()

    def settings(self) -> dict[str, Any]:
        """The settings that are asked for."""
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
        return given

    def next_name(self) -> None:
        """Offer a free name if the one in the form has been taken."""
        name = self.name.value.strip()
        stem = stem_of(name)
        if not self.overwrite.value and _is_taken(self._folder, stem):
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
        self.options.children = [self.choices[change["new"]].box]


def free_name(folder: Path, stem: str = "recording-1", suffix: str = SUFFIXES[0]) -> str:
    """A name in ``folder`` that neither a recording nor an unfinished one has: ``recording-3.ts``."""
    base, _, number = stem.rpartition("-")
    if not (base and number.isdecimal()):
        base, number = stem, "1"
    count = int(number)
    while _is_taken(folder, f"{base}-{count}"):
        count += 1
    return f"{base}-{count}{suffix}"


def _is_taken(folder: Path, stem: str) -> bool:
    endings = (*SUFFIXES, *PARTIAL_SUFFIXES, TAIL_SUFFIX)
    return any(os.path.exists(folder / (stem + one)) for one in endings)  # noqa: PTH110 - which raises for long names
