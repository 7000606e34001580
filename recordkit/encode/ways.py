"""Which way each stream goes: encoded, passed through, or kept as it comes live; and what its way has counted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TypeAlias

import av
from av.container import InputContainer

from ..errors import MediaError
from ..model import Codec, EncodedUnit
from ..settings import AudioSettings, VideoSettings
from ..system import Clock
from .audio import AudioEncoder
from .coded import CodedPacket
from .live import LivePictures
from .live_sound import LiveSound
from .passthrough import Passthrough, passthrough_codec
from .routing import FIRST_AUDIO, VIDEO
from .video import VideoEncoder

Sounding: TypeAlias = AudioEncoder | LiveSound
Showing: TypeAlias = VideoEncoder | LivePictures
Way: TypeAlias = Sounding | Showing | Passthrough

_MIXED = "frames and packets cannot be mixed in one stream"


class Ways:
    """The way of each stream, which the first that comes of it decides; ``of`` has them by their numbers.

    ``on_gap``, ``on_altered``, ``carried`` and ``clock`` are as for ``Streams``. The figures may be asked for from
    any thread.
    """

    def __init__(
        self,
        video: VideoSettings,
        audio: Sequence[AudioSettings],
        on_gap: Callable[[int, float, bool], None] | None,
        on_altered: Callable[[int, str], None] | None,
        carried: Collection[Codec] = frozenset(Codec),
        clock: Clock | None = None,
    ) -> None:
        self.of: dict[int, Way] = {}
        self._video = video
        self._audio = audio
        self._on_gap = on_gap
        self._on_altered = on_altered
        self._carried = carried
        self._clock = clock
        self._past_gaps, self._past_gap_s, self._past_skipped = 0, 0.0, 0
        self._past_lacking: str | None = None

    @property
    def gap_count(self) -> int:
        """Gaps in the audio, filled or marked."""
        ways = tuple(self.of.values())
        return self._past_gaps + sum(way.gap_count for way in ways if isinstance(way, Sounding))

    @property
    def gap_s(self) -> float:
        """Seconds of all gaps in the audio."""
        ways = tuple(self.of.values())
        return self._past_gap_s + sum(way.gap_s for way in ways if isinstance(way, Sounding))

    @property
    def skipped_units(self) -> int:
        """Frames left out because they came before the first that a decoder can start from."""
        ways = tuple(self.of.values())
        skipped = sum(way.skipped_units for way in ways if isinstance(way, Passthrough | LivePictures))
        return self._past_skipped + skipped

    @property
    def lacking(self) -> str | None:
        """Why no frame of the video has come out so far although some were given, or None."""
        way = self.of.get(VIDEO)
        return way.lacking if isinstance(way, Passthrough | LivePictures) else self._past_lacking

    @property
    def filled_s(self) -> dict[int, float]:
        """How long each stream has gone on by itself since the last item that was given, in seconds."""
        ways = tuple(self.of.items())
        return {one: way.filled_s for one, way in ways if isinstance(way, AudioEncoder | LiveSound | VideoEncoder)}

    def needs_entry(self, index: int) -> bool:
        """Whether the decoder of stream ``index`` failed, and needs a live unit that it can start from."""
        way = self.of.get(index)
        return isinstance(way, LivePictures) and way.failed

    def admit(self, packet: CodedPacket, index: int) -> None:
        """Learn what must be known of a demuxed stream; call it with the container still open.

        A packet outlives its container, the stream that it points to does not. May be called from
        any thread, before the packet is coded.

        Raises MediaError if its packets cannot be passed through, or frames were given before.
        """
        stream, way = packet.stream, self.of.get(index)
        if way is None and isinstance(stream, av.VideoStream | av.AudioStream):
            if isinstance(stream.container, InputContainer) and not len(stream.container.streams):
                raise MediaError("the packet's container has been closed: write its packets before that", index)
            codec = passthrough_codec(stream)
            if codec is not None and codec not in self._carried:
                # MP4 is the one that has a place for what others have not.
                raise MediaError(f"{codec} has no place in such a file: decode it, or record to .mp4", index)
            way = self.of[index] = Passthrough(stream, index, stream.language, self._altered(index))
        elif not isinstance(way, Passthrough):
            raise MediaError(_MIXED, index)
        way.look(packet)

    def passing(self, index: int) -> Passthrough:
        """The way of stream ``index``, whose packets were admitted. Raises MediaError if frames were given."""
        way = self.of.get(index)
        if not isinstance(way, Passthrough):
            raise MediaError(_MIXED, index)
        return way

    def video(self, index: int) -> VideoEncoder:
        """The way of stream ``index`` of raw frames. Raises MediaError if packets were given before."""
        way = self.of.get(index)
        if way is None:
            way = self.of[index] = VideoEncoder(self._video, index, self._altered(index), self._clock)
        if not isinstance(way, VideoEncoder):
            raise MediaError(_MIXED, index)
        return way

    def audio(self, index: int) -> AudioEncoder:
        """The way of stream ``index`` of raw audio. Raises MediaError if packets were given before."""
        way = self.of.get(index)
        if way is None:
            settings = self._audio_settings(index)
            way = self.of[index] = AudioEncoder(settings, index, self._on_gap, self._altered(index))
        if not isinstance(way, AudioEncoder):
            raise MediaError(_MIXED, index)
        return way

    def live(self, unit: EncodedUnit, index: int) -> LivePictures | LiveSound:
        """The way of stream ``index``, of which ``unit`` comes. Raises MediaError if something else came before."""
        way, is_video = self.of.get(index), unit.is_video
        if way is None:
            if is_video:
                way = LivePictures(self._video, index, self._altered(index), self._clock)
            else:
                way = LiveSound(self._audio_settings(index), index, self._on_gap, self._altered(index))
            self.of[index] = way
        if not isinstance(way, LivePictures if is_video else LiveSound):
            raise MediaError("live units and frames or packets cannot be mixed in one stream", index)
        return way

    def close(self) -> None:
        """Let the encoders go, which hold much memory; what was counted stays."""
        self._past_lacking = self.lacking
        counts = self.gap_count, self.gap_s, self.skipped_units
        self.of = {}
        self._past_gaps, self._past_gap_s, self._past_skipped = counts

    def _altered(self, index: int) -> Callable[[str], None] | None:
        return None if self._on_altered is None else partial(self._on_altered, index)

    def _audio_settings(self, index: int) -> AudioSettings:
        return self._audio[min(index - FIRST_AUDIO, len(self._audio) - 1)]
