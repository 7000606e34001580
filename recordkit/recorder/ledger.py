"""What has happened to one recording's media, and how it stands: asked of the parts that count it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..encode.streams import Streams
from ..intake import Intake, Newest
from ..model import Received
from ..telemetry.sampler import Standing
from ..ticks import TICKS_PER_SECOND
from .files import Files
from .pipeline import Pipeline
from .result import Counters
from .state import StateTable

_LONGEST_UNDER_WAY_S = 60.0


class Ledger:
    """Reads the figures of a recording's parts; each is as its part has it at this moment, and none is kept here.

    ``received`` returns what came over a network, or None: put here by who feeds the recording from one.
    """

    def __init__(
        self,
        intake: Intake[Any],
        streams: Streams,
        files: Files,
        pipeline: Pipeline,
        states: StateTable,
    ) -> None:
        self.received: Callable[[], Received | None] = lambda: None
        self._intake = intake
        self._streams = streams
        self._files = files
        self._pipeline = pipeline
        self._states = states

    @property
    def duration_s(self) -> float:
        """Seconds of media packetised so far, from the first unit's beginning to the last one's end."""
        return self._pipeline.tally.duration_s

    @property
    def media_s(self) -> float:
        """How far the media has come, in seconds: ``duration_s``, and what is on its way into the file."""
        return self._reached(self.duration_s)

    @property
    def newest_s(self) -> float:
        """When the newest frame, or audio, begins that was given, in seconds of media: it is the one that shows."""
        return self._reached(self._pipeline.tally.newest_s)

    def _reached(self, laid_s: float) -> float:
        given_s = laid_s if self.newest is None else self.given_s(self.newest)
        # A damaged time, or one of a clock that counts anew, says nothing.
        return given_s if laid_s < given_s < laid_s + _LONGEST_UNDER_WAY_S else laid_s

    @property
    def newest(self) -> Newest | None:
        """What was given last; None before the first."""
        return self._intake.newest

    @property
    def has_begun(self) -> bool:
        """Whether it is known with what the recording begins: by then the places in it are."""
        return self._pipeline.tally.first_pts is not None

    def given_s(self, newest: Newest) -> float:
        """When what was once given last begins, in seconds of media, as far as its own time can be believed."""
        first_pts = self._pipeline.tally.first_pts
        shift = self._streams.timeline.shift(newest.stream) if first_pts is not None else None
        first = newest.first if shift is None or first_pts is None else first_pts - shift
        return (newest.ticks - first) / TICKS_PER_SECOND

    @property
    def counters(self) -> Counters:
        """What has happened to the media so far."""
        streams, tally = self._streams, self._pipeline.tally
        timeline = streams.timeline
        return Counters(
            taken_items=self._intake.taken,
            dropped_items=self._intake.dropped,
            late_items=timeline.late_items,
            mistimed_items=timeline.mistimed_items,
            rejected_items=streams.rejected_items + self._pipeline.layer.refused_units,
            skipped_units=streams.ways.skipped_units,
            untimed_items=timeline.untimed_items,
            restarts=timeline.restarts,
            video_units=tally.video_units,
            audio_units=tally.audio_units,
            late_units=self._files.late_units,
            gap_count=streams.ways.gap_count,
            gap_s=streams.ways.gap_s,
            abandoned_items=self._pipeline.abandoned_items,
            received=self.received(),
        )

    def limited(self) -> dict[str, int]:
        """The counters that have limits in AlertSettings."""
        counters = self.counters
        received = counters.received
        return {
            "late_items": counters.late_items,
            "mistimed_items": counters.mistimed_items,
            "skipped_units": counters.skipped_units,
            "received_dropped_units": received.dropped_units if received is not None else 0,
        }

    def standing(self) -> Standing:
        """What a sample tells of the recording itself."""
        writer = self._files.in_hand.writer
        return Standing(
            writer.final_output_path if writer.committed else writer.temp_output_path,
            buffer_bytes=writer.bytes_since_last_flush,
            queue_bytes=self._intake.bytes,
            dropped_units=self._intake.dropped,
            silent_s=self._pipeline.tally.silent_s if self._states.state.is_recording else 0.0,
        )
