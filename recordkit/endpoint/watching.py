"""The resources that a page plays recordings from, and those that are downloaded."""

from __future__ import annotations

import asyncio
import json
import math
import os
import stat
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from aiohttp import hdrs, web

from ..playback.script import STYLE, player_script
from ..system import hold_shared
from .gate import Gate
from .ranges import BeyondError, asked_range
from .readers import unavailable
from .screening import Screening
from .shelf import Entry

MOST_DOWNLOADS = 16
_BLOCK_BYTES = 256 * 1024
_LONGEST_WRITE_S = 60.0
"""A visitor who takes nothing of a block for so long has gone."""
_LARGEST = 2**53
_WIDEST = 1920
_OWN = {"Cross-Origin-Resource-Policy": "same-origin"}
"""Pages from elsewhere may not show what is recorded here."""


class Watching:
    """The resources of ``screening`` for whom ``gate`` lets in; ``is_live`` tells what is being recorded."""

    def __init__(self, screening: Screening, gate: Gate, is_live: Callable[[str], bool]) -> None:
        self._screening = screening
        self._gate = gate
        self._is_live = is_live
        self._downloads = 0

    @property
    def routes(self) -> list[web.RouteDef]:
        """What is to be added to the application."""
        return [
            web.get("/player.js", self._show_script),
            web.get("/player.css", self._show_style),
            web.get("/watch/{name}", self._answer),
            web.get("/recordings/{name}", self._download),
        ]

    async def _show_script(self, _request: web.Request) -> web.Response:
        return web.Response(text=player_script(), content_type="text/javascript")

    async def _show_style(self, _request: web.Request) -> web.Response:
        return web.Response(text=STYLE.read_text("utf-8"), content_type="text/css")

    async def _answer(self, request: web.Request) -> web.Response:
        """A player's question: a line of JSON, and behind it the bytes that its ``sizes`` tell."""
        self._gate.viewer(request)
        name, view = request.match_info["name"], request.query.get("view", "")
        if request.query.get("ask") == "gone":
            self._screening.leave(view)
            return web.Response(status=204, headers=_OWN)
        content, payload = await self._screening.answer(name, view, _asked(request), is_live=self._is_live(name))
        head = json.dumps(content | {"sizes": [len(one) for one in payload]}).encode() + b"\n"
        return web.Response(body=b"".join([head, *payload]), content_type="application/octet-stream", headers=_OWN)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        self._gate.viewer(request)
        entry = await self._screening.entry(request.match_info["name"])
        if not entry.is_finished:
            raise web.HTTPNotFound(text="It is being recorded, or unfinished: there is no file of this name yet.\n")
        if self._downloads >= MOST_DOWNLOADS:
            raise unavailable(f"{MOST_DOWNLOADS} recordings are being downloaded already. Come back later.")
        self._downloads += 1
        try:
            descriptor = await self._screening.read(lambda: self._opened(entry))
            try:
                return await self._sent(request, entry, descriptor)
            finally:
                await self._let_go(descriptor)
        finally:
            self._downloads -= 1

    def _opened(self, entry: Entry) -> int:
        try:
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            descriptor = os.open(self._screening.folder / entry.name, flags)
        except OSError as error:
            raise web.HTTPNotFound(text=f"The recording cannot be opened: {error.strerror}.\n") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise web.HTTPNotFound(text="The recording cannot be opened: it is no file any more.\n")
        hold_shared(descriptor)
        return descriptor

    async def _let_go(self, descriptor: int) -> None:
        try:
            await self._screening.read(lambda: os.close(descriptor))
        except web.HTTPServiceUnavailable:
            os.close(descriptor)

    async def _sent(self, request: web.Request, entry: Entry, descriptor: int) -> web.StreamResponse:
        status = os.fstat(descriptor)
        tag = f'"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"'
        headers = _OWN | {
            hdrs.ACCEPT_RANGES: "bytes",
            hdrs.ETAG: tag,
            hdrs.CONTENT_TYPE: entry.media_type,
            # RFC 6266, 4.3; a name in the field's own form would need quoting that programs do differently.
            hdrs.CONTENT_DISPOSITION: f"attachment; filename*=UTF-8''{quote(entry.name, safe='')}",
        }
        # RFC 9110, 13.1.5: without the very file that it has a part of, a client needs all of it.
        is_same = request.headers.get(hdrs.IF_RANGE, tag) == tag
        field = request.headers.get(hdrs.RANGE) if is_same and request.method == hdrs.METH_GET else None
        try:
            part = asked_range(field, status.st_size)
        except BeyondError:
            raise web.HTTPRequestRangeNotSatisfiable(
                text=f"The recording has {status.st_size} bytes: none of them lies in this range.\n",
                headers={hdrs.CONTENT_RANGE: f"bytes */{status.st_size}"},
            ) from None
        begin, end = part or (0, status.st_size)
        if part is not None:
            headers[hdrs.CONTENT_RANGE] = f"bytes {begin}-{end - 1}/{status.st_size}"
        response = web.StreamResponse(status=200 if part is None else 206, headers=headers)
        response.content_length = end - begin
        await response.prepare(request)
        if request.method != hdrs.METH_HEAD:
            await self._write(request, response, descriptor, begin, end)
        return response

    async def _write(
        self, request: web.Request, response: web.StreamResponse, descriptor: int, begin: int, end: int
    ) -> None:
        while begin < end:
            at, size = begin, min(_BLOCK_BYTES, end - begin)
            try:
                data = await self._screening.read(lambda at=at, size=size: os.pread(descriptor, size, at))  # type: ignore[misc]
                async with asyncio.timeout(_LONGEST_WRITE_S):
                    await response.write(data)
            except (OSError, TimeoutError, web.HTTPException):
                data = b""
            if not data:
                # What was promised cannot be sent: a connection that breaks off says so, an end would not.
                if request.transport is not None:
                    request.transport.abort()
                return
            begin += len(data)


def _asked(request: web.Request) -> dict[str, Any]:
    """A question as the player's messages have it. Raises HTTPBadRequest."""
    asked: dict[str, Any] = {}
    for name, text in request.query.items():
        read = _FIELDS.get(name)
        if read is None:
            continue
        try:
            asked[name] = read(text)
        except ValueError:
            raise web.HTTPBadRequest(text=f"No player asks for such a value of {name}.\n") from None
    return asked


def _whole(least: int, most: int = _LARGEST) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise ValueError
        return value

    return read


def _seconds(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


_FIELDS: dict[str, Callable[[str], object]] = {
    "ask": str,
    "kind": str,
    "number": _whole(-1),
    "unit": _whole(0),
    "bytes": _whole(0),
    "known": _whole(0),
    "width": _whole(16, _WIDEST),
    "media_s": _seconds,
    "audio": lambda text: text == "true",
    "after": lambda text: text == "true",
}
