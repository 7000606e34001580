"""What a source of media gives, whatever it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import av
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from ..model import Captured, EncodedUnit, EventKind, Field, Received

Media: TypeAlias = "VideoFrame | AudioFrame | av.Packet[Any] | EncodedUnit"


class SourceItem(NamedTuple):
    """A frame, a packet to be passed through, or a live unit; ``stream`` numbers its audio stream.

    ``due_s`` is when it is to be handed on, in seconds since the source was opened; None as soon
    as it is there; a frame with such a time is taken then. ``ticks`` is a frame's time where its own is not the one
    to use. ``captured`` is when a frame was taken, None if the source does not know. ``discontinuity`` says that
    media is missing before it.
    """

    media: Media
    stream: int = 0
    due_s: float | None = None
    ticks: int | None = None
    captured: Captured | None = None
    discontinuity: bool = False


class SourceNote(NamedTuple):
    """Stands among the items of a source: an event of the recording, or (``kind`` None) only that time passes.

    ``reached_s`` is how far the source would be by now, in the time of its items. SOURCE_ENDED with ``because``
    says that no more comes, and why.
    """

    kind: EventKind | None = None
    fields: Mapping[str, Field] = MappingProxyType({})
    reached_s: float | None = None


class Live(Protocol):
    """What can be asked of a source that gives media as they arrive; from any thread."""

    @property
    def received(self) -> Received:
        """What has come over the network so far."""
        ...

    def interrupt(self) -> None:
        """Let the items end with what has come by now: there may be nothing more for long."""
        ...

    def request_entry(self, *, is_video: bool, stream: int) -> None:
        """Ask the sender for a unit that a decoder can start from."""
        ...

    def tell(self, note: Callable[..., None]) -> None:
        """Call ``note(kind, **fields)`` for each event from now on, first for those that there have been."""
        ...


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A source that gives media: the items, and what is known of them before the first.

    ``frame_rate`` is that of the frames that will have to be encoded, ``languages`` are those of
    the audio streams, in order; ``pixel_aspect`` is a pixel's width over its height.

    ``live`` is there for what comes over a network. ``troubles`` are the parts of the source that cannot be
    recorded, each with the reason. ``is_live`` says that it comes over a connection whose end is told, and
    ``may_end`` that such an end may be an orderly one.
    """

    items: Iterator[SourceItem | SourceNote]
    has_video: bool
    has_audio: bool
    frame_rate: Fraction | None = None
    languages: tuple[str | None, ...] = ()
    pixel_aspect: Fraction | None = None
    live: Live | None = None
    troubles: tuple[tuple[str, str], ...] = ()
    is_live: bool = False
    may_end: bool = True


class Channel(Protocol):
    """A way of small messages (what JSON has) between a source and whoever started the session it runs in."""

    def send(self, message: dict[str, Any]) -> None:
        """Send one, without waiting: to the session's ``on_signal``. Raises SettingsError for what JSON has not."""

    def listen(self, listener: Callable[[dict[str, Any]], None]) -> None:
        """Call ``listener`` with each message of ``Session.signal``, those that came before at once.

        It is called in a thread that waits for it: it must be quick.
        """


@runtime_checkable
class SignalledSource(Protocol):
    """A source that needs a channel, a camera in a browser for instance. In a worker it is opened with one."""

    @property
    def name(self) -> str:
        """What to call it in messages."""
        ...

    def open_on(self, channel: Channel) -> AbstractContextManager[OpenSource]:
        """Begin to give media, as ``Source.open`` does."""
        ...


class Source(Protocol):
    """Anything that can be recorded. ``open`` raises SourceError where it cannot be opened."""

    @property
    def name(self) -> str:
        """What to call it in messages."""
        ...

    def open(self) -> AbstractContextManager[OpenSource]:
        """Begin to give media; the end of the context gives back what was opened."""
        ...
