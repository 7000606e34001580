"""Real servers of one live stream, to be ended and begun again while somebody records it.

python -m tests.torture.senders HOW PLAN PORT

Frame n of the clip is sent ``PLAN["epoch"]`` + n / fps seconds into the machine's monotonic clock, by whichever
server is up then: the number in each frame tells when it was sent. A line of JSON says when the server is ready.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

FFMPEG = shutil.which("ffmpeg")
_QUICK = ["-probesize", "200000", "-analyzeduration", "200000", "-fflags", "+nobuffer"]


def plan(clip: Path, epoch: float) -> dict[str, Any]:
    """Which bytes of ``clip``, a transport stream, are sent when; ``begins`` are the places of its keyframes."""
    import recordkit as rk

    with rk.open(clip) as video:
        table = video.frames
        times = ((table["pts"] - table["pts"].iloc[0]) * float(Fraction(table.attrs["time_base"]))).tolist()
        offsets, keyframes = table["offset"].tolist(), table["keyframe"].tolist()
    data = clip.read_bytes()
    begins = [
        _table_before(data, offset) if key else offset for offset, key in zip(offsets, keyframes, strict=True)
    ]
    ends = [*begins[1:], len(data)]
    return {
        "clip": str(clip),
        "epoch": epoch,
        "pieces": [
            [time_s, begin, end, bool(key)]
            for time_s, begin, end, key in zip(times, begins, ends, keyframes, strict=True)
        ],
    }


def _table_before(data: bytes, offset: int) -> int:
    """Where the program tables before a keyframe begin (PID 0)."""
    while offset > 0 and (data[offset + 1] & 0x1F or data[offset + 2]):
        offset -= 188
    return offset


def pieces(told: dict[str, Any]) -> Iterator[bytes]:
    """The stream from now on, from the next keyframe, each piece when it is due."""
    data = Path(told["clip"]).read_bytes()
    has_begun = False
    for time_s, begin, end, is_key in told["pieces"]:
        wait_s = told["epoch"] + time_s - time.monotonic()
        if not has_begun and (wait_s < 0 or not is_key):
            continue
        has_begun = True
        if wait_s > 0:
            time.sleep(wait_s)
        yield data[begin:end]


def ready(**more: object) -> None:
    """Say that whoever comes is served."""
    print(json.dumps({"ready": time.time(), **more}), flush=True)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def over_http(told: dict[str, Any], port: int) -> None:
    """``http.server``: the stream to each that asks, without a length."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            for one in pieces(told):
                self.wfile.write(one)

        def log_message(self, *_: object) -> None:
            pass

    with _Server(("127.0.0.1", port), Handler) as server:
        ready()
        server.serve_forever()


def over_files(told: dict[str, Any], port: int) -> None:
    """``http.server`` of a folder, in which another process keeps a playlist."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __init__(self, *values: Any) -> None:
            super().__init__(*values, directory=told["folder"])

        def log_message(self, *_: object) -> None:
            pass

    with _Server(("127.0.0.1", port), Handler) as server:
        ready()
        server.serve_forever()


def over_tcp(told: dict[str, Any], port: int) -> None:
    """Sockets: the stream to each that comes."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            for one in pieces(told):
                self.request.sendall(one)

    with _Server(("127.0.0.1", port), Handler) as server:
        ready()
        server.serve_forever()


def by_ffmpeg(told: dict[str, Any], *output: str) -> None:
    """ffmpeg, which is fed the stream as it is due, and sends it on in its own way; its clock begins anew."""
    assert FFMPEG is not None
    command = [FFMPEG, "-v", "error", *_QUICK, "-f", "mpegts", "-i", "pipe:0", "-c", "copy", "-muxdelay", "0"]
    with subprocess.Popen([*command, "-muxpreload", "0", *output], stdin=subprocess.PIPE) as process:
        stdin = process.stdin
        assert stdin is not None
        ready(process=process.pid)
        for one in pieces(told):
            stdin.write(one)
            stdin.flush()


def over_udp(told: dict[str, Any], port: int) -> None:
    """ffmpeg to a port."""
    by_ffmpeg(told, "-flush_packets", "1", "-f", "mpegts", f"udp://127.0.0.1:{port}?pkt_size=1316")


def over_rtsp(told: dict[str, Any], port: int) -> None:
    """ffmpeg as an RTSP client that announces the stream to whoever records."""
    by_ffmpeg(told, "-c:a", "aac", "-f", "rtsp", "-rtsp_transport", "tcp", f"rtsp://127.0.0.1:{port}/cam")


def over_gst(told: dict[str, Any], port: int) -> None:
    """GStreamer's RTSP server, which is fed by datagrams; for the system's own Python, which has its bindings."""
    import gi  # type: ignore[import-not-found, unused-ignore]

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found, unused-ignore]

    Gst.init(None)
    feed = free_port()
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f"( udpsrc address=127.0.0.1 port={feed} caps=video/mpegts,systemstream=true,packetsize=188 "
        "! tsdemux latency=100 name=d d. ! queue ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 "
        "d. ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97 )"
    )
    factory.set_shared(True)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(port))
    server.get_mount_points().add_factory("/cam", factory)
    server.attach(None)

    def feeding() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            for one in pieces(told):
                for begin in range(0, len(one), 1316):
                    out.sendto(one[begin : begin + 1316], ("127.0.0.1", feed))

    threading.Thread(target=feeding, daemon=True).start()
    ready()
    GLib.MainLoop().run()


def over_playlist(told: dict[str, Any], port: int) -> None:
    """ffmpeg as an HLS packager, into a folder."""
    folder = Path(told["folder"])
    flags = "delete_segments+independent_segments+omit_endlist"
    by_ffmpeg(
        told, "-f", "hls", "-hls_time", "1", "-hls_list_size", "8", "-hls_flags", flags, str(folder / "live.m3u8")
    )


def over_whep(told: dict[str, Any], port: int) -> None:
    """aiortc behind a WHEP resource: each that asks gets a test pattern, from where it would be by now."""
    import asyncio

    from tests.endpoint.whep_server import serving

    async def serve() -> None:
        async with serving(port=port, from_s=lambda: max(0.0, time.monotonic() - told["epoch"])):
            ready()
            await asyncio.Event().wait()

    asyncio.run(serve())


HOW: dict[str, Callable[[dict[str, Any], int], None]] = {
    "http": over_http,
    "files": over_files,
    "tcp": over_tcp,
    "udp": over_udp,
    "rtsp": over_rtsp,
    "gst": over_gst,
    "playlist": over_playlist,
    "whep": over_whep,
}


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        return port


def main() -> None:
    """Serve until killed."""
    how, told, port = sys.argv[1:]
    try:
        HOW[how](json.loads(Path(told).read_text()), int(port))
    except BrokenPipeError:
        os._exit(1)


if __name__ == "__main__":
    threading.stack_size(256 * 1024)
    main()
