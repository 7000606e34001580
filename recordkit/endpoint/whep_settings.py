"""How a stream of a WHEP server is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from ..errors import SettingsError
from ..printable import discreet
from ..signatures import named
from ..sources.reconnect import RECONNECT, Reconnect
from ..values import NumberLike, Setting, flag, seconds

_URL = re.compile(r"https?://[^/?#\s]+\S*", re.IGNORECASE)
_TIMEOUT = seconds(0.1, 600.0, "give a time of 0.1 to 600 seconds")


def _url(name: str, value: Any) -> str:  # noqa: ANN401 - whatever a caller gives
    text = str(value).strip().removeprefix("whep+") if isinstance(value, str) else ""
    if not _URL.fullmatch(text):
        raise SettingsError(name, value, "give the URL of a WHEP server, such as 'http://127.0.0.1:8889/cam/whep'")
    return text


@named
@dataclass(frozen=True)
class WhepSettings:
    """The settings of Whep.

    ``url`` is that of the stream, ``token`` is shown to the server (Bearer), and to no other that it may redirect
    to. ``ice_servers`` are as those of Whip; none are asked by default. ``connect_timeout`` is how many seconds the
    server has to answer, and then to connect.

    Raises SettingsError, which never shows the token.
    """

    url: Setting[str, str] = Setting(_url)
    _: KW_ONLY
    token: str | None = field(default=None, repr=False)
    video: Setting[bool, bool] = Setting(flag, True)
    audio: Setting[bool, bool] = Setting(flag, True)
    ice_servers: Sequence[str | Mapping[str, Any]] = field(default=(), repr=False)
    connect_timeout: Setting[NumberLike, float] = Setting(_TIMEOUT, 10.0)
    reconnect: Setting[Reconnect | None, Reconnect | None] = Setting(RECONNECT, None)

    def __post_init__(self) -> None:
        if not (self.video or self.audio):
            raise SettingsError("video", self.video, "neither video nor audio; switch on at least one")
        token = self.token
        if token is not None and not (isinstance(token, str) and token.isascii() and token.isprintable() and token):
            raise SettingsError("token", "…", "give printable ASCII characters, or None")

    @property
    def name(self) -> str:
        """The URL, without what is secret in it."""
        return discreet(self.url)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"
