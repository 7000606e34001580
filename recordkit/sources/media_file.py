"""Any file, URL or device that PyAV can open."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import KW_ONLY, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.video.frame import VideoFrame

from ..bitstream.audio import parse_adts
from ..bitstream.dts import parse_dts
from ..bitstream.language import three_letters
from ..bitstream.sei import Orientation
from ..demux import DemuxedPacket, demux, open_media
from ..encode.beside import shown_beside
from ..encode.filtering import FrameFilter
from ..encode.orientation import orientation_of
from ..encode.passthrough import passthrough_codec
from ..encode.vui import pixel_aspect
from ..errors import SettingsError, SourceError
from ..model import Codec
from ..mp4.packager import CARRIED as IN_MP4
from ..mpegts.tables import CARRIED as IN_TRANSPORT_STREAM
from ..signatures import named
from ..ticks import WRAP, Unwrapper, fraction
from ..values import PathLike, RateLike, Setting, flag, maybe, rate, text, whole
from .choice import choose
from .decoding import Decoding, lacks_display_times
from .edits import hidden_frames
from .encrypted import (
    ENCRYPTED,
    LOCKED_PLAYLIST,
    SCRAMBLED,
    encrypted_streams,
    is_locked_playlist,
    is_scrambled_on_air,
    kept,
    peeked,
    scrambled_pids,
)
from .interleave import interleaved, with_decoding_times
from .moved import following_moves
from .protocols import bounds, check
from .protocols import protocols as read_protocols
from .source import OpenSource, Source, SourceItem
from .taken import Taken

log = logging.getLogger("recordkit")

_NO_FILE = 1
"""AVFMT_NOFILE: a format that opens what it reads by itself, such as a device."""
_MAY_END = {"http", "https", "pipe", "file"}
"""Here a producer that has done its work looks the same as one that died."""
_SESSIONS = {"rtsp", "sdp", "rtp"}
_HIGHEST_RATE = 1_000
_WITH_33_BITS = {"mpegts", "mpeg"}


def _url(name: str, value: Any) -> str:  # noqa: ANN401 - whatever a caller gives
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise SettingsError(name, value, "give a path or URL")
    return os.path.expanduser(os.fsdecode(value))  # noqa: PTH111 - a URL is no path


def _audio(name: str, value: Any) -> bool | str:  # noqa: ANN401 - whatever a caller gives
    if type(value) is not bool and not (isinstance(value, str) and value.strip()):
        raise SettingsError(name, value, 'give True, False, or languages and stream numbers such as "deu,3"')
    return value


@named
@dataclass(frozen=True)
class MediaFile:
    """Records ``url``: a path, a URL, or a device together with its ``format`` (``"v4l2"``, ``"lavfi"``).

    Streams in H.264, H.265, AAC, MP3, MP2, AC-3, E-AC-3, DTS or Opus are passed through, into an MP4 those in VP9,
    AV1 and FLAC as well; all others are decoded.
    ``transcode`` decodes the video too where it need not be (``transcode_audio`` the audio), ``fps`` gives
    frames at that rate and so decodes them. ``options`` go to libavformat as they are. ``protocols`` ("https",
    "hls", "file"; None: all) are those that may be followed, by redirects and playlists, too: for strangers' URLs.

    Of several programmes one is taken: ``program`` (from 1, as they stand), or that of the largest video. Of
    that, its largest video stream and all audio streams are, or those that ``audio`` names by languages and
    stream numbers ("deu,3"). The log names all that is left out. A packet that cannot be decoded is left out
    and counted in the log; a live source silent for 30 s ends with SourceError.
    """

    url: Setting[PathLike, str] = Setting(_url)
    _: KW_ONLY
    format: Setting[str | None, str | None] = Setting(maybe(text), None)
    options: Mapping[str, str | float] = field(default_factory=dict)
    video: Setting[bool, bool] = Setting(flag, True)
    audio: Setting[bool | str, bool | str] = Setting(_audio, True)
    program: Setting[int | None, int | None] = Setting(maybe(whole(1, 65_535)), None)
    transcode: Setting[bool, bool] = Setting(flag, False)
    transcode_audio: Setting[bool, bool] = Setting(flag, False)
    fps: Setting[RateLike | None, Fraction | None] = Setting(maybe(rate), None)
    protocols: Setting[Sequence[str] | None, tuple[str, ...] | None] = Setting(read_protocols, None)

    def __post_init__(self) -> None:
        check(self.url, self.protocols)
        options = self.options
        if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
            raise SettingsError("options", options, "give a mapping of libavformat's options to their values")
        object.__setattr__(self, "options", {name: str(value) for name, value in options.items()})

    @property
    def name(self) -> str:
        """The path or URL."""
        return self.url

    def into(self, carried: Collection[Codec]) -> Source:
        """The same for a recording that has a place for the codings ``carried``."""
        return _Into(self, carried)

    @contextmanager
    def open(self, carried: Collection[Codec] = IN_TRANSPORT_STREAM) -> Iterator[OpenSource]:
        """Open it; raises SourceError where that fails, or nothing in it can be recorded.

        ``carried`` are the codings that the recording has a place for.
        """
        with self._opened() as container:
            choice = choose(container, self.url, program=self.program, video=self.video, audio=self.audio)
            is_live = _is_live(container)
            packets = demux(container, choice.streams, takes_encrypted=not is_live)
            if is_live:
                packets = self._told_if_scrambled(container, packets)
            else:
                first, packets = peeked(packets, choice.streams)
                locked = encrypted_streams(container, first, choice.streams)
                choice = choice.without(self.url, locked)
                packets = kept(packets, choice.streams)
            video = choice.video
            passed = {stream.index: self._is_passed(stream, carried) for stream in choice.streams}
            for stream in choice.streams:
                if not passed[stream.index]:
                    stream.codec_context.thread_type = "AUTO"
            average = fraction(video.average_rate) if video is not None else None
            if average is not None and not 0 < average <= _HIGHEST_RATE:
                average = None  # a guess by times that say nothing: it is no reason to refuse the film
            yield OpenSource(
                items=self._items(
                    container,
                    self._in_order(container, packets, choice.streams, passed),
                    choice.streams,
                    passed,
                ),
                has_video=video is not None,
                has_audio=bool(choice.audio),
                frame_rate=self.fps or average,
                pixel_aspect=None if video is None else pixel_aspect(video),
                languages=tuple(three_letters(stream.language) for stream in choice.audio),
                troubles=choice.troubles,
                is_live=is_live,
                may_end=self.url.split(":", 1)[0] in _MAY_END or "://" not in self.url,
            )

    @property
    def _given_options(self) -> dict[str, str]:
        return {**cast("dict[str, str]", self.options), **bounds(self.protocols)}

    def _opened(self) -> av.container.InputContainer:
        options = self._given_options
        try:
            container = open_media(self.url, kind=self.format, options=options)
            return container if _is_live(container) else following_moves(container, self.url, options)
        except SourceError as error:
            if self.protocols is not None and isinstance(error.__cause__, av.ArgumentError):
                raise SourceError(
                    self.url,
                    f"cannot be opened: it may lead to what is not allowed ({', '.join(self.protocols)} is)",
                ) from error
            if scrambled_pids(Path(self.url)):
                raise SourceError(self.url, ENCRYPTED) from None
            if is_locked_playlist(Path(self.url)):
                raise SourceError(self.url, LOCKED_PLAYLIST) from error
            if isinstance(error.__cause__, av.InvalidDataError) and "://" in self.url:
                self._tell_if_scrambled(error)
            raise

    def _told_if_scrambled(
        self, container: av.container.InputContainer, packets: Iterator[DemuxedPacket]
    ) -> Iterator[DemuxedPacket]:
        """``packets``; if none comes of a stream that is there, why not."""
        has_come = False
        try:
            for packet in packets:
                has_come = True
                yield packet
        except SourceError as error:
            if not has_come and container.format.name == "mpegts":
                container.close()
                self._tell_if_scrambled(error)
            raise

    def _tell_if_scrambled(self, error: SourceError) -> None:
        if is_scrambled_on_air(self.url, self._given_options):
            raise SourceError(self.url, SCRAMBLED) from error

    def _is_passed(self, stream: av.VideoStream | av.AudioStream, carried: Collection[Codec]) -> bool:
        """Whether the packets go into the recording as they are; the log says why or why not."""
        name = stream.codec_context.name
        wanted = (
            self.transcode_audio if isinstance(stream, av.AudioStream) else self.transcode or self.fps is not None
        )
        if wanted:
            reason = "encoded anew, as asked"
        elif lacks_display_times(stream):
            reason = "encoded anew: its frames are reordered, and it does not say when they are shown"
        elif isinstance(stream, av.VideoStream) and hidden_frames(stream).are_needed:
            reason = "encoded anew: its edit list hides frames that shown ones refer to"
        elif (codec := passthrough_codec(stream)) is None:
            reason = "encoded anew: recordkit does not carry it as it is"
        elif codec not in carried:
            reason = "encoded anew: the recording has no place for it" + (
                " (an .mp4 has)" if codec in IN_MP4 else ""
            )
        elif (
            isinstance(stream, av.VideoStream) and not codec.has_nal_units and pixel_aspect(stream) not in (None, 1)
        ):
            reason = "encoded anew: its pixels are no squares, which its frames do not say"
        else:
            log.info("%s: stream %d (%s) is passed through", self.url, stream.index, name)
            return True
        log.info("%s: stream %d (%s) is %s", self.url, stream.index, name, reason)
        return False

    @staticmethod
    def _in_order(
        container: av.container.InputContainer,
        packets: Iterator[DemuxedPacket],
        chosen: list[Any],
        passed: dict[int, bool],
    ) -> Iterator[DemuxedPacket]:
        """``packets`` at times that can be believed; those of a file in their order."""
        if container.format.name in _WITH_33_BITS:
            packets = _SourceClock().unwrapped(packets)
        if _is_live(container):
            return packets
        video = next((one for one in chosen if isinstance(one, av.VideoStream) and passed[one.index]), None)
        if video is not None:
            packets = with_decoding_times(packets, video)
        return interleaved(packets, chosen)

    def _items(
        self,
        container: av.container.InputContainer,
        packets: Iterator[DemuxedPacket],
        chosen: list[Any],
        passed: dict[int, bool],
    ) -> Iterator[SourceItem]:
        numbers = {stream.index: 0 for stream in chosen}
        audio = [stream.index for stream in chosen if isinstance(stream, av.AudioStream)]
        numbers |= {index: number for number, index in enumerate(audio)}
        fps = self.fps
        pacer = FrameFilter("fps", f"{fps.numerator}/{fps.denominator}") if fps is not None else None
        begun: set[int] = set()
        decoding = Decoding(self.url, chosen)
        taken = Taken(container, is_live=_is_live(container))
        for packet in packets:
            # Not packet.stream_index: the empty packets at the end have none.
            index = packet.stream.index
            if passed[index] and packet.size and index not in begun:
                begun.add(index)
                if _is_bare(packet):
                    log.info("%s: stream %d is decoded: its packets do not say what is in them", self.url, index)
                    passed[index] = False
                elif _is_turned(packet):
                    log.info("%s: stream %d is encoded anew: its frames cannot say how they turn", self.url, index)
                    passed[index] = False
            if passed[index]:
                # What an edit list hides, and nothing else needs, is no part of the film.
                if packet.size and not (packet.is_discard and isinstance(packet.stream, av.VideoStream)):
                    yield SourceItem(packet, numbers[index], captured=taken.packet(packet))
                continue
            for frame in decoding.frames(packet):
                if not isinstance(frame, VideoFrame):
                    yield SourceItem(frame, numbers[index])
                elif pacer is not None:
                    yield from (SourceItem(picture, numbers[index]) for picture in pacer.put(frame))
                else:
                    yield SourceItem(frame, numbers[index], captured=taken.frame(frame))
        if pacer is not None:
            yield from (SourceItem(picture) for picture in pacer.flush())
        decoding.tell_losses()


@dataclass(frozen=True)
class _Into:
    """A media file as one kind of recording takes it."""

    file: MediaFile
    carried: Collection[Codec]

    @property
    def name(self) -> str:
        return self.file.name

    def open(self) -> AbstractContextManager[OpenSource]:
        return self.file.open(self.carried)


class _SourceClock:
    """The times of one programme, unwrapped by the least step.

    libavformat takes a clock that is set back by over a minute for one that has wrapped, and adds 2^33 ticks:
    four seconds of media would last a day.
    """

    def __init__(self) -> None:
        self._unwrapper = Unwrapper()

    def unwrapped(self, packets: Iterator[DemuxedPacket]) -> Iterator[DemuxedPacket]:
        """``packets``, their times unwrapped."""
        for packet in packets:
            if packet.dts is not None:
                packet.dts = self._unwrapper.unwrap(packet.dts % WRAP)
            if packet.pts is not None:
                packet.pts = self._unwrapper.unwrap(packet.pts % WRAP)
            yield packet


def _is_bare(packet: DemuxedPacket) -> bool:
    """Whether a packet does not say what is in it, as transport streams want it, and its container does not either.

    RealMedia has its own way of AAC; DTS may come without the core that all decoders know, or in other words.
    """
    context = packet.stream.codec_context
    if context.codec.canonical_name == "dts":
        return parse_dts(bytes(packet)) is None
    return context.name == "aac" and not context.extradata and parse_adts(bytes(packet)) is None


def _is_turned(packet: DemuxedPacket) -> bool:
    """Whether the container says that frames are to be turned, of a coding that has no word for it."""
    name = packet.stream.codec_context.codec.canonical_name
    if name not in (Codec.VP9, Codec.AV1):
        return False
    frame = shown_beside(packet)
    return frame is not None and orientation_of(frame) not in (None, Orientation())


def _is_live(container: av.container.InputContainer) -> bool:
    """Whether it comes over a connection or pipe without a length: nobody can tell its end from a break."""
    has_no_file = bool(container.format.flags & _NO_FILE)
    return container.format.name in _SESSIONS or (not has_no_file and (container.size or 0) <= 0)
