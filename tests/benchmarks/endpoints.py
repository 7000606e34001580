"""Endpoints that record publishers into a folder: recordkit's, in one process and in several, and aiortc's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from inspect import signature
from pathlib import Path
from typing import Any

from aiohttp import web
from aiortc import RTCSessionDescription
from aiortc.contrib.media import MediaRecorder as AiortcMediaRecorder
from peers import FirstPicture, connection

import recordkit as rk
from recordkit.endpoint.endpoint import Endpoint
from recordkit.endpoint.folder import FolderDesk
from recordkit.sources.webrtc import peer_internals
from recordkit.system import Clock, System, give_back_freed_memory


@asynccontextmanager
async def serve(folder: Path, most: int) -> AsyncIterator[str]:
    """The endpoint on this event loop."""
    whip, clock = rk.Whip(port=0, name_template="{stream}-{counter}.ts", max_publishers=most), Clock()
    audio = rk.AudioSettings(codec="opus")
    recorder: Any = lambda path: rk.MediaRecorder(path, audio=audio)  # noqa: E731
    if "recorder" not in signature(FolderDesk).parameters:  # the earlier build makes them by settings
        recorder = {"audio": audio}
    desk = FolderDesk(folder, whip, clock, System(), recorder)
    give_back_freed_memory()  # as the command does
    endpoint = Endpoint(whip, desk, clock)
    await endpoint.start()
    try:
        yield endpoint.url
    finally:
        await endpoint.stop()


@asynccontextmanager
async def serve_by_workers(folder: Path, most: int) -> AsyncIterator[str]:
    """``recordkit.serve`` in a thread, with workers."""
    loop, stop = asyncio.get_running_loop(), threading.Event()
    url: asyncio.Future[str] = loop.create_future()
    whip = rk.Whip(port=0, name_template="{stream}-{counter}.ts", max_publishers=most)

    def run() -> None:
        rk.serve(
            folder,
            whip,
            stop=stop,
            on_ready=lambda it: loop.call_soon_threadsafe(url.set_result, it),
            workers=2,
            audio=rk.AudioSettings(codec="opus"),
        )

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield await url
    finally:
        stop.set()
        await asyncio.to_thread(thread.join)


@asynccontextmanager
async def by_aiortc(folder: Path, most: int) -> AsyncIterator[str]:
    """As many of aiortc's MediaRecorders, on this event loop."""
    held: list[tuple[Any, AiortcMediaRecorder]] = []

    async def take(request: web.Request) -> web.Response:
        peer = connection()
        recorder, is_in = AiortcMediaRecorder(str(folder / f"{request.match_info['name']}.ts")), asyncio.Event()
        held.append((peer, recorder))
        peer.on("track", lambda track: recorder.addTrack(FirstPicture(track, is_in)))
        await peer.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
        peer_internals.keep_to_localhost(peer)
        await peer.setLocalDescription(await peer.createAnswer())
        await recorder.start()
        return web.Response(status=201, text=peer.localDescription.sdp)

    application = web.Application()
    application.add_routes([web.post("/whip/{name}", take)])
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await asyncio.gather(*(recorder.stop() for _, recorder in held))
        await asyncio.gather(*(peer.close() for peer, _ in held))
        await runner.cleanup()
