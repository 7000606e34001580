"""What a media file, a URL or a device is told: which of it is recorded, and how."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from fractions import Fraction
from typing import Any, cast

from ..errors import SettingsError
from ..printable import discreet
from ..signatures import named
from ..values import PathLike, RateLike, Setting, flag, maybe, rate, text, whole
from .protocols import bounds, check
from .protocols import protocols as read_protocols
from .reconnect import RECONNECT, Reconnect


def _url(name: str, value: Any) -> str:  # noqa: ANN401 - whatever a caller gives
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise SettingsError(name, value, "give a path or URL")
    return os.path.expanduser(os.fsdecode(value))  # noqa: PTH111 - a URL is no path


def _audio(name: str, value: Any) -> bool | str:  # noqa: ANN401 - whatever a caller gives
    if type(value) is not bool and not (isinstance(value, str) and value.strip()):
        raise SettingsError(name, value, 'give True, False, or languages and stream numbers such as "deu,3"')
    return value


@named
@dataclass(frozen=True)
class MediaFileSettings:
    """Which file, URL or device is recorded, and what of it: see MediaFile."""

    url: Setting[PathLike, str] = Setting(_url)
    _: KW_ONLY
    format: Setting[str | None, str | None] = Setting(maybe(text), None)
    options: Mapping[str, str | float] = field(default_factory=dict)
    video: Setting[bool, bool] = Setting(flag, True)
    audio: Setting[bool | str, bool | str] = Setting(_audio, True)
    program: Setting[int | None, int | None] = Setting(maybe(whole(1, 65_535)), None)
    transcode: Setting[bool, bool] = Setting(flag, False)
    transcode_audio: Setting[bool, bool] = Setting(flag, False)
    fps: Setting[RateLike | None, Fraction | None] = Setting(maybe(rate), None)
    protocols: Setting[Sequence[str] | None, tuple[str, ...] | None] = Setting(read_protocols, None)
    reconnect: Setting[Reconnect | None, Reconnect | None] = Setting(RECONNECT, None)

    def __post_init__(self) -> None:
        check(self.url, self.protocols)
        options = self.options
        if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
            raise SettingsError("options", options, "give a mapping of libavformat's options to their values")
        object.__setattr__(self, "options", {name: str(value) for name, value in options.items()})

    @property
    def name(self) -> str:
        """The path or URL, without what is secret in it."""
        return discreet(self.url)

    @property
    def given_options(self) -> dict[str, str]:
        """Options of libavformat, with those that hold it to the protocols that are allowed."""
        return {**cast("dict[str, str]", self.options), **bounds(self.protocols)}

    def __repr__(self) -> str:
        # Options are headers, cookies and keys, too.
        options = ", options=..." if self.options else ""
        return f"{type(self).__name__}({self.name!r}{options})"
