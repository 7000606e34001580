"""A recorder with the interface of aiortc's own: change the import, and the troubles are gone."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Literal, Unpack, get_args

from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpReceiver

from ..encode.routing import FIRST_AUDIO, VIDEO
from ..errors import AdmissionError, MediaError, SettingsError, StateError
from ..model import EventKind, Received
from ..settings import RecordingOptions, RecordingSettings
from ..signatures import named_with
from ..sources.webrtc.clock import Sync
from ..sources.webrtc.listener import Listener
from ..system import Clock
from ..telemetry.words import count_text
from ..values import NumberLike, PathLike, one_of
from ..waiting import in_thread
from .asked import Kept
from .inlet import Change, Inlet
from .pausing import Gap
from .recorder import Recorder
from .result import Counters, Recording
from .shared import Shared
from .state import State

log = logging.getLogger("recordkit")

_FORMATS = (None, "mpegts")
OnGap = Literal["silence", "mark", "end"]
_LOOK_INTERVAL_S = 0.05
LONGEST_CHANGE_S = 10.0
"""So long a keyframe is waited for that the next file could begin with."""


@named_with(RecordingOptions, RecordingSettings, overflow="drop")
class MediaRecorder:
    """Records tracks into ``file``, a ``.ts`` or ``.mp4``: aiortc's ``MediaRecorder`` by its interface.

    ``.wav``, ``.mp3``, ``.m4a``, ``.ogg`` and ``.opus`` hold one stream of audio alone.

    Remote tracks are tapped before aiortc decodes them: H.264 goes to the file as it comes, other
    codings are decoded and encoded anew in the recorder's thread. All other tracks are read frame
    by frame. What the encoder or the disk is too slow for is dropped and counted, up to the
    next keyframe (``overflow``).

    When nothing comes, the file stays open. ``on_gap`` says what becomes of the gap: the audio is
    filled with ``"silence"`` (up to a minute), or the gap is left and ``"mark"``-ed, or it is to
    ``"end"`` the recording once nothing has come for a second. ``video``, ``audio`` and
    ``settings`` are those of Recorder. ``format`` and ``options`` are there for the sake of the
    interface: the format is MPEG-TS, and libavformat's options mean nothing here.

    All calls come from one event loop, which nothing keeps waiting but ``overflow="block"``, for
    frames that must not be dropped. Raises SettingsError and OutputNameError.
    """

    def __init__(
        self,
        file: PathLike,
        format: str | None = None,  # noqa: A002 - aiortc's name
        options: Mapping[str, str] | None = None,
        *,
        on_gap: OnGap = "silence",
        shared: Shared | None = None,
        **settings: Unpack[RecordingOptions],
    ) -> None:
        if not isinstance(file, str | os.PathLike):
            raise SettingsError("file", file, "give the path of a file that ends in .ts, .mp4 or .wav")
        if format not in _FORMATS:
            raise SettingsError("format", format, "recordkit writes MPEG-TS: leave it out, or give 'mpegts'")
        one_of(*get_args(OnGap))("on_gap", on_gap)
        if options:
            log.warning("%s: these options are libavformat's and mean nothing here: %s", file, ", ".join(options))
        settings.setdefault("overflow", "drop")
        made = RecordingSettings(path=file, **settings)
        if on_gap != "silence":
            made = replace(made, audio=tuple(replace(one, gaps="mark") for one in made.audio))
        self._recorder = Recorder.of(made, shared)
        self._kinds = {kind for kind, wanted in (("video", made.video), ("audio", made.audio)) if wanted}
        self._error: Exception | None = None
        self._failed = 0
        self._given = 0
        self._order: list[int] = []
        self._is_changing = self._has_gone_on = False
        self._starting: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[Recording] | None = None
        self._ends_by_gap = on_gap == "end"
        self._tap = _Tap(self, settings.get("_clock"))
        self._received_before = Received()
        self._recorder.received = lambda: self._received

    def __repr__(self) -> str:
        tracks = count_text(self._given, "track")
        return f"<Media{repr(self._recorder)[1:-1]}, {tracks}>"

    @property
    def recorder(self) -> Recorder:
        """What writes the file: its figures, log and ``flush``."""
        return self._recorder

    @property
    def state(self) -> State:
        """Where the recording stands; degraded where a track failed and others go on."""
        return self._recorder.state

    @property
    def error(self) -> Exception | None:
        """What ended the recording, or the first track that failed; None where nothing did."""
        return self._recorder.error or self._error

    @property
    def counters(self) -> Counters:
        """What has happened to the media so far; ``received`` is what came over the network."""
        return self._recorder.counters

    def keep(self, before: NumberLike | None = None, after: NumberLike = 0) -> Kept:
        """Keep what the ``ring`` holds; as ``Recorder.keep``, and raises as that does."""
        return self.recorder.keep(before, after)

    def pause(self, gap: Gap = "mark") -> None:
        """Leave out what comes from now on, until ``resume``; as ``Recorder.pause``, and raises as that does."""
        self.recorder.pause(gap)

    def resume(self) -> None:
        """Go on after ``pause``, with a keyframe that the other side is asked for; as ``Recorder.resume``."""
        self.recorder.resume()

    @property
    def sync(self) -> dict[int, Sync]:
        """How each stream lies on the timeline, by its number: the video is 0, audio streams 1 and on."""
        return self._listener.sync

    @property
    def silent_s(self) -> float:
        """Seconds since any media came, or since the start."""
        return self._listener.silent_s

    def addTrack(  # noqa: N802 - aiortc's name
        self,
        track: MediaStreamTrack,
        *,
        receiver: RTCRtpReceiver | None = None,
        peer: RTCPeerConnection | None = None,
    ) -> None:
        """Record ``track`` too; before ``start`` or while recording.

        ``peer`` is the connection that it comes from, or ``receiver`` its receiver: with either even a track of
        which nothing comes can be asked for a keyframe. Parameter sets that a sender tells in its session
        description alone (sprop-parameter-sets; RFC 6184, 8.1) are known by ``peer`` only.

        Raises MediaError for a track that this recording cannot hold, StateError at its end.
        """
        state = self._recorder.state
        if (state is not State.NEW and not state.is_recording) or self._has_gone_on:
            raise StateError(state, State.RECORDING, "the recording has ended: make a new recorder")
        if track is None:
            raise MediaError("there is no such track: a MediaPlayer has none of a kind that it cannot play")
        if track.kind not in self._kinds:
            raise MediaError(f"a track of kind {track.kind!r} for a recorder that was made without")
        self._listener.add(track, receiver=receiver, peer=peer)
        self._given += 1
        self._note_order(track.kind)

    def _note_order(self, kind: str) -> None:
        """The file lists the streams as aiortc's own recorder does: in the order of addTrack."""
        audio = sum(number >= FIRST_AUDIO for number in self._order)
        number = VIDEO if kind == "video" else FIRST_AUDIO + audio
        if number not in self._order:
            self._order.append(number)
        self._recorder.list_streams(self._order)

    async def start(self) -> None:
        """Begin to record. Does nothing where it has begun.

        Raises StateError where it has ended, and what Recorder.start raises.
        """
        if self._recorder.state.is_recording:
            return
        # A caller that is cancelled, or stops meanwhile, must not leave a recording that nobody ends.
        if self._starting is None or self._starting.done():
            self._starting = asyncio.create_task(self._start(), name="recordkit-start")
        await asyncio.shield(self._starting)

    async def go_on_in(self, following: MediaRecorder) -> None:
        """Let ``following``, a new recorder, take over all tracks; then ``stop`` commits what this one has.

        The next file begins with a keyframe, which the sender is asked for, and whatever is heard from then on:
        each frame that is received is in one of the two files. While nothing comes that it could begin with this
        one goes on. Raises StateError where either cannot do it, MediaError where no keyframe comes within
        ``LONGEST_CHANGE_S``, and what Recorder.start raises; all goes on as before then.
        """
        is_free = self._ending is None and not self._is_changing and not self._has_gone_on
        if not (self.state.is_recording and is_free):
            raise StateError(self.state, State.RECORDING, "only a recording can go on in another")
        if following.state is not State.NEW or following._given:
            raise StateError(following.state, State.NEW, "give a new recorder without tracks of its own")
        self._is_changing = True
        following._order = self._order
        following._recorder.list_streams(self._order)
        try:
            await _started(following._recorder)
            tap = self._tap
            has_video = any(track.kind == "video" for track in tap.listener.tracks)
            change = Change(following._recorder, partial(self._give_tracks_to, following), has_video=has_video)
            try:
                tap.inlet.change(change)
                tap.listener.want_keyframe()
                await change.wait_until_begun(LONGEST_CHANGE_S)
                await change.over()
            finally:
                tap.inlet.complete()
                if not change.begun.is_set():
                    await _stopped(following._recorder, commit=False)
        finally:
            self._is_changing = False

    async def stop(self) -> Recording | None:
        """End the recording and commit the file; gives None where it never began. May be called again.

        Raises the error that the recording failed with, or, once the file is committed, that of
        the tracks where all of them failed.
        """
        if self._starting is not None and not self._starting.done():
            await asyncio.wait([self._starting])
        self._listener.close()
        if self._recorder.state is State.NEW:
            return None
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(), name="recordkit-stop")
        recording = await asyncio.shield(self._ending)
        if self._error is not None and self._failed == self._given:
            raise self._error
        return recording

    async def _start(self) -> None:
        await _started(self._recorder)
        self._listener.begin()

    async def _end(self) -> Recording:
        self._listener.close()
        if not self._has_gone_on:
            self._keep_received()
        return await _stopped(self._recorder)

    def _give_tracks_to(self, following: MediaRecorder) -> None:
        self._keep_received()
        following._received_before = self._listener.counters
        following._given, following._kinds = len(self._listener.tracks), self._kinds
        self._tap, following._tap = following._tap, self._tap
        self._has_gone_on = True
        following._tap.owner = following
        following._listener.tell_sync_again()

    @property
    def _listener(self) -> Listener:
        return self._tap.listener

    @property
    def _received(self) -> Received:
        return self._listener.counters - self._received_before

    def _keep_received(self) -> None:
        received = self._received
        self._recorder.received = lambda: received

    def _outage_began(self) -> None:
        if self._ends_by_gap and self._ending is None:
            log.info("%s: nothing comes any more, and the recording ends", self._recorder.final_output_path.name)
            self._ending = asyncio.create_task(self._end(), name="recordkit-stop")

    def _track_ended(self, track: MediaStreamTrack, error: Exception | None) -> None:
        if error is None:
            log.info("%s: the %s track has ended", self._recorder.final_output_path.name, track.kind)
            return
        self._failed += 1
        self._error = self._error or error
        log.error("%s: the %s track failed: %s", self._recorder.final_output_path.name, track.kind, error)
        self._recorder.degrade(f"{track.kind} track {self._failed}", f"the {track.kind} track failed: {error}")
        self._recorder.note(EventKind.FAILURE, track=track.kind, error=type(error).__name__, message=str(error))


async def _started(recorder: Recorder) -> None:
    loop, name = asyncio.get_running_loop(), recorder.final_output_path.name
    await in_thread(lambda: recorder.start(loop=loop), f"recordkit-start:{name}", name)


async def _stopped(recorder: Recorder, *, commit: bool = True) -> Recording:
    name = recorder.final_output_path.name
    try:
        return await in_thread(lambda: recorder.stop(commit=commit), f"recordkit-stop:{name}", name)
    except AdmissionError:
        log.warning("%s: no thread is left to wait for its end in", name)
    while True:
        # The recording's own threads bring it to its end.
        try:
            return recorder.stop(commit=commit, timeout=0)
        except StateError:
            if recorder.state is not State.STOPPING:
                raise
        await asyncio.sleep(_LOOK_INTERVAL_S)


class _Tap:
    """A listener and where what it hears goes; the recorder that ``owner`` is hears of ends and outages."""

    def __init__(self, owner: MediaRecorder, clock: Clock | None) -> None:
        self.owner = owner
        self.inlet = Inlet(owner.recorder, lambda call: asyncio.get_running_loop().call_soon(call))
        self.listener = Listener(
            self.inlet,
            lambda track, error: self.owner._track_ended(track, error),
            on_outage=lambda: self.owner._outage_began(),
            early=self.inlet.put_early,
            clock=clock,
            takes_together=self.inlet.takes_together,
        )
