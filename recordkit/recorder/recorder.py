"""The recorder: frames or packets in, a file that grows out, or one after the other."""

from __future__ import annotations

import logging
import sys
import threading
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, Unpack

from av.audio.frame import AudioFrame
from av.packet import Packet
from av.video.frame import VideoFrame

from ..encode.captured import captured_of
from ..encode.coded import CodedPacket
from ..encode.routing import VIDEO, Route, Routing
from ..encode.streams import Media
from ..errors import PartialExistsError, RecordkitError, SettingsError, StateError
from ..model import Captured, CapturedBy, EncodedUnit
from ..settings import RecordingOptions, RecordingSettings, mark_name
from ..signatures import named_with
from ..ticks import TICKS_PER_SECOND, to_ticks
from ..values import NumberLike, PathLike
from ..writer.writer import Writer
from .asked import Kept
from .fed import Fed
from .leftover import clear_the_way
from .pausing import Gap, Pausing
from .result import Recording
from .running import RunningRecording
from .shared import SHARED, Shared
from .state import State

if TYPE_CHECKING:
    import asyncio

    from ..encode.captured import CapturedLike

log = logging.getLogger("recordkit")


@named_with(RecordingOptions, RecordingSettings)
class Recorder(Fed):
    """Records one video and several audio streams into ``path``: MPEG-TS if it ends in ``.ts``, MP4 if in ``.mp4``.

    ``video`` and ``audio`` say how frames are encoded; None means that there is no such stream.
    A sequence of AudioSettings serves several audio streams in turn. ``flush_threshold`` is in
    bytes, ``flush_interval`` in seconds; ``durability="flush"`` syncs each flush to the disk,
    ``"process"`` leaves that to the system. ``queue_bytes`` bounds what waits to be encoded or
    written; ``overflow`` says what happens beyond: ``"block"`` lets ``write`` wait, ``"drop"``
    drops everything up to the next keyframe and counts it. Sizes and times may be text, as on the command
    line: ``flush_threshold="8M"``, ``flush_interval="500ms"``.

    An MP4 is finished as a plain one; with ``finish="fragmented"`` it stays in its fragments, with an
    index of its keyframes, for those who feed it to MediaSource.

    Where the disk is full ``on_disk_full="stop"`` ends the recording and commits all that was
    packetised (``ended_because`` says "disk full"); ``"wait"`` waits for room in state ``degraded``,
    the queue taking what comes as ``overflow`` says, and goes on when there is some. Where an
    unfinished recording of the same name lies, ``on_partial="error"`` refuses to start, ``"recover"``
    first finishes that one as ``talk (recovered).ts``, and ``"rename"`` moves it aside, still to be
    recovered, as ``talk (1).recording.ts``; one that is still being recorded is never touched.

    With ``keep`` the folder's oldest recordings are deleted, as by ``recordkit.keep``, when a flush, a commit or
    time would pass one of its bounds; nothing waits for that. ``on_commit`` is called with the finished Recording
    once it has been committed, or is a command, as a list of words, ``{path}`` in them being its path (no shell):
    in a thread of its own, in which it may take ``on_commit_timeout`` seconds.

    A sample of the process is taken every ``sample_interval`` seconds (0: never); ``flush_log``
    keeps flushes, samples and events beside the file in ``NAME.flushes.jsonl`` (a path: there;
    False: nowhere). ``alerts`` says what raises an alert, ``on_alert`` is called with each.

    Frames that are encoded, or come live, carry in themselves when they were taken (an SEI message, as OBS Studio
    writes it); ``embed_times=False`` leaves that out. ``frame_table`` keeps a table of the frames beside the file,
    ``NAME.frames``, by which it is opened quickly; it may be deleted.

    Recordings in one process share a bound on all that waits in them together, and nothing that could
    let one hold up another; ``shared`` gives this one another bound than the process's. With
    ``admission="check"`` ``start`` refuses where memory or file descriptors do not suffice for one more, or
    where a recording of this process is losing media already to the disk that this one would go to,
    or to an encoder that is too slow; ``"off"`` starts whatever that costs.

    With ``segments`` it goes on in one file after the other (see Segments), each with a tail, a log and a table of
    its own, committed by itself. ``path`` is a pattern of their names: ``"cam/{start:%Y-%m-%d_%H-%M-%S}.ts"`` with
    the local time when a file is to begin, or ``"cam/{number:04d}.ts"``. A name that is taken is passed over.

    With ``ring`` (see Ring) nothing is kept but what ``keep`` asks for, each in a file of its own by the pattern of
    ``path``, as with ``segments``; the newest media is held beside them, on disk, and is deleted when the recording
    ends well. After a kill all of it is there to be recovered.

    Use it as a context: a normal end commits the file, an exception leaves a flushed partial.
    Its methods may be called from any thread. One that is never stopped is committed when it is
    collected, or at an orderly end of the program, which waits for that; a ResourceWarning tells of it.

    Raises SettingsError and OutputNameError; opening the files is left to ``start``.
    """

    def __init__(
        self, path: PathLike, *, shared: Shared | None = None, **settings: Unpack[RecordingOptions]
    ) -> None:
        self._prepare(RecordingSettings(path=path, **settings), shared)

    @classmethod
    def of(cls, settings: RecordingSettings, shared: Shared | None = None) -> Self:
        """A recorder by settings that are made already."""
        recorder = cls.__new__(cls)
        recorder._prepare(settings, shared)
        return recorder

    def _prepare(self, settings: RecordingSettings, shared: Shared | None) -> None:
        SHARED("shared", shared)
        self._settings = settings
        self._parts = RunningRecording(settings, shared or Shared.of_process(settings.clock))
        self._recording: Recording | None = None
        self._routing = Routing(has_video=settings.video is not None, has_audio=bool(settings.audio))
        self._starting = threading.Lock()
        self._is_untimed_told = False
        self._keeps_opus = all(audio.codec == "opus" for audio in settings.audio)
        intake = self._parts.intake
        self._pausing = Pausing(intake.put_marker, self._parts.pipeline.tally.told)

    def start(self, *, loop: asyncio.AbstractEventLoop | Literal["none"] | None = None) -> None:
        """Open the files and begin; nothing is left behind where that fails.

        ``loop`` is the event loop to measure the lag of; without it the one that runs here, if any;
        ``"none"`` measures none, for a caller that holds its loop up on purpose.
        Raises StateError, OutputExistsError, PartialExistsError, OutputBusyError,
        OutputAccessError, DiskSpaceError or AdmissionError; with on_partial="recover" RecoveryError and WriteError,
        too, where the unfinished recording cannot be recovered: it has been moved aside then.
        """
        with self._starting:
            if self.state is not State.NEW:
                raise StateError(self.state, State.NEW, "a recorder records once: make a new one")
            if self._settings.admission == "check":
                self._parts.admit()
            self._parts.files.begin()
            try:
                self._writer.start()
            except PartialExistsError:
                if self._settings.on_partial == "error":
                    raise
                clear_the_way(self.final_output_path, self._settings.on_partial, self._settings.system)
                self._writer.start()
            self._parts.start(None if loop == "none" else loop or _running_loop(), self)

    def write(
        self,
        frame: VideoFrame | AudioFrame,
        stream: int = 0,
        *,
        captured: CapturedLike | None = None,
        ticks: int | None = None,
        live: bool = False,
        discontinuity: bool = False,
    ) -> bool:
        """Record a frame; ``stream`` numbers the audio stream where there are several.

        ``captured`` is when a video frame was taken: a datetime or pandas.Timestamp with its time zone,
        nanoseconds since 1970, or a Captured; it stands in the stream and in the table of frames.
        ``ticks`` (90 kHz) is its time where the frame's own is not the one to use. ``live`` says that it comes
        as it is taken: when it comes is a witness of its time then, and stands in for one that
        it lacks, and for ``captured``. ``discontinuity`` says that media is missing before it.

        The frame is encoded later, in another thread: do not change its data after
        this. Gives False where the frame was dropped because the queue was full.

        Raises StateError where the recorder is not recording, MediaError for a frame that it has
        no stream for, SettingsError for a time of capture that is none, and the recording's own error
        once it has failed.
        """
        self._check()
        route = self._routing.frame(frame, stream)
        if ticks is None and route.ticks is None and route.stream == VIDEO and not self._is_untimed_told:
            self._is_untimed_told = True
            log.warning(
                "%s: frames come without pts: each follows the one before by a step", self.final_output_path.name
            )
        route = route if ticks is None else route._replace(ticks=ticks)
        return self._put(frame, route, live=live, captured=captured, discontinuity=discontinuity)

    def write_packet(
        self,
        packet: CodedPacket,
        stream: int | None = None,
        *,
        live: bool = False,
        captured: CapturedLike | None = None,
        discontinuity: bool = False,
    ) -> bool:
        """Record a packet that is coded already (H.264, H.265, AAC, MP3, MP2, AC-3, E-AC-3, DTS, Opus) as it is.

        ``packet.stream`` must be the stream it was demuxed from. ``stream`` numbers the audio
        stream; without it they are numbered as they appear. ``live``, ``captured`` and ``discontinuity`` are as for
        ``write``.
        An empty packet, with which demuxing ends, is ignored. Gives False where the packet was dropped because
        the queue was full.

        Raises as ``write`` does.
        """
        self._check()
        if isinstance(packet, Packet) and packet.size == 0:
            return True
        route = self._routing.packet(packet, stream)
        self._parts.streams.ways.admit(packet, route.stream)
        return self._put(packet, route, live=live, captured=captured, discontinuity=discontinuity)

    def write_unit(self, unit: EncodedUnit, stream: int = 0, *, live: bool = False) -> bool:
        """Record a unit that a live source gives coded: kept as it is, or decoded and encoded anew.

        H.264 and H.265 are kept unless VideoSettings asks for something else, Opus where
        AudioSettings asks for it; the log tells the choice. Times are believed as they come.
        ``stream`` numbers the audio stream. ``live`` says that it comes as it is taken: what has not come
        then will not come, so that silence and the last frame stand in for it, and where nothing is missing
        (``discontinuity``) a while without audio is no gap. Gives False where the source had better be asked for
        a unit that a decoder can start from: the queue was full and this one was dropped, or an
        earlier one could not be decoded.

        Raises as ``write`` does.
        """
        self._check()
        route = self._routing.unit(unit, stream)
        is_video = route.stream == VIDEO
        if is_video and unit.captured is None and unit.data:
            unit = replace(unit, captured=Captured(self._settings.clock.time_ns(), CapturedBy.ARRIVAL))
        taken = self._put(unit, route, live=live)
        if route.entry or not taken:
            return taken
        return not (self._parts.needs_entry(route.stream) or (is_video and self._pausing.wants_entry))

    def mark(self, name: str) -> None:
        """Note a MARK event of this name at this place of the recording (``media_s``), for its events and log.

        That is where the frame or the audio begins that was given last, whether it is in the file yet or not.

        Raises SettingsError for a name that is none, StateError where nothing is being recorded, and the
        recording's own error once it has failed.
        """
        self._check()
        self._parts.mark(mark_name(name))

    def cut(self) -> None:
        """Go on in the next file, from the next frame on, or the next keyframe of frames that are not encoded.

        Raises SettingsError for a recording without ``segments``, and otherwise as ``mark`` does.
        """
        self._check()
        if self._parts.course.cutting is None:
            raise SettingsError("segments", None, "give segments=recordkit.Segments()")
        self._parts.cut()

    def keep(self, before: NumberLike | None = None, after: NumberLike = 0) -> Kept:
        """Keep what a ring holds of the ``before`` seconds until now (None: all), and the ``after`` that follow.

        Both may be text (``"2min"``). What is kept begins with the keyframe before, is never shorter than asked,
        and becomes a file of its own: the Kept that is returned knows its name and can be waited for; this does
        not wait. Who asks again while that is not over yet gets the same one, with all that either has asked for.
        If the ring holds less than was asked for, what there is is kept, and that is told (``lacks_s``).

        Raises SettingsError for a recording without ``ring`` or a time that is none, AdmissionError if there is no
        thread for it, and otherwise as ``mark`` does.
        """
        self._check()
        if self._parts.keepings is None:
            raise SettingsError("ring", None, "give ring=recordkit.Ring(seconds=...)")
        return self._parts.keepings.keep(before, after)

    def pause(self, gap: Gap = "mark") -> None:
        """Leave out what comes from now on, until ``resume``; waits for nothing.

        With ``gap="mark"`` the time that is left out stays as a gap, with a discontinuity and a GAP event of its
        length; with ``"close"`` it is closed up, and the recording is shorter by it. Audio and video stay in
        sync. May be done any number of times; pausing again changes nothing.

        Raises SettingsError for another ``gap``, StateError where nothing is being recorded, and the recording's
        own error once it has failed.
        """
        self._check()
        self._pausing.pause(gap)

    def resume(self) -> None:
        """Go on after ``pause``: with the next frame, or the next keyframe where video is kept as it comes.

        A live source is asked for one. Nothing if there was no pause. Raises as ``pause`` does.
        """
        self._check()
        self._pausing.resume()

    @property
    def is_paused(self) -> bool:
        """Whether what comes is left out."""
        return self._pausing.is_paused

    @property
    def takes_together(self) -> bool:
        """Whether units may be of several packets (``sizes``): they are kept, and none is to be left out alone."""
        return self._keeps_opus and not self._pausing.judges_each

    def flush(self, timeout: float | None = None) -> bool:
        """Bring everything written so far to the disk; True once it is there.

        Gives False where that took longer than ``timeout`` seconds. With durability="process" the
        system is not told to sync, so that it is safe from a crash but not from a power cut.
        Raises StateError (in ``on_flush`` too), and the recording's own error once it has failed.
        """
        self._check()
        self._refuse_writer_thread()
        deadline = None if timeout is None else self._settings.clock.monotonic() + timeout
        reached = threading.Event()
        if not self._parts.intake.put_marker(reached):
            # It is ending at this moment, which flushes too.
            reached_in_time = self._parts.pipeline.join(timeout)
        else:
            reached_in_time = reached.wait(timeout)
        if not reached_in_time:
            return False
        self._check(State.STOPPING, State.STOPPED)
        left = None if deadline is None else max(0.0, deadline - self._settings.clock.monotonic())
        *ending, in_hand = self._parts.files.open
        return in_hand.writer.flush(left) and all(file.writer.join(left) for file in ending)

    def stop(self, *, commit: bool = True, timeout: float | None = None) -> Recording:
        """Encode and write what is left, and commit; or, without ``commit``, leave a flushed partial.

        May be called again and gives the same. Raises StateError where the recorder was never
        started or did not end within ``timeout`` seconds (it goes on ending), and the error that
        the recording failed with; what was written stays as a partial then. Raises StateError in
        ``on_flush`` as well, which the end would have to wait for.
        """
        self._refuse_writer_thread()
        if self.state is State.NEW:
            raise StateError(self.state, State.RECORDING, "nothing to stop: call start() first")
        self._parts.end(commit=commit)
        if not self._parts.join(timeout):
            doing = next((file.writer.doing for file in self._parts.files.open if file.writer.doing), None)
            raise StateError(
                self.state,
                State.STOPPED,
                f"the recording did not end within {timeout} s"
                + (f": the disk has not done with {doing}; it goes on trying" if doing else ""),
            )
        if self._parts.error is not None:
            raise self._parts.error
        with self._starting:
            self._recording = self._recording or self._parts.result()
        return self._recording

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop(commit=kind is None)
        except RecordkitError:
            # The first error is the one to show; this one stays in .error.
            if kind is None:
                raise

    @property
    def _writer(self) -> Writer:
        """What writes the file in hand."""
        return self._parts.writer

    def wait_for_hooks(self) -> bool:
        """Wait until ``on_commit`` is done, as long as it may take (``on_commit_timeout``); whether it is."""
        return self._parts.wait_for_hooks()

    def _abandon(self) -> None:
        """Do not wait for the end of the recording at the end of the program."""
        self._parts.abandon()

    def _refuse_writer_thread(self) -> None:
        for file in self._parts.files.open:
            if file.writer.is_own_thread:
                words = "on_flush must not wait for the recorder that called it"
                raise StateError(self.state, "another thread", words)

    def _check(self, *also: State) -> None:
        state = self.state
        if state.is_recording:
            return
        if self._parts.error is not None:
            raise self._parts.error
        if state in also:
            return
        advice = "it has ended" if self.ended_because is None else f"it has ended: {self.ended_because}"
        if state is State.NEW:
            advice = "call start() first, or use it as a context"
        raise StateError(state, State.RECORDING, advice)

    def _put(
        self,
        media: Media,
        route: Route,
        *,
        live: bool = False,
        captured: CapturedLike | None = None,
        discontinuity: bool = False,
    ) -> bool:
        if self._settings.overflow == "block":
            self._refuse_writer_thread()
        taken_at = None if captured is None else captured_of(captured)
        if live and taken_at is None and route.stream == VIDEO and not isinstance(media, EncodedUnit):
            taken_at = Captured(self._settings.clock.time_ns(), CapturedBy.ARRIVAL)
        if not self._pausing.takes(route.stream, route.ticks, _shown_at(media, route), entry=route.entry):
            return True
        arrival = round(self._settings.clock.monotonic() * TICKS_PER_SECOND) if live else None
        taken = self._parts.intake.put(
            media,
            route.stream,
            route.ticks,
            route.size,
            entry=route.entry,
            arrival=arrival,
            captured=taken_at if route.stream == VIDEO else None,
            discontinuity=discontinuity,
            patient=isinstance(media, AudioFrame),
            newest=_newest_of(media) if isinstance(media, EncodedUnit) and media.sizes else None,
        )
        if not taken:
            self._check(State.STOPPING, State.STOPPED)
        return taken


def _newest_of(unit: EncodedUnit) -> int | None:
    """When the last of several packets begins, which last equally long."""
    count = len(unit.sizes)
    return None if unit.ticks is None else unit.ticks + unit.duration * (count - 1) // count


def _shown_at(media: Media, route: Route) -> int | None:
    """When an item is shown, in ticks of its source; packets are queued by when they are decoded."""
    if not isinstance(media, Packet) or media.pts is None or not media.time_base:
        return route.ticks
    return to_ticks(media.pts, media.time_base)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    # Where nobody has imported asyncio no loop runs, and 6 MB are spared.
    loaded = sys.modules.get("asyncio")
    try:
        return None if loaded is None else loaded.get_running_loop()
    except RuntimeError:
        return None
