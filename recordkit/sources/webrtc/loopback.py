"""The synthetic source sent by WebRTC from one peer to another in this process, over a network as bad as asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import KW_ONLY, asdict, dataclass, fields
from fractions import Fraction
from typing import get_args

from aiortc import MediaStreamTrack

from ...errors import SettingsError
from ...signatures import named
from ...values import DURATION, NumberLike, RateLike, Setting, WholeLike, flag, maybe, one_of, rate, whole
from ..source import OpenSource
from ..synthetic import Synthetic
from .hosting import Outlet, hosted
from .listener import Listener
from .network import Network, NetworkFaults, Span, spans
from .peers import VideoCodec, connected_peers
from .reorder import VIDEO_WINDOW_S
from .tracks import SAMPLE_RATE, SizeChange, SyntheticMedia

log = logging.getLogger("recordkit")


@named
@dataclass(frozen=True)
class Loopback:
    """Two real WebRTC peers in one process (DTLS, SRTP, ICE on 127.0.0.1), for demos, notebooks and tests.

    The sender's video and audio are those of Synthetic: ``width``, ``height`` (even), ``fps`` and
    ``seconds`` (None: without end) as there. ``codec`` is ``"h264"``, recorded as it comes, or ``"vp8"``,
    decoded and encoded anew; audio is Opus at 48 kHz. ``bit_rate`` of the video is in bits a second (None: 0.1
    bit a pixel). From ``sizes``, (at_s, width, height), the frames change their size; in ``mutes``,
    (start_s, duration_s), they are black and the audio is silent; ``video_ends_s`` and ``audio_ends_s`` end
    one track alone.

    ``loss``, ``jitter_s``, ``delay_s``, ``audio_delay_s``, ``duplication``, ``reordering`` and ``outages``
    are the network's, below SRTP, each way; see NetworkFaults. Equal values of ``seed`` lose the same packets.

    Raises SettingsError for values that cannot be used.
    """

    width: Setting[WholeLike, int] = Setting(whole(64, 8192), 1280)
    height: Setting[WholeLike, int] = Setting(whole(48, 8192), 720)
    _: KW_ONLY
    fps: Setting[RateLike, Fraction] = Setting(rate, 30)
    codec: Setting[VideoCodec, VideoCodec] = Setting(one_of(*get_args(VideoCodec)), "h264")
    video: Setting[bool, bool] = Setting(flag, True)
    audio: Setting[bool, bool] = Setting(flag, True)
    bit_rate: Setting[WholeLike | None, int | None] = Setting(
        maybe(whole(50_000, 500_000_000, "bits per second")), None
    )
    loss: float = 0.0
    jitter_s: float = 0.0
    delay_s: float = 0.0
    audio_delay_s: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    outages: tuple[Span, ...] = ()
    sizes: tuple[SizeChange, ...] = ()
    mutes: tuple[Span, ...] = ()
    video_ends_s: Setting[NumberLike | None, float | None] = Setting(maybe(DURATION), None)
    audio_ends_s: Setting[NumberLike | None, float | None] = Setting(maybe(DURATION), None)
    seconds: Setting[NumberLike | None, float | None] = Setting(maybe(DURATION), None)
    seed: Setting[int, int] = Setting(whole(-(1 << 63), 1 << 63), 0)

    def __post_init__(self) -> None:
        source = self._source
        if source.width % 2 or source.height % 2:
            raise SettingsError("width", (self.width, self.height), "give even numbers, as the codec needs them")
        # Lists, as JSON has them, are taken for tuples.
        object.__setattr__(self, "outages", self.faults.outages)
        object.__setattr__(self, "mutes", spans("mutes", self.mutes))
        object.__setattr__(self, "sizes", _size_changes(self.sizes))

    @property
    def faults(self) -> NetworkFaults:
        """What the network does."""
        return NetworkFaults(**{each.name: getattr(self, each.name) for each in fields(NetworkFaults)})

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return f"loopback {self.width}x{self.height} {self.codec}" if self.video else "loopback audio"

    def open(self) -> AbstractContextManager[OpenSource]:
        """Connect the peers and begin to send; raises SourceError where they do not find each other."""
        return self._open()

    @contextmanager
    def _open(self) -> Iterator[OpenSource]:
        with hosted(self.name, self._run) as outlet:
            yield OpenSource(
                outlet.items(), self.video, self.audio, frame_rate=self.fps if self.video else None, live=outlet
            )

    async def _run(self, outlet: Outlet) -> None:
        failed: list[Exception] = []
        listener = Listener(outlet, lambda track, error: _note_failure(failed, track, error))
        network = Network(self.faults, self.seed)
        media = SyntheticMedia(
            self._source,
            codec=self.codec,
            bit_rate=self.bit_rate,
            sizes=self.sizes,
            mutes=self.mutes,
            video_ends_s=self.video_ends_s,
            audio_ends_s=self.audio_ends_s,
        )
        outlet.received_by = lambda: listener.counters
        outlet.hands_on = listener.close
        try:
            async with connected_peers(media.tracks, codec=self.codec, network=network) as peers:
                for track, receiver in zip(peers.tracks, peers.receivers, strict=True):
                    listener.add(track, receiver=receiver)
                listener.begin()
                outlet.ready()
                media.begin()
                network.begin()
                await media.wait()
                await network.drained()
                # What was lost at the very end may still be sent again.
                await asyncio.sleep(VIDEO_WINDOW_S)
                listener.close()
        finally:
            listener.close()
            _tell(self.name, network)
            await media.close()
        if len(failed) == len(media.tracks):
            raise failed[0]

    @property
    def _source(self) -> Synthetic:
        return Synthetic(
            width=self.width,
            height=self.height,
            fps=self.fps,
            sample_rate=SAMPLE_RATE,
            video=self.video,
            audio=self.audio,
            seconds=self.seconds,
        )


def _tell(name: str, network: Network) -> None:
    for traffic, counts in network.forward.items():
        told = ", ".join(f"{value:,} {word.replace('_', ' ')}" for word, value in asdict(counts).items() if value)
        if told:
            log.info("%s: %s packets: %s", name, traffic, told)


def _note_failure(failed: list[Exception], track: MediaStreamTrack, error: Exception | None) -> None:
    if error is not None:
        failed.append(error)


def _size_changes(value: object) -> tuple[SizeChange, ...]:
    advice = "give (seconds, width, height) each, such as ((5.0, 640, 360),), with even sides"
    if not isinstance(value, (tuple, list)):
        raise SettingsError("sizes", value, advice)
    changes = []
    for change in value:
        if not isinstance(change, (tuple, list)) or len(change) != 3:
            raise SettingsError("sizes", value, advice)
        at_s, width, height = change
        try:
            DURATION("sizes", at_s)
            Synthetic(width=width, height=height)
        except SettingsError as error:
            raise SettingsError("sizes", value, advice) from error
        if width % 2 or height % 2:
            raise SettingsError("sizes", value, advice)
        changes.append((at_s, width, height))
    return tuple(changes)
