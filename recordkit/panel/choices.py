"""The kinds of sources that a panel offers: what is asked for each, and the source that the answers make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import ipywidgets as widgets

from ..background.sessions import StandIn
from ..errors import SettingsError
from ..sources.given import SourceLike, source_of
from ..sources.source import Source
from ..sources.synthetic import Synthetic
from .camera import Camera
from .endless import comes_back
from .file_choice import FOLLOWED, FileChoice
from .parts import LABELLED, row, small, wide

SIZES = ("640x360", "1280x720", "1920x1080")


class Choice(Protocol):
    """One kind of source: what is asked for it, and the source that the answers make."""

    label: str
    box: widgets.Widget
    returns: bool
    """Whether the source may go away and come back: then it can be asked for again."""

    def source(self) -> Source | StandIn:
        """The source, as the form stands. Raises SettingsError."""
        ...


class SyntheticChoice:
    """The built-in test source."""

    label = "Synthetic camera and microphone"
    returns = False

    def __init__(self) -> None:
        self.size = _sizes()
        self.fps = widgets.Dropdown(
            options=[15, 25, 30, 60], value=30, description="Frames per second", style=LABELLED, layout=small()
        )
        self.box = row(self.size, self.fps)

    def source(self) -> Source:
        """See Choice."""
        width, height = _size(self.size.value)
        return Synthetic(width=width, height=height, fps=self.fps.value)


class LoopbackChoice:
    """Two WebRTC peers on this machine, with a network as bad as one likes."""

    label = "WebRTC loopback"
    returns = False

    def __init__(self) -> None:
        self.size = _sizes()
        self.codec = widgets.Dropdown(
            options=[("H.264", "h264"), ("VP8", "vp8")], description="Codec", style=LABELLED, layout=small()
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


class WhipChoice:
    """An endpoint that a WHIP client (OBS, a browser, ffmpeg) publishes to."""

    label = "WHIP endpoint"
    returns = False

    def __init__(self) -> None:
        self.host = widgets.Text(value="127.0.0.1", description="Address", style=LABELLED, layout=small())
        self.port = widgets.BoundedIntText(
            value=8080, min=0, max=65535, description="Port", style=LABELLED, layout=widgets.Layout(width="130px")
        )
        self.token = widgets.Password(description="Token", placeholder="none", style=LABELLED, layout=small())
        self.box = row(self.host, self.port, self.token)

    def source(self) -> Source:
        """See Choice."""
        from ..endpoint.whip import Whip

        return Whip(host=self.host.value.strip(), port=self.port.value, token=self.token.value or None)


class WhepChoice:
    """A stream of a WebRTC server."""

    label = "WHEP server"
    returns = True

    def __init__(self) -> None:
        self.url = widgets.Text(
            placeholder="http://127.0.0.1:8889/cam/whep", description="Address", style=LABELLED, layout=wide()
        )
        self.token = widgets.Password(description="Token", placeholder="none", style=LABELLED, layout=small())
        self.box = row(self.url, self.token)

    def source(self) -> Source:
        """See Choice."""
        from ..endpoint.whep import Whep

        return Whep(self.url.value, token=self.token.value or None)


class CameraChoice:
    """The camera, microphone or screen of the browser that shows the panel."""

    label = "This browser's camera"
    returns = False

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
        self.returns = comes_back(source)
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
    "whep": WhepChoice,
    "camera": CameraChoice,
}


def choices(sources: Sources, folder: Path, followed: tuple[str, ...] | None = FOLLOWED) -> list[Choice]:
    """What a panel offers: kinds by their names, sources, paths and URLs as they are.

    What is typed in may be a file below ``folder``, or a URL by ``followed``. Raises SettingsError.
    """
    if isinstance(sources, Mapping):
        found: list[Choice] = [GivenChoice(label, _given(source)) for label, source in sources.items()]
    else:
        listed: Iterable[object] = [sources]
        if sources is None:
            listed = KINDS
        elif isinstance(sources, Sequence) and not isinstance(sources, str):
            listed = sources
        found = [_choice(one, folder, followed) for one in listed]
    if not found:
        raise SettingsError("sources", sources, "give at least one")
    return found


def _choice(one: object, folder: Path, followed: tuple[str, ...] | None) -> Choice:
    if isinstance(one, str) and one in KINDS:
        return FileChoice(folder, followed) if one == "file" else KINDS[one]()
    if isinstance(one, str) and not any(mark in one for mark in "./:~"):
        raise SettingsError("sources", one, f"give sources, paths, URLs, or names among {', '.join(KINDS)}")
    source = _given(one)
    return GivenChoice(getattr(source, "name", type(one).__name__), source)


def _given(one: object) -> Source | StandIn:
    if isinstance(one, StandIn) and not isinstance(one, type):
        return one
    return source_of("sources", one)


def _sizes() -> widgets.Dropdown:
    return widgets.Dropdown(options=SIZES, value="1280x720", description="Size", style=LABELLED, layout=small())


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def _slider(name: str, low: float, high: float, step: float) -> widgets.FloatSlider:
    return widgets.FloatSlider(
        value=low, min=low, max=high, step=step, description=name, readout_format=".3g", style=LABELLED,
        layout=widgets.Layout(width="260px"),
    )  # fmt: skip
