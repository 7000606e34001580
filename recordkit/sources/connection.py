"""A file, URL or device that is open: what is chosen of it, which way each stream goes, and its items."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import av
from av.packet import PacketSideData
from av.video.frame import VideoFrame

from ..bitstream.audio import parse_adts
from ..bitstream.dts import parse_dts
from ..bitstream.language import three_letters
from ..bitstream.sei import Orientation
from ..demux import demux, is_decodable, settle
from ..demuxed import DemuxedPacket
from ..encode.beside import shown_beside
from ..encode.filtering import FrameFilter
from ..encode.orientation import orientation_of
from ..encode.passthrough import passthrough_codec
from ..encode.vui import pixel_aspect
from ..errors import SourceError
from ..model import Codec
from ..mp4.packager import CARRIED as IN_MP4
from ..ticks import WRAP, Unwrapper, fraction
from .choice import Choice, choose
from .decoding import Decoding, lacks_display_times
from .edits import hidden_frames
from .encrypted import encrypted_streams, kept, peeked
from .interleave import interleaved, with_decoding_times
from .joined import joined
from .lasting import SESSIONS, is_live
from .media_settings import MediaFileSettings
from .opened import opened, told_if_scrambled
from .sliced import whole_keyframes
from .source import SourceItem
from .taken import Taken
from .untimed import timed_by_next

log = logging.getLogger("recordkit")

Stream = av.VideoStream | av.AudioStream
_HIGHEST_RATE = 1_000
_WITH_33_BITS = {"mpegts", "mpeg"}
_NEW_EXTRADATA = 1
"""AV_PKT_DATA_NEW_EXTRADATA"""


class Slot(NamedTuple):
    """A stream of the recording: its number among those of its kind, and what stands in it, and how."""

    is_video: bool
    number: int
    codec: str
    language: str | None
    is_passed: bool

    @property
    def part(self) -> str:
        """What to call it in events."""
        return "video" if self.is_video else f"audio {self.number}"


class Connection:
    """``file``, opened once; ``carried`` are the codings that the recording has a place for.

    ``before`` are the slots of the connection that this one comes in the place of: its streams take theirs, each
    the one of its coding and language, wherever it stands now. ``lost`` are the slots that none has taken.
    ``kind`` is the format that that one had.

    Raises SourceError where it cannot be opened, or nothing in it can be recorded.
    """

    def __init__(
        self,
        file: MediaFileSettings,
        carried: Collection[Codec],
        before: Sequence[Slot] | None = None,
        kind: str | None = None,
    ) -> None:
        self._file = file
        self._carried = carried
        self._is_back = before is not None
        self.container = opened(file, is_back=self._is_back, kind=kind)
        try:
            self.is_live = is_live(self.container)
            self._packets, self.choice = self._begun()
            self._slots = self._placed(before)
            self.lost = tuple(one for one in before or () if one not in self._slots.values())
            if not self._slots:
                raise SourceError(file.url, "has none of the streams that it had")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close it, in the thread that decodes."""
        for stream in self.container.streams.video:
            settle(stream.codec_context if is_decodable(stream) else None)
        self.container.close()

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Those of all its streams, by what they have turned out to be."""
        return tuple(self._slots.values())

    @property
    def frame_rate(self) -> Fraction | None:
        """That of the frames that will have to be encoded, as far as anybody knows."""
        video = self.choice.video
        average = fraction(video.average_rate) if video is not None else None
        if average is not None and not 0 < average <= _HIGHEST_RATE:
            average = None  # a guess by times that say nothing: it is no reason to refuse the film
        return self._file.fps or average

    def _begun(self) -> tuple[Iterator[DemuxedPacket], Choice]:
        file, container = self._file, self.container
        choice = choose(container, file.url, program=file.program, video=file.video, audio=file.audio)
        packets = demux(container, choice.streams, takes_encrypted=not self.is_live)
        if self.is_live:
            packets = told_if_scrambled(file, self.container, packets)
            return joined(packets, container.format.name, file.url), choice
        first, packets = peeked(packets, choice.streams)
        choice = choice.without(file.url, encrypted_streams(container, first, choice.streams))
        return kept(packets, choice.streams), choice

    def _placed(self, before: Sequence[Slot] | None) -> dict[int, Slot]:
        """The slots of the streams, by their indexes."""
        found: dict[int, Slot] = {}
        free = list(before or ())
        number = 0
        for stream in self.choice.streams:
            is_video = isinstance(stream, av.VideoStream)
            codec, language = _codec(stream), three_letters(stream.language)
            if before is None:
                is_passed = self._is_passed(stream)
                found[stream.index] = Slot(is_video, 0 if is_video else number, codec, language, is_passed)
                number += not is_video
                continue
            near = [one for one in free if one.is_video is is_video and (not one.is_passed or one.codec == codec)]
            slot = max(near, key=lambda one: (one.language == language, one.codec == codec), default=None)
            if slot is None:
                log.warning(
                    "%s: stream %d (%s) is new, or coded otherwise than before, and left out",
                    self._file.url,
                    stream.index,
                    codec,
                )
                continue
            free.remove(slot)
            found[stream.index] = slot
        for stream in self.choice.streams:
            if stream.index in found and not found[stream.index].is_passed:
                stream.codec_context.thread_type = "AUTO"
        return found

    def _is_passed(self, stream: Stream) -> bool:
        """Whether the packets go into the recording as they are; the log says why or why not."""
        file, name = self._file, stream.codec_context.name
        wanted = (
            file.transcode_audio if isinstance(stream, av.AudioStream) else file.transcode or file.fps is not None
        )
        if wanted:
            reason = "encoded anew, as asked"
        elif lacks_display_times(stream):
            reason = "encoded anew: its frames are reordered, and it does not say when they are shown"
        elif isinstance(stream, av.VideoStream) and hidden_frames(stream).are_needed:
            reason = "encoded anew: its edit list hides frames that shown ones refer to"
        elif (codec := passthrough_codec(stream)) is None:
            reason = "encoded anew: recordkit does not carry it as it is"
        elif codec not in self._carried:
            reason = "encoded anew: the recording has no place for it" + (
                " (an .mp4 has)" if codec in IN_MP4 else ""
            )
        elif (
            isinstance(stream, av.VideoStream) and not codec.has_nal_units and pixel_aspect(stream) not in (None, 1)
        ):
            reason = "encoded anew: its pixels are no squares, which its frames do not say"
        else:
            log.info("%s: stream %d (%s) is passed through", file.url, stream.index, name)
            return True
        log.info("%s: stream %d (%s) is %s", file.url, stream.index, name, reason)
        return False

    def _in_order(self) -> Iterator[DemuxedPacket]:
        """The packets at times that can be believed; those of a file in their order."""
        packets = self._packets
        if self.container.format.name in _WITH_33_BITS:
            packets = _SourceClock().unwrapped(packets)
        if self.is_live:
            is_rtp = self.container.format.name in SESSIONS
            return timed_by_next(whole_keyframes(packets) if is_rtp else packets)
        video = self.choice.video
        if video is not None and video.index in self._slots and self._slots[video.index].is_passed:
            packets = with_decoding_times(packets, video)
        return interleaved(packets, self.choice.streams)

    def items(self) -> Iterator[SourceItem]:
        """What it gives, to its end. Raises SourceError where it breaks, once all that came has been given."""
        file, slots = self._file, self._slots
        fps = file.fps
        pacer = FrameFilter("fps", f"{fps.numerator}/{fps.denominator}") if fps is not None else None
        begun: set[int] = set()
        decoding = Decoding(file.url, self.choice.streams)
        taken = Taken(self.container, is_live=self.is_live)
        for packet in self._in_order():
            # Not packet.stream_index: the empty packets at the end have none.
            index = packet.stream.index
            if index not in slots:
                continue
            if slots[index].is_passed and packet.size and index not in begun:
                begun.add(index)
                self._look_at_first(packet)
            slot = slots[index]
            if slot.is_passed:
                # What an edit list hides, and nothing else needs, is no part of the film.
                if packet.size and not (packet.is_discard and slot.is_video):
                    yield SourceItem(packet, slot.number, captured=taken.packet(packet))
                continue
            for frame in decoding.frames(packet):
                if not isinstance(frame, VideoFrame):
                    yield SourceItem(frame, slot.number)
                elif pacer is not None:
                    yield from (SourceItem(picture, slot.number) for picture in pacer.put(frame))
                else:
                    yield SourceItem(frame, slot.number, captured=taken.frame(frame))
        if pacer is not None:
            yield from (SourceItem(picture) for picture in pacer.flush())
        decoding.tell_losses()

    def _look_at_first(self, packet: DemuxedPacket) -> None:
        """See what the first packet of a stream that is passed says of those behind it."""
        stream, url = packet.stream, self._file.url
        index = stream.index
        if self._is_back:
            extradata = stream.codec_context.extradata
            if extradata and not packet.has_sidedata("new_extradata"):
                # The way that it takes was made for the stream that was there before.
                told = PacketSideData(_NEW_EXTRADATA, len(extradata))  # type: ignore[call-arg] # its stub lacks them
                told.update(extradata)
                packet.set_sidedata(told)
        elif _is_bare(packet):
            log.info("%s: stream %d is decoded: its packets do not say what is in them", url, index)
            self._slots[index] = self._slots[index]._replace(is_passed=False)
        elif _is_turned(packet):
            log.info("%s: stream %d is encoded anew: its frames cannot say how they turn", url, index)
            self._slots[index] = self._slots[index]._replace(is_passed=False)


def _codec(stream: Stream) -> str:
    return stream.codec_context.codec.canonical_name


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
