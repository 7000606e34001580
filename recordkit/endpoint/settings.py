"""What a WHIP endpoint is told: where it listens, who may publish, what is recorded and how much of it."""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from ..errors import SettingsError
from ..signatures import named
from ..values import DURATION, NumberLike, Setting, WholeLike, instance, maybe, seconds, whole
from .names import check_template

TOKEN_VARIABLE = "RECORDKIT_TOKEN"  # noqa: S105 - the name of a variable
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]", "::1")


@named
@dataclass(frozen=True)
class WhipSettings:
    """How a WHIP endpoint listens, and whom it takes.

    Publishers send to ``http://HOST:PORT/whip/STREAM``. ``port=0`` takes a free one. ``token`` is
    what they must show (Bearer); without it that of the environment's RECORDKIT_TOKEN counts. Any
    address but loopback needs one. ``certificate`` and ``key`` are paths of PEM files for TLS,
    without which browsers give no camera to pages from other machines.

    ``ice_servers`` are STUN and TURN servers: URLs, or mappings with ``urls``, ``username`` and
    ``credential``; none are asked by default. ``allowed_origins`` are web pages' origins that may
    publish from a browser (``"*"``: all; none: only the endpoint's own page). ``publish_page``
    serves a page for publishing a camera or a screen. ``name_template`` names the files, where
    each publisher has its own.

    Limits: ``max_publishers`` at once, ``max_sdp_bytes`` of an offer, ``max_seconds`` of media and
    ``max_bytes`` of a file, after which a new one begins (None: none), ``min_free_bytes`` on the disk,
    below which nobody is taken and what is recorded is committed; ``connect_timeout`` is how many seconds
    a publisher has to connect, ``max_silence`` how many a connected one may send neither video nor audio before
    it is ended and what was recorded is committed (None: as long as it likes; the state is degraded then).
    ``start_bit_rate`` is what browsers are asked to begin with, in bits a second.

    Media come over UDP, at ports that the system chooses. Where only some reach this machine (a container, a
    firewall), ``media_ports`` is the first and the last that are used; each publisher takes one.
    ``announced_address`` is told to publishers besides the addresses that this machine has: the IP address
    from which these ports are forwarded to it.

    Raises SettingsError, which never shows the token.
    """

    port: Setting[WholeLike, int] = Setting(whole(0, 65535), 8080)
    _: KW_ONLY
    host: Setting[str, str] = Setting(
        instance(str, "give an address to listen at, such as '127.0.0.1'"), "127.0.0.1"
    )
    token: str | None = field(default=None, repr=False)
    certificate: str | None = None
    key: str | None = None
    ice_servers: Sequence[str | Mapping[str, Any]] = field(default=(), repr=False)
    allowed_origins: Sequence[str] = ()
    publish_page: bool = False
    name_template: str = "{stream}-{time}-{counter}.ts"
    max_publishers: Setting[WholeLike, int] = Setting(whole(1, 1000), 16)
    max_sdp_bytes: Setting[WholeLike, int] = Setting(whole(1024, 1 << 20, "bytes", kilo=1024), 64 * 1024)
    max_seconds: Setting[NumberLike | None, float | None] = Setting(maybe(DURATION), None)
    max_bytes: Setting[WholeLike | None, int | None] = Setting(maybe(whole(1, 1 << 62, "bytes", kilo=1024)), None)
    min_free_bytes: Setting[WholeLike, int] = Setting(whole(0, 1 << 62, "bytes", kilo=1024), 256 * 1024 * 1024)
    connect_timeout: Setting[NumberLike, float] = Setting(seconds(0.001, 1e6, "give a time above 0"), 20.0)
    max_silence: Setting[NumberLike | None, float | None] = Setting(maybe(DURATION), None)
    start_bit_rate: Setting[WholeLike, int] = Setting(whole(30_000, 100_000_000, "bits per second"), 2_500_000)
    media_ports: tuple[int, int] | None = None
    announced_address: str | None = None

    def __post_init__(self) -> None:
        for name in ("ice_servers", "allowed_origins"):
            if not isinstance(getattr(self, name), Sequence) or isinstance(getattr(self, name), str):
                raise SettingsError(name, getattr(self, name), "give a list of them")
            object.__setattr__(self, name, tuple(getattr(self, name)))
        check_template(self.name_template)
        self._check_media()
        if (self.certificate is None) != (self.key is None):
            raise SettingsError("certificate", self.certificate, "certificate and key go together")
        if self.token is not None and not (
            self.token.isascii() and self.token.isprintable() and self.token.strip()
        ):
            # Its value stays out of the message.
            raise SettingsError("token", "…", "give printable ASCII characters")

    def _check_media(self) -> None:
        ports, address = self.media_ports, self.announced_address
        if ports is not None:
            advice = "give the first and the last of a range of UDP ports, such as (50000, 50015)"
            pair = tuple(ports) if isinstance(ports, list | tuple) else ()
            if len(pair) != 2 or not all(type(one) is int and 0 < one < 65536 for one in pair) or pair[0] > pair[1]:
                raise SettingsError("media_ports", ports, advice)
            object.__setattr__(self, "media_ports", pair)
        if address is not None:
            try:
                ipaddress.ip_address(address)
            except ValueError as error:
                raise SettingsError("announced_address", address, "give an IP address") from error

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return f"whip {self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    def required_token(self) -> str | None:
        """The token that publishers must show, or None where none is needed.

        Raises SettingsError where there is none and the address can be reached from elsewhere.
        """
        token = self.token or os.environ.get(TOKEN_VARIABLE, "").strip() or None
        if token is None and not self.is_local:
            raise SettingsError(
                "token", None, f"{self.host} can be reached from elsewhere: give a token, or set {TOKEN_VARIABLE}"
            )
        return token

    def tls(self) -> ssl.SSLContext | None:
        """The certificate and key as they are served; raises SettingsError where they cannot be used."""
        if self.certificate is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ValueError) as error:
            raise SettingsError("certificate", self.certificate, f"cannot be used: {error}") from error
        return context
