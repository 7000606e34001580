"""What receiving and recording a WebRTC sender costs: CPU, lag of the event loop, memory.

    python tests/benchmarks/webrtc.py [--quick] [--size 1280x720] [--fps 30] [--codec h264]
        [--no-audio] [--json]

Each of these receives the same media, from a sender in a process of its own, one after the other:
``nothing`` throws the packets away (what aiortc itself costs), ``recordkit`` and ``aiortc`` are the
two MediaRecorders, both into MPEG-TS. CPU is that of the receiving process a second, and for each
picture in the file; lag is by how much a sleep of 10 ms was too long; both from two seconds after
the connection stands. On a machine that has other things to do the lag says little, and CPU only
as a ratio. With sound aiortc's loses all pictures where the first sound comes before the first
picture: ``--no-audio`` is the fair comparison then.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import psutil
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.contrib.media import MediaRecorder as AiortcMediaRecorder

import recordkit as rk
from recordkit.sources.synthetic import Synthetic
from recordkit.sources.webrtc import peer_internals
from recordkit.sources.webrtc.tap import Tap
from recordkit.sources.webrtc.tracks import SyntheticMedia

WAYS = ("nothing", "recordkit", "aiortc")
WARM_UP_S = 2.0
LAG_STEP_S = 0.01


def connection() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))


async def read_line(stream: asyncio.StreamReader) -> dict[str, Any]:
    return json.loads(await stream.readline())


async def send(options: argparse.Namespace) -> None:
    """The sender: its offer to stdout, the answer from stdin; media until stdin ends."""
    width, height = map(int, options.size.split("x"))
    source = Synthetic(width=width, height=height, fps=Fraction(options.fps), audio=not options.no_audio)
    media = SyntheticMedia(source, codec=options.codec)
    peer = connection()
    for track in media.tracks:
        transceiver = peer.addTransceiver(track, direction="sendonly")
        capabilities = RTCRtpReceiver.getCapabilities(track.kind)
        wanted = (f"video/{options.codec}", "video/rtx", "audio/opus")
        transceiver.setCodecPreferences([one for one in capabilities.codecs if one.mimeType.lower() in wanted])
        if track.kind == "video":
            peer_internals.on_keyframe_request(transceiver.sender, track.request_keyframe)
    peer_internals.keep_to_localhost(peer)
    await peer.setLocalDescription(await peer.createOffer())
    print(json.dumps({"sdp": peer.localDescription.sdp, "type": "offer"}), flush=True)
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await peer.setRemoteDescription(RTCSessionDescription(**await read_line(reader)))
    media.begin()
    await reader.read()
    await peer.close()
    await media.close()


class Deaf:
    """Hears packets and does nothing."""

    def packet(self, packet: object) -> bool:
        return False

    def report(self, ntp: int, timestamp: int, ssrc: int) -> None:
        pass


async def receive(way: str, options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Record what a sender in another process sends, in this way; gives the figures."""
    command = [sys.executable, __file__, "--send", "--size", options.size, "--fps", options.fps]
    command += ["--no-audio"] * options.no_audio
    child = await asyncio.create_subprocess_exec(
        *command,
        "--codec",
        options.codec,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    offer = await read_line(child.stdout)
    peer = connection()
    path = str(folder / f"{way}.ts")
    recorder = rk.MediaRecorder(path) if way == "recordkit" else None
    if way == "aiortc":
        recorder = AiortcMediaRecorder(path)

    @peer.on("track")
    def on_track(track: Any) -> None:
        if recorder is not None:
            recorder.addTrack(track)
        else:
            Tap(track, Deaf(), print)

    await peer.setRemoteDescription(RTCSessionDescription(**offer))
    peer_internals.keep_to_localhost(peer)
    await peer.setLocalDescription(await peer.createAnswer())
    if recorder is not None:
        await recorder.start()
    child.stdin.write(json.dumps({"sdp": peer.localDescription.sdp, "type": "answer"}).encode() + b"\n")
    while peer.connectionState != "connected":
        await asyncio.sleep(0.05)
    whole_s = time.process_time()
    await asyncio.sleep(WARM_UP_S)
    gc.collect()
    lags = []
    began_s, cpu_s = time.monotonic(), time.process_time()
    while (at_s := time.monotonic()) < began_s + options.seconds:
        await asyncio.sleep(LAG_STEP_S)
        lags.append(time.monotonic() - at_s - LAG_STEP_S)
    span_s, cpu_s = time.monotonic() - began_s, time.process_time() - cpu_s
    memory = psutil.Process().memory_info().rss
    lags.sort()
    if recorder is not None:
        await recorder.stop()
    whole_s = time.process_time() - whole_s
    child.stdin.close()
    await peer.close()
    await child.wait()
    figures = {
        "cpu_s_per_s": cpu_s / span_s,
        "lag_ms_median": 1000 * lags[len(lags) // 2],
        "lag_ms_p99": 1000 * lags[int(len(lags) * 0.99)],
        "lag_ms_max": 1000 * lags[-1],
        "rss_mb": memory / 1e6,
    }
    if recorder is not None:
        pictures = max((stream.pictures for stream in rk.verify(path).streams), default=0)
        figures["pictures"] = pictures
        figures["cpu_ms_per_picture"] = 1000 * whole_s / pictures if pictures else float("nan")
    return figures


async def measure_all(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Each way in a process of its own, so that none pays for what another has loaded."""
    found = {}
    for way in WAYS:
        command = [sys.executable, __file__, "--receive", way, "--seconds", str(options.seconds)]
        command += ["--size", options.size, "--fps", options.fps, "--codec", options.codec]
        command += ["--no-audio"] * options.no_audio
        child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        out, _ = await child.communicate()
        if child.returncode:
            raise SystemExit(f"{way} failed")
        found[way] = json.loads(out.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="4 seconds each instead of 15")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--fps", default="30")
    parser.add_argument("--codec", default="h264", choices=("h264", "vp8"))
    parser.add_argument("--no-audio", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--send", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--receive", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.seconds = options.seconds or (4.0 if options.quick else 15.0)
    if options.send:
        asyncio.run(send(options))
    elif options.receive:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(asyncio.run(receive(options.receive, options, Path(folder)))), flush=True)
    else:
        found = asyncio.run(measure_all(options))
        if options.json:
            print(json.dumps(found))
            return
        print(f"{options.codec} {options.size} at {options.fps}, load {os.getloadavg()[0]:.1f}")
        for way, figures in found.items():
            print(f"{way:>10}  " + "  ".join(f"{name} {value:.3g}" for name, value in figures.items()))
        ratio = found["aiortc"]["cpu_ms_per_picture"] / found["recordkit"]["cpu_ms_per_picture"]
        print(f"aiortc's takes {ratio:.1f} times the CPU of recordkit's for each picture")


if __name__ == "__main__":
    main()
