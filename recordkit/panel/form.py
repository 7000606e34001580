"""The panel's form: which source, which file, which settings; and what they make."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import ipywidgets as widgets

from ..background.sessions import StandIn
from ..errors import SettingsError
from ..names import PARTIAL_SUFFIXES, SUFFIXES, TAIL_SUFFIX, stem_of, suffix_of
from ..settings import VideoSettings
from ..sources.given import SourceLike, source_of
from ..sources.media_file import MediaFile
from ..sources.source import Source
from ..sources.synthetic import Synthetic
from .camera import Camera
from .parts import close_all, row

SIZES = ("640x360", "1280x720", "1920x1080")
_LABELLED = {"description_width": "initial"}


class Choice(Protocol):
    """One kind of source: what is asked for it, and the source that the answers make."""

    label: str
    box: widgets.Widget

    def source(self) -> Source | StandIn:
        """The source, as the form stands. Raises SettingsError."""
        ...


class SyntheticChoice:
    """The built-in test source."""

    label = "Synthetic camera and microphone"

    def __init__(self) -> None:
        self.size = _sizes()
        self.fps = widgets.Dropdown(
            options=[15, 25, 30, 60], value=30, description="Frames per second", style=_LABELLED, layout=_small()
        )
        self.box = row(self.size, self.fps)

    def source(self) -> Source:
        """See Choice."""
        width, height = _size(self.size.value)
        return Synthetic(width=width, height=height, fps=self.fps.value)


class LoopbackChoice:
    """Two WebRTC peers on this machine, with a network as bad as one likes."""

    label = "WebRTC loopback"

    def __init__(self) -> None:
        self.size = _sizes()
        self.codec = widgets.Dropdown(
            options=[("H.264", "h264"), ("VP8", "vp8")], description="Codec", style=_LABELLED, layout=_small()
        )
        self.loss = _slider("Loss, %", 0, 10, 0.5)
        self.delay = _slider("Delay, ms", 0, 500, 10)
        self.box = row(self.size, self.codec, self.loss, self.delay)

    def source(self) -> Source:
        """See Choice."""
        from ..sources.webrtc.loopback import Loopback

        width, height = _size(self.size.value)
        loss, delay_s = self.loss.value / 100, self.delay.value / 1000
        return Loopback(width=width, height=height, codec=self.codec.value, loss=loss, delay_s=delay_s)


class FileChoice:
    """A file, a URL or a device."""

    label = "File or URL"

    def __init__(self) -> None:
        self.url = widgets.Text(
            placeholder="clip.mp4, https://…, rtsp://…", description="Address", style=_LABELLED, layout=_wide()
        )
        self.transcode = widgets.Checkbox(
            description="Re-encode", indent=False, layout=widgets.Layout(width="130px")
        )
        self.box = row(self.url, self.transcode)

    def source(self) -> Source:
        """See Choice."""
        url = self.url.value.strip()
        if not url:
            raise SettingsError("address", "", "give the path or URL of what is to be recorded")
        return MediaFile(url=url, transcode=self.transcode.value, transcode_audio=self.transcode.value)


class WhipChoice:
    """An endpoint that a WHIP client (OBS, a browser, ffmpeg) publishes to."""

    label = "WHIP endpoint"

    def __init__(self) -> None:
        self.host = widgets.Text(value="127.0.0.1", description="Address", style=_LABELLED, layout=_small())
        self.port = widgets.BoundedIntText(
            value=8080, min=0, max=65535, description="Port", style=_LABELLED, layout=widgets.Layout(width="130px")
        )
        self.token = widgets.Password(description="Token", placeholder="none", style=_LABELLED, layout=_small())
        self.box = row(self.host, self.port, self.token)

    def source(self) -> Source:
        """See Choice."""
        from ..endpoint.whip import Whip

        return Whip(host=self.host.value.strip(), port=self.port.value, token=self.token.value or None)


class CameraChoice:
    """The camera, microphone or screen of the browser that shows the panel."""

    label = "This browser's camera"

    def __init__(self) -> None:
        self.camera = Camera()
        self.box = widgets.VBox([self.camera])

    def source(self) -> StandIn:
        """See Choice."""
        return self.camera


Sources: TypeAlias = (
    "SourceLike | StandIn | Sequence[SourceLike | StandIn] | Mapping[str, SourceLike | StandIn] | None"
)


class GivenChoice:
    """A source that the caller made."""

    def __init__(self, label: str, source: Source | StandIn) -> None:
        self.label = label
        self._source = source
        # A camera of the caller's own is shown, and stays the caller's; another source has nothing to ask.
        self.box = widgets.VBox([source] if isinstance(source, widgets.Widget) else [])

    def source(self) -> Source | StandIn:
        """See Choice."""
        return self._source


KINDS: dict[str, Callable[[], Choice]] = {
    "synthetic": SyntheticChoice,
    "loopback": LoopbackChoice,
    "file": FileChoice,
    "whip": WhipChoice,
    "camera": CameraChoice,
}


def choices(sources: Sources) -> list[Choice]:
    """What a panel offers: kinds by their names, sources, paths and URLs as they are. Raises SettingsError."""
    if isinstance(sources, Mapping):
        found: list[Choice] = [GivenChoice(label, _given(source)) for label, source in sources.items()]
    else:
        listed: Iterable[object] = [sources]
        if sources is None:
            listed = KINDS
        elif isinstance(sources, Sequence) and not isinstance(sources, str):
            listed = sources
        found = [_choice(one) for one in listed]
    if not found:
        raise SettingsError("sources", sources, "give at least one")
    return found


def _choice(one: object) -> Choice:
    if isinstance(one, str) and one in KINDS:
        return KINDS[one]()
    if isinstance(one, str) and not any(mark in one for mark in "./:~"):
        raise SettingsError("sources", one, f"give sources, paths, URLs, or names among {', '.join(KINDS)}")
    source = _given(one)
    return GivenChoice(getattr(source, "name", type(one).__name__), source)


def _given(one: object) -> Source | StandIn:
    if isinstance(one, StandIn) and not isinstance(one, type):
        return one
    return source_of("sources", one)


class Form:
    """Source, name and settings. ``settings`` are those of ``recordkit.start``."""

    def __init__(self, sources: Sources, folder: Path) -> None:
        self._folder = folder
        self.choices = choices(sources)
        self.kind = widgets.Dropdown(
            options=[(one.label, number) for number, one in enumerate(self.choices)],
            description="Record",
            style=_LABELLED,
            layout=_wide(),
        )
        self.name = widgets.Text(
            value=free_name(folder), description="into", style=_LABELLED, layout=_wide(), continuous_update=True
        )
        self.options = widgets.VBox([self.choices[0].box])
        self.bit_rate = widgets.FloatText(
            value=0, description="Mbit/s (0: by size)", style=_LABELLED, layout=_small()
        )
        self.seconds = widgets.FloatText(
            value=0, description="Stop after, s (0: never)", style=_LABELLED, layout=_small()
        )
        self.threshold = widgets.BoundedFloatText(
            value=4, min=0.0625, max=1024, description="Flush at, MB", style=_LABELLED, layout=_small()
        )
        self.interval = widgets.BoundedFloatText(
            value=2, min=0.05, max=3600, description="or after, s", style=_LABELLED, layout=_small()
        )
        self.durability = widgets.Dropdown(
            options=[("each flush", "flush"), ("leave it to the system", "process")],
            description="Sync to disk",
            style=_LABELLED,
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


def _sizes() -> widgets.Dropdown:
    return widgets.Dropdown(options=SIZES, value="1280x720", description="Size", style=_LABELLED, layout=_small())


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def _slider(name: str, low: float, high: float, step: float) -> widgets.FloatSlider:
    return widgets.FloatSlider(
        value=low, min=low, max=high, step=step, description=name, readout_format=".3g", style=_LABELLED,
        layout=widgets.Layout(width="260px"),
    )  # fmt: skip


def _wide() -> widgets.Layout:
    return widgets.Layout(width="auto", min_width="180px", flex="1 1 220px")


def _small() -> widgets.Layout:
    return widgets.Layout(width="190px")
