"""The options of ``recordkit record --source loopback``: what is sent, and over what kind of network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, cast

import typer

from ..errors import SettingsError
from ..sources.source import Source
from .arguments import frame_size

_PANEL = "Loopback source"
_OUTAGE, _SIZE_AT = "START:SECONDS, such as 5:2", "START:WxH, such as 5:640x360"
T = TypeVar("T")


def _option(words: str, metavar: str | None = None) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(help=words, metavar=metavar, rich_help_panel=_PANEL)
    return option


CodecOption = Annotated[str, _option("Codec of the video that is sent: h264, or vp8, which is re-encoded.")]
LossOption = Annotated[float, _option("Share of packets that are lost, such as 0.02 for 2%.")]
DuplicationOption = Annotated[float, _option("Share of packets that arrive twice.")]
ReorderingOption = Annotated[float, _option("Share of packets that arrive out of order.")]
DelayOption = Annotated[float, _option("Delay of every packet, in seconds.")]
JitterOption = Annotated[float, _option("How much the delay varies, in seconds.")]
AudioDelayOption = Annotated[float, _option("Extra delay of the audio, in seconds.")]
OutageOption = Annotated[
    list[str] | None, _option("An outage, from START for SECONDS; may be repeated.", "START:SECONDS")
]
SizeAtOption = Annotated[list[str] | None, _option("A new frame size from START on; may be repeated.", "START:WxH")]
SeedOption = Annotated[int, _option("Seed of the network; the same seed loses the same packets.")]


@dataclass(frozen=True, kw_only=True)
class LoopbackOptions:
    """The options as they were given."""

    codec: str
    loss: float
    duplication: float
    reordering: float
    delay_s: float
    jitter_s: float
    audio_delay_s: float
    outage: list[str] | None
    size_at: list[str] | None
    seed: int

    def source(
        self,
        size: tuple[int, int] | None,
        fps: str | None,
        seconds: str | None,
        bit_rate: int | None,
        *,
        video: bool,
        audio: bool,
    ) -> Source:
        """The source that they make; raises SettingsError."""
        from ..sources.webrtc.loopback import Loopback  # aiortc takes a while to load

        width, height = size or (1280, 720)
        return Loopback(
            width=width,
            height=height,
            fps=fps or 30,
            codec=cast("Any", self.codec),  # checked there
            video=video,
            audio=audio,
            bit_rate=bit_rate,
            loss=self.loss,
            jitter_s=self.jitter_s,
            delay_s=self.delay_s,
            audio_delay_s=self.audio_delay_s,
            duplication=self.duplication,
            reordering=self.reordering,
            outages=tuple(_timed("outage", text, _OUTAGE, float) for text in self.outage or ()),
            sizes=tuple(
                (at_s, *size)
                for at_s, size in (_timed("size_at", text, _SIZE_AT, _size) for text in self.size_at or ())
            ),
            seconds=seconds,
            seed=self.seed,
        )


def _timed(name: str, text: str, form: str, parse: Callable[[str], T]) -> tuple[float, T]:
    start, colon, rest = text.partition(":")
    try:
        if not colon:
            raise ValueError(text)
        return float(start), parse(rest)
    except ValueError as error:
        raise SettingsError(name, text, f"give {form}") from error


def _size(text: str) -> tuple[int, int]:
    return frame_size("size_at", text)
