"""The endpoint as a source: whoever publishes is recorded into one file, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..sources.source import OpenSource
from .settings import WhipSettings


class Whip(WhipSettings):
    """A WHIP endpoint (RFC 9725), to which OBS Studio, FFmpeg, browsers and others publish by WebRTC.

    It is a source: ``rk.record(rk.Whip(port=8080), "talk.ts")`` waits for a publisher and records it;
    where it goes away and comes back, or another comes, the recording goes on. There is one at a
    time: a second one is refused (409), unless nothing has come of the first for three seconds. And it
    says how ``rk.serve`` listens, which records each publisher into a file of its own.

    The settings are those of WhipSettings; ``name_template``, ``min_free_bytes`` and ``max_bytes``
    matter to ``rk.serve`` alone.
    """

    @contextmanager
    def open(self) -> Iterator[OpenSource]:
        """Listen, and give what is published. Raises SettingsError where it cannot listen."""
        from .single import publishers_in_turn

        with publishers_in_turn(self) as given:
            yield given
