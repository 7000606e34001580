"""Which streams of a container are recorded: one programme, its best video, its audio; what is left out is told."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import av

from ..bitstream.language import three_letters
from ..demux import is_decodable
from ..encode.routing import MOST_AUDIO
from ..errors import SourceError
from ..programs import Media, is_attached, main_program, main_video, playable, programs_of
from .encrypted import ENCRYPTED

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

log = logging.getLogger("recordkit")


@dataclass(frozen=True, slots=True)
class Choice:
    """The streams to record; ``troubles`` says of each stream that cannot be recorded why."""

    video: av.VideoStream | None
    audio: tuple[av.AudioStream, ...]
    troubles: tuple[tuple[str, str], ...]

    @property
    def streams(self) -> list[Media]:
        """All of them, the video first."""
        return [*([] if self.video is None else [self.video]), *self.audio]

    def without(self, name: str, encrypted: set[int]) -> Choice:
        """The same without the ``encrypted`` streams, which is told. Raises SourceError if none is left."""
        if not encrypted:
            return self
        told = tuple(
            (
                f"stream {stream.index}",
                f"stream {stream.index} ({stream.type}) is left out: it {ENCRYPTED}",
            )
            for stream in self.streams
            if stream.index in encrypted
        )
        if len(told) == len(self.streams):
            raise SourceError(name, ENCRYPTED)
        for _, because in told:
            log.warning("%s: %s", name, because)
        video = None if self.video is None or self.video.index in encrypted else self.video
        audio = tuple(stream for stream in self.audio if stream.index not in encrypted)
        return Choice(video, audio, (*self.troubles, *told))


def choose(container: InputContainer, name: str, *, program: int | None, video: bool, audio: bool | str) -> Choice:
    """Choose the streams of ``container``, and log what is left out and why.

    What belongs together is one programme (ISO/IEC 13818-1, 2.4.4.8; a variant in HLS): the others have
    clocks of their own. Without ``program``, counted from 1 as they stand, it is that of the largest video.
    ``audio`` names some by their languages or stream numbers, such as "deu,3".

    Raises SourceError if nothing is left, or what was asked for is not there.
    """
    troubles = tuple(
        (f"stream {stream.index}", f"stream {stream.index} ({stream.type}) is left out: its coding is not known")
        for stream in container.streams
        if not is_decodable(stream) and stream.type in ("video", "audio")
    )
    programs = programs_of(container, playable(container))
    within = _within(name, programs, program, video=video)
    chosen_video = main_video(container, within) if video else None
    heard = [one for one in within if isinstance(one, av.AudioStream)] if audio else []
    if isinstance(audio, str):
        heard = _asked_for(name, heard, audio)
    choice = Choice(chosen_video, tuple(heard[:MOST_AUDIO]), troubles)
    for _, because in troubles:
        log.warning("%s: %s", name, because)
    if len(heard) > MOST_AUDIO:
        log.warning("%s: of %d audio streams the first %d are taken", name, len(heard), MOST_AUDIO)
    _tell_left_out(container, name, choice, within, programs, video=video, audio=audio)
    if not choice.streams:
        raise SourceError(name, "holds neither video nor audio that was asked for")
    return choice


def _within(name: str, programs: list[list[Media]], program: int | None, *, video: bool) -> list[Media]:
    """The streams of the programme to record."""
    if program is None:
        return main_program(programs, video=video)
    if not 1 <= program <= len(programs):
        raise SourceError(name, f"has {len(programs)} programs: there is no program {program}")
    return programs[program - 1]


def _asked_for(name: str, heard: list[av.AudioStream], audio: str) -> list[av.AudioStream]:
    wanted = [one.strip() for one in audio.split(",") if one.strip()]

    def matches(stream: av.AudioStream, one: str) -> bool:
        if one.isdecimal():
            return stream.index == int(one)
        return three_letters(one) == three_letters(stream.language)

    found = [stream for stream in heard if any(matches(stream, one) for one in wanted)]
    if not found:
        there = ", ".join(f"{stream.index} ({three_letters(stream.language) or 'und'})" for stream in heard)
        raise SourceError(name, f"has no audio stream {audio!r}: there is {there or 'none'}")
    return found


def _tell_left_out(
    container: InputContainer,
    name: str,
    choice: Choice,
    within: list[Media],
    programs: list[list[Media]],
    *,
    video: bool,
    audio: bool | str,
) -> None:
    if len(programs) > 1:
        number = next((at for at, streams in enumerate(programs, 1) if streams is within), 1)
        log.warning("%s: of %d programs number %d is recorded", name, len(programs), number)
    taken = {stream.index for stream in choice.streams}
    for stream in container.streams:
        if stream.index in taken or any(part == f"stream {stream.index}" for part, _ in choice.troubles):
            continue
        reason, is_asked = _left_out_because(stream, within, video=video, audio=audio)
        level = logging.INFO if is_asked else logging.WARNING
        log.log(level, "%s: stream %d (%s) is not recorded: %s", name, stream.index, _kind(stream), reason)


def _left_out_because(stream: Stream, within: list[Media], *, video: bool, audio: bool | str) -> tuple[str, bool]:
    """Why a stream is left out, and whether that was asked for or is no loss."""
    if not isinstance(stream, av.VideoStream | av.AudioStream):
        return "video and audio alone are", False
    if is_attached(stream):
        return "it is an attached picture", True
    if not (video if isinstance(stream, av.VideoStream) else audio is True):
        return "it was not asked for", True
    if stream not in within:
        return "it belongs to another program", False
    if isinstance(stream, av.VideoStream):
        return "a recording has one video stream, and another is larger or longer", False
    return f"a recording has {MOST_AUDIO} audio streams at the most", False


def _kind(stream: Stream) -> str:
    return stream.codec_context.name if is_decodable(stream) else str(stream.type)
