"""What it costs to receive and record a WebRTC sender, on a good network and on one that loses packets.

    python tests/benchmarks/webrtc.py [--quick] [--seconds N] [--json PATH]

Each way receives the same H.264 720p30 and Opus from a sender in a process of its own, one after the other:
``nothing`` throws the packets away (what aiortc itself costs). recordkit's MediaRecorder keeps both streams in
``passthrough``, makes AAC of the Opus in ``video kept``, its default, and encodes both in ``transcoding``.
``aiortc`` is aiortc's, with the same encoder settings (ultrafast), ``aiortc as it comes`` with libx264's own
(medium), which its users cannot change. All record MPEG-TS.
CPU, memory and the lag of the event loop are those of the receiving process, from seven seconds after the peers
have connected: CPU in the first half, the lag in the second, since to measure that wakes the loop a hundred times a
second. ``lost`` are pictures sent that cannot be decoded from the file. At the end ``passthrough`` is set against
that of an earlier build (``earlier.py``), in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.contrib.media import MediaRecorder as AiortcMediaRecorder
from earlier import COMMIT, earlier_build, with_build
from figures import Figures, command_line, spread
from judging import pictures_in
from lag import LagMeter
from observing import Watched, script
from peers import Deaf, FirstPicture, connected, connection
from work import FPS, PRESET, Work, say, set_up

import recordkit as rk
from recordkit.sources.synthetic import Synthetic
from recordkit.sources.webrtc import peer_internals
from recordkit.sources.webrtc.network import Network, NetworkFaults
from recordkit.sources.webrtc.tap import Tap
from recordkit.sources.webrtc.tracks import SyntheticMedia

WAYS = ("nothing", "passthrough", "video kept", "transcoding", "aiortc", "aiortc as it comes")
NOTHING = "nothing"
LOSSY_WAYS = (NOTHING, "passthrough", "video kept", "aiortc as it comes")
LOSSES, QUICK_LOSSES = (0.0, 0.02), (0.0,)
SIZE, BIT_RATE = "1280x720", 2_500_000
QUICK_SIZE, QUICK_BIT_RATE = "320x180", 400_000
SECONDS, QUICK_SECONDS = 16.0, 1.0
WARM_UP_S, QUICK_WARM_UP_S = 7.0, 0.2
PAIRS, QUICK_PAIRS = 5, 1
PAIR_S = 12.0
SETTLED_S = 0.7  # the longest that a packet is waited for, and a little
SEED = 7


def lose(peer: RTCPeerConnection, loss: float, sender_sdp: str, *, sends_media: bool) -> None:
    """Let the network lose what this peer sends."""
    paths = Network(NetworkFaults(loss=loss), SEED).between(lambda: sender_sdp)
    end = peer.getTransceivers()[0]
    transport = (end.sender if sends_media else end.receiver).transport
    peer_internals.divert_datagrams(transport, paths[0 if sends_media else 1])


async def read_line(stream: asyncio.StreamReader) -> Any:
    return json.loads(await stream.readline())


async def send(options: argparse.Namespace) -> None:
    """The sender: its offer to stdout, the answer from stdin, and at the end how many pictures it has sent."""
    width, height = map(int, options.size.split("x"))
    source = Synthetic(width=width, height=height, fps=FPS, seconds=options.warm_up + options.seconds)
    media = SyntheticMedia(source, bit_rate=options.bit_rate)
    peer = connection()
    for track in media.tracks:
        transceiver = peer.addTransceiver(track, direction="sendonly")
        capabilities = RTCRtpReceiver.getCapabilities(track.kind)
        wanted = ("video/h264", "video/rtx", "audio/opus")
        transceiver.setCodecPreferences([one for one in capabilities.codecs if one.mimeType.lower() in wanted])
        peer_internals.state_times(transceiver.sender, track.ntp_of_last)
        if track.kind == "video":
            peer_internals.on_keyframe_request(transceiver.sender, track.request_keyframe)
    peer_internals.keep_to_localhost(peer)
    await peer.setLocalDescription(await peer.createOffer())
    print(json.dumps({"sdp": peer.localDescription.sdp, "type": "offer"}), flush=True)
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    answer = RTCSessionDescription(**await read_line(reader))
    lose(peer, options.loss, peer.localDescription.sdp, sends_media=True)
    await peer.setRemoteDescription(answer)
    await connected(peer)
    media.begin()
    await media.wait()
    print(json.dumps(source.picture_count), flush=True)
    await reader.read()
    await peer.close()
    await media.close()


def recorder_of(options: argparse.Namespace) -> Any:
    if options.way == NOTHING:
        return None
    if options.way.startswith("aiortc"):
        return AiortcMediaRecorder(str(options.out))
    if options.way == "passthrough":
        return rk.MediaRecorder(options.out, audio=rk.AudioSettings(codec="opus"))
    if options.way == "video kept":
        return rk.MediaRecorder(options.out)
    video = rk.VideoSettings(transcode=True, preset=PRESET, bit_rate=options.bit_rate)
    return rk.MediaRecorder(options.out, video=video)


async def receive(options: argparse.Namespace) -> None:
    """Record what a sender in another process sends, and say what that cost."""
    child = await asyncio.create_subprocess_exec(
        *script("webrtc.py", *sys.argv[1:], "--send"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    offer = await read_line(child.stdout)
    peer = connection()
    recorder = recorder_of(options)
    is_in = asyncio.Event()

    @peer.on("track")
    def on_track(track: Any) -> None:
        if recorder is None:
            Tap(track, Deaf(), print)
            return
        if options.way.startswith("aiortc"):
            track = FirstPicture(track, is_in)
        recorder.addTrack(track)
        if options.way == "aiortc":
            context = recorder._MediaRecorder__tracks[track]
            set_up(context.stream, Work(options.out, 0, 0, options.seconds, options.bit_rate))

    await peer.setRemoteDescription(RTCSessionDescription(**offer))
    peer_internals.keep_to_localhost(peer)
    lose(peer, options.loss, offer["sdp"], sends_media=False)
    await peer.setLocalDescription(await peer.createAnswer())
    if recorder is not None:
        await recorder.start()
    child.stdin.write(json.dumps({"sdp": peer.localDescription.sdp, "type": "answer"}).encode() + b"\n")
    await connected(peer)
    await asyncio.sleep(options.warm_up)
    gc.collect()
    say("begin", seconds=options.seconds)
    begun_s, spent_s = time.monotonic(), time.process_time()
    await asyncio.sleep(options.seconds / 2)
    media_s, spent_s = time.monotonic() - begun_s, time.process_time() - spent_s
    async with LagMeter() as lag:
        sent = await read_line(child.stdout)
    await asyncio.sleep(SETTLED_S)
    if recorder is not None:
        await recorder.stop()
    say("end", cpu_s=spent_s, media_s=media_s, sent=sent, **lag.figures())
    child.stdin.close()
    await peer.close()
    await child.wait()


def figures_of(way: str, loss: float, quick: bool, seconds: float, build: Path | None = None) -> Figures:
    size, bit_rate = (QUICK_SIZE, QUICK_BIT_RATE) if quick else (SIZE, BIT_RATE)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "talk.ts"
        warm_up_s = QUICK_WARM_UP_S if quick else WARM_UP_S
        child: dict[str, object] = {"way": way, "out": out, "size": size, "bit-rate": bit_rate}
        child |= {"loss": loss, "seconds": seconds, "warm-up": warm_up_s}
        words = [str(word) for name, value in child.items() for word in (f"--{name}", value)]
        command = with_build(script("webrtc.py", "--child", *words), build)
        seen = Watched(command, (out.with_name("talk.recording.ts"), out)).watch()
        said = seen.said
        row = {
            **seen.cpu_figures(),
            **seen.memory_figures(),
            **{key: said[key] for key in ("lag_ms_p50", "lag_ms_p99", "lag_ms_max")},
            "pictures": said["sent"],
        }
        if way == NOTHING:
            return row
        left = pictures_in(out)
        # Where pictures are lost, a second of media is less work.
        each_ms = round(1000 * row["cpu_s_per_media_s"] * said["sent"] / (FPS * left), 3) if left else None
        return row | {
            "lost": said["sent"] - left,
            "cpu_ms_a_picture": None if each_ms is None else round(each_ms, 3),
        }


def run(quick: bool, seconds: int | None = None) -> Figures:
    """For each share of packets lost, each way's figures."""
    long = seconds or (QUICK_SECONDS if quick else SECONDS)
    losses = QUICK_LOSSES if quick else LOSSES
    found: Figures = {"seconds": long, "size": QUICK_SIZE if quick else SIZE, "losses": {}}
    for loss in losses:
        # The short version is not about figures: there all run at once.
        ways = LOSSY_WAYS if loss else WAYS
        with ThreadPoolExecutor(len(ways) if quick else 1) as several:
            rows = several.map(lambda way: figures_of(way, loss, quick, long), ways)  # noqa: B023
            found["losses"][f"{loss:.0%}"] = dict(zip(ways, rows, strict=True))
    with earlier_build() as build:
        if build is not None:
            found["earlier"] = beside_earlier(build, quick)
    return found


def beside_earlier(build: Path, quick: bool) -> Figures:
    """CPU a picture of ``passthrough`` in both builds, ms, and the ratios of those that ran one after the other."""
    pairs = []
    for number in range(QUICK_PAIRS if quick else PAIRS):
        order = (None, build) if number % 2 else (build, None)
        rows = {
            one: figures_of("passthrough", 0.0, quick, QUICK_SECONDS if quick else PAIR_S, one) for one in order
        }
        pairs.append([rows[one]["cpu_ms_a_picture"] for one in (None, build)])
    whole = [pair for pair in pairs if None not in pair]
    ours, theirs = zip(*whole, strict=True)
    return {
        "ours": spread(ours, 3),
        "earlier": spread(theirs, 3),
        "ratio": spread([mine / other for mine, other in whole], 3),
    }


def table(figures: Figures) -> str:
    lines = [f"H.264 {figures['size']} at {FPS} and Opus, {figures['seconds']:g} s"]
    lines.append(
        f"{'loss':<6}{'':<19}{'CPU/s':>7}{'over':>7}{'  ms/frame':>11}{'RSS MB':>8}{'MB/min':>8}"
        f"{'lag p50':>9}{'p99':>8}{'max':>8}{'lost':>6}{'of':>6}"
    )
    for loss, rows in figures["losses"].items():
        for way, row in rows.items():
            each = row.get("cpu_ms_a_picture")
            over = row["cpu_s_per_media_s"] - rows[NOTHING]["cpu_s_per_media_s"]
            lines.append(
                f"{loss:<6}{way:<19}{row['cpu_s_per_media_s']:>7.3f}{over:>7.3f}"
                f"{'-' if each is None else f'{each:.2f}':>11}{row['rss_peak_mb']:>8.0f}"
                f"{row['rss_slope_mb_per_min']:>8.1f}{row['lag_ms_p50']:>9.2f}{row['lag_ms_p99']:>8.1f}"
                f"{row['lag_ms_max']:>8.0f}{row.get('lost', '-'):>6}{row['pictures']:>6}"
            )
    if "earlier" in figures:
        ours, theirs, ratio = (figures["earlier"][name] for name in ("ours", "earlier", "ratio"))
        lines.append(
            f"passthrough in turns with {COMMIT}: {ours['median']:.2f} to {theirs['median']:.2f} ms/frame, "
            f"{ratio['median']:.2f} times its CPU ({ratio['low']:.2f} to {ratio['high']:.2f})"
        )
    return "\n".join(lines)


def child(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--size")
    parser.add_argument("--bit-rate", type=int)
    parser.add_argument("--send", action="store_true")
    for name in ("--loss", "--seconds", "--warm-up"):
        parser.add_argument(name, type=float)
    options = parser.parse_args(arguments)
    asyncio.run(send(options) if options.send else receive(options))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2:])
    else:
        command_line(__doc__ or "", run, table, seconds="how long each records")
