#!/usr/bin/env bash
# libavformat asks an HTTP server to close the connection, and if the answer has no "Connection: close" it takes it for
# one that stays open: after a seek media is missing, without an error. A server that is asked must close, and should say
# so (RFC 9112, 9.6); Python's http.server closes and says nothing. With the option multiple_requests, which asks for a
# connection that stays open, all comes. Seen with PyAV 18.1.0 (FFmpeg 8.1 libraries); FFmpeg 5.1 reads all.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0
"$folder/venv/bin/python" - "$folder" <<'PY'
import os
import re
import sys
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import av

path = f"{sys.argv[1]}/film.ts"
with av.open(path, "w") as out:
    stream = out.add_stream("mpeg2video", rate=25)
    stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 320, 240, "yuv420p", 2_000_000
    for number in range(100):
        frame = av.VideoFrame(320, 240, "yuv420p")
        for plane in frame.planes:
            plane.update(os.urandom(plane.buffer_size))
        frame.pts, frame.time_base = number, Fraction(1, 25)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))
with open(path, "rb") as file:
    data = file.read()


class Ranges(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    says_close = False

    def log_message(self, *_):
        pass

    def do_GET(self):
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        begin = int(asked[1]) if asked else 0
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        if self.says_close:
            self.send_header("Connection", "close")
        self.end_headers()
        try:
            self.wfile.write(data[begin:])
        except OSError:
            pass


def packets(source, **options):
    with av.open(source, options=options) as film:
        return sum(1 for packet in film.demux(video=0) if packet.size)


def over_http(says_close, **options):
    handler = type("Handler", (Ranges,), {"says_close": says_close})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.handle_error = lambda *_: None
        Thread(target=server.serve_forever, daemon=True).start()
        found = packets(f"http://127.0.0.1:{server.server_address[1]}/film.ts", **options)
        server.shutdown()
    return found


whole, said, unsaid = packets(path), over_http(True), over_http(False)
kept = over_http(False, multiple_requests="1")
print(
    f"PyAV {av.__version__}: {whole} packets in the file; over HTTP {said} where the server says that it closes, "
    f"{unsaid} where it does not, {kept} with multiple_requests"
)
sys.exit(0 if whole == said == kept > unsaid else 1)
PY
