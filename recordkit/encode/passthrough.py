"""Packets that are coded already: brought into their elementary form, and otherwise left as they are."""

from __future__ import annotations

from collections.abc import Callable

import av

from ..bitstream.audio import parse_audio_specific_config
from ..bitstream.flac import flac_streaminfo
from ..bitstream.h264 import delimiter_bytes
from ..bitstream.language import three_letters
from ..bitstream.lengths import parse_configuration, with_start_codes
from ..demuxed import is_encrypted, trims
from ..errors import MediaError
from ..model import AccessUnit, Captured, Codec
from ..ticks import TICKS_PER_SECOND, to_ticks
from .beside import lost_beside, shown_beside
from .coded import Coded, CodedPacket
from .framing import PictureFramer, SoundFramer
from .mastering import mastering_of
from .orientation import orientation_of
from .standing import StandingFrame
from .vui import VuiWriter, colours, lacking_aspect, lacking_colours
from .whole_frames import WholeFrames

_HEAD_BYTES = 32
"""A delimiter and the start code behind it are in so many bytes."""
_START_CODES = (b"\0\0\1", b"\0\0\0\1")
_LONGEST_PRIMING = TICKS_PER_SECOND // 10
_MOST_PRIMING = 3
"""Or so many packets: of AAC at 8 kHz one lasts longer."""
_LONGEST_STEP = TICKS_PER_SECOND // 2
"""Audio that goes on after more has begun anew."""
_NEW_CLOCK = 10 * TICKS_PER_SECOND
"""Converters take a longer step in one stream of MPEG-TS for a new clock."""
_NOT_SEEN = TICKS_PER_SECOND // 100
"""A frame may be shown so much later."""
_NAMES = {codec.value: codec for codec in Codec}


def passthrough_codec(stream: av.VideoStream | av.AudioStream) -> Codec | None:
    """The codec of ``stream`` where its packets can go into a recording as they are, else None."""
    context = stream.codec_context
    # Not the coder's own name: libx264 and h264_nvenc make H.264.
    codec = _NAMES.get(context.codec.canonical_name)
    extradata = context.extradata or b""
    if codec is Codec.PCM:
        return None  # only WAV holds it, and its blocks may be of any size
    if codec is Codec.FLAC and not flac_streaminfo(extradata):
        return None
    if codec is Codec.AAC and extradata and parse_audio_specific_config(extradata) is None:
        return None
    if codec is Codec.OPUS and isinstance(stream, av.AudioStream) and stream.codec_context.layout.nb_channels > 2:
        return None  # its channel mapping would have to go into a descriptor that few players read
    return codec


class Passthrough:
    """Turns the packets of one demuxed stream into access units of stream ``index``.

    ``skipped_units`` counts frames that no decoder could show: they are left out. ``on_altered`` is told
    what will not be as in the source. ``end`` is up to where audio has come without a step since ``begun``, and
    when the last frame of video is decoded, in ticks.

    Raises MediaError where the stream's codec cannot be passed through.
    """

    def __init__(
        self,
        stream: av.VideoStream | av.AudioStream,
        index: int,
        language: str | None = None,
        on_altered: Callable[[str], None] | None = None,
    ) -> None:
        codec = passthrough_codec(stream)
        if codec is None:
            raise MediaError(f"{stream.codec_context.name} cannot be passed through: decode it first", index)
        self._index = index
        self._codec = codec
        self._length_bytes = 0
        self._is_to_be_seen = False
        self._colours: dict[str, int] = {}
        self._options: dict[str, str] = {}
        self._sets = b""
        self._on_altered = on_altered
        self._are_hidden_told = False
        self._is_primed: bool | None = None
        self._vui: VuiWriter | None = None
        self._framer: PictureFramer | WholeFrames | None = None
        self._sound: SoundFramer | None = None
        self._duration = 0
        self._standing: StandingFrame | None = None
        self._is_pause_told = self._is_order_told = False
        self.begun = 0
        self.end: int | None = None
        extradata = stream.codec_context.extradata or b""
        if isinstance(stream, av.VideoStream):
            may_say_more = stream.codec_context.is_decoder and not stream.codec_context.is_open
            configuration = parse_configuration(extradata, codec) if codec.has_nal_units else None
            if configuration is not None:
                self._length_bytes, self._sets = configuration
                # Containers with lengths in place of start codes are those that may say more than their streams.
                self._is_to_be_seen = may_say_more
                self._colours = colours(stream.codec_context)
                self._write_vui(stream, lacking_aspect(stream))
                extradata = self._with_vui(self._sets)
            if codec.has_nal_units:
                self._framer = PictureFramer(codec, extradata, on_altered)
            else:
                self._is_to_be_seen = may_say_more
                self._framer = WholeFrames(codec, stream.codec_context, on_altered)
            self._standing = StandingFrame(codec, on_altered)
            if stream.average_rate:
                self._duration = round(TICKS_PER_SECOND / stream.average_rate)
        else:
            self._sound = SoundFramer(codec, stream.codec_context, three_letters(language), index)

    def step(self, packet: CodedPacket) -> int:
        """How long ``packet`` lasts, in ticks; 0 where that is not known. A gap behind audio is no part of it."""
        stated = to_ticks(packet.duration, packet.time_base) if packet.duration and packet.time_base else 0
        if self._sound is None:
            return stated or self._duration
        length = self._sound.length(bytes(packet))
        return min(stated, length) if stated and length else stated or length

    def _write_vui(self, stream: av.VideoStream, options: dict[str, str]) -> None:
        if options:
            self._options |= options
            self._vui = VuiWriter(stream, self._codec, self._length_bytes, self._options)

    def _with_vui(self, annexb: bytes) -> bytes:
        return annexb if self._vui is None else self._vui.rewritten(annexb)

    def look(self, packet: CodedPacket) -> None:
        """See what stands beside frames; call it with the container still open, before ``packet`` is coded."""
        stream = packet.stream
        if not self._is_to_be_seen or not packet.is_keyframe or not isinstance(stream, av.VideoStream):
            return
        self._is_to_be_seen = False
        frame = shown_beside(packet)
        if frame is None or self._framer is None:
            return
        if isinstance(self._framer, WholeFrames):
            self._framer.see(orientation_of(frame), mastering_of(frame))
            return
        if options := lacking_colours(self._colours, frame):
            self._write_vui(stream, options)
            self._framer.learn(self._with_vui(self._sets))
        self._framer.turn(orientation_of(frame))
        self._framer.grade(mastering_of(frame))
        if self._on_altered is not None:
            for words in lost_beside(frame, self._parts(packet)[1], self._codec):
                self._on_altered(f"{words} is left out: only its container says it")

    def units(
        self,
        packet: CodedPacket,
        dts: int,
        pts: int | None,
        *,
        discontinuity: bool,
        captured: Captured | None = None,
    ) -> list[Coded]:
        """The access units of ``packet``, placed at ``dts`` and ``pts`` (ticks; None: not known).

        Raises MediaError for a packet that cannot be carried.
        """
        if is_encrypted(packet):
            raise MediaError("the packet is encrypted: give its container the key (decryption_key)", self._index)
        if packet.is_discard and self._is_hidden(packet):
            return []
        if pts is not None and dts - pts > _NOT_SEEN:
            self._tell_order(dts - pts)
        if self._framer is not None and self.end is not None and dts <= self.end:
            # A frame that was repeated stands in its place.
            dts = self.end + 1
        self._look_at_pause(dts)
        if not packet.is_discard:
            self._is_primed = False
        new_extradata = _new_extradata(packet)
        if isinstance(self._framer, PictureFramer) and new_extradata:
            configuration = parse_configuration(new_extradata, self._codec)
            if configuration is not None:
                self._length_bytes, new_extradata = configuration
            elif new_extradata.startswith(_START_CODES):
                self._length_bytes = 0
            self._framer.learn(self._with_vui(new_extradata))
        header, data, starts = self._parts(packet)
        start_trim, end_trim = trims(packet) if self._codec is Codec.OPUS else (0, 0)
        unit = AccessUnit(
            stream=self._index,
            pts=dts if pts is None else max(pts, dts),
            dts=dts,
            data=data,
            discontinuity=discontinuity,
            duration=self.step(packet),
            start_trim=start_trim,
            end_trim=end_trim,
            captured=captured,
            header=header,
            nal_starts=starts,
        )
        if self._sound is not None:
            if self.end is None or dts - self.end > _LONGEST_STEP:
                self.begun = dts
            self.end = dts + unit.duration
            return [self._sound.framed(unit, new_extradata)]
        framed = self._framer.framed(unit, is_key_picture=packet.is_keyframe) if self._framer is not None else None
        if framed is None or self._standing is None:
            return []
        self._standing.follow(framed.unit)
        self.end = dts
        return [framed]

    def fill(self, until: int) -> list[Coded]:
        """Show the last frame once more at ``until`` (ticks), if that can be done; audio has nothing to show."""
        if self._framer is None or self._standing is None or self.end is None or until <= self.end:
            return []
        again = self._standing.again(self._index, until)
        framed = None if again is None else self._framer.framed(again, is_key_picture=False)
        if framed is None:
            return []
        self.end = until
        return [framed]

    def _look_at_pause(self, dts: int) -> None:
        """Say once what converters make of a pause that nothing fills."""
        pause = 0 if self.end is None else dts - self.end
        if pause > _NEW_CLOCK and not self._is_pause_told and self._on_altered is not None:
            self._is_pause_told = True
            self._on_altered(
                f"it pauses for {pause / TICKS_PER_SECOND:.1f} s, and is passed through as it is: in MPEG-TS a "
                "converter takes more than ten seconds of one stream for a new clock, and leaves them out; "
                "give ffmpeg -dts_delta_threshold 100000 before -i"
            )

    def _tell_order(self, late: int) -> None:
        """Say once that times cannot be kept: nothing is shown before it is decoded (ISO/IEC 13818-1, 2.4.2.7)."""
        if not self._is_order_told and self._on_altered is not None:
            self._on_altered(
                f"by its times frames are shown {late / TICKS_PER_SECOND:.3f} s before they are decoded: "
                "they are shown later, and may come in another order"
            )
        self._is_order_told = True

    def rest(self) -> list[Coded]:
        """Nothing is held back."""
        return []

    def _parts(self, packet: CodedPacket) -> tuple[bytes, bytes, tuple[int, ...]]:
        """The delimiter before a frame, its bytes (Annex B; or those of audio), and its NAL units if known."""
        if self._length_bytes:
            data, starts = with_start_codes(bytes(packet), self._length_bytes)
            return (b"", data, starts) if self._vui is None else (b"", self._vui.rewritten(data), ())
        if not self._codec.has_nal_units:
            return b"", bytes(packet), ()
        view = memoryview(packet)
        size = delimiter_bytes(bytes(view[:_HEAD_BYTES]), self._codec)
        return bytes(view[:size]), bytes(view[size:]), ()

    def _is_hidden(self, packet: CodedPacket) -> bool:
        """Whether an edit list hides ``packet``, and the recording can do without it (ISO/IEC 14496-12, 8.6.6)."""
        if self._sound is not None:
            # What an encoder puts before the first sample is no audio, but its decoder needs it.
            if self._is_primed is None:
                ticks = to_ticks(packet.pts, packet.time_base) if packet.pts is not None else 0
                self._is_primed = -max(_LONGEST_PRIMING, _MOST_PRIMING * self.step(packet)) <= ticks < 0
            return not self._is_primed
        if not self._are_hidden_told and self._on_altered is not None:
            self._on_altered("its edit list hides frames that others refer to: the recording shows them")
        self._are_hidden_told = True
        return False

    @property
    def skipped_units(self) -> int:
        """Frames left out so far."""
        return self._framer.skipped_units if self._framer is not None else 0

    @property
    def lacking(self) -> str | None:
        """Why nothing has come out so far, or None."""
        return self._framer.lacking if self._framer is not None else None


def _new_extradata(packet: CodedPacket) -> bytes:
    """The configuration that begins with ``packet``, as FLV and MP4 may have one in their midst; else nothing."""
    return bytes(packet.get_sidedata("new_extradata")) if packet.has_sidedata("new_extradata") else b""
