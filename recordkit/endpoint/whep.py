"""A stream of a WHEP server as a source: the other way round of the endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..sources.source import OpenSource
from .whep_settings import WhepSettings


class Whep(WhepSettings):
    """Records a stream that a server gives by WebRTC (WHEP, draft-ietf-wish-whep): MediaMTX, LiveKit and others.

    The settings are those of WhepSettings. H.264 and Opus are stored as they come. A server that answers with an
    offer of its own (406, as in drafts of WHEP and in front of Janus) gets its answer.

    With ``reconnect=rk.Reconnect()`` a server that goes away is asked again, and what comes goes on in the same
    recording; at once if it does not know the session any more, which it is asked after each half second of
    silence, or if there is no sign of it (media, reports, checks of consent) for ``silence_s`` seconds. It must be
    there at the start; one that is given up raises SourceError once all that came is committed. Without it a
    server that closes the connection ends the recording, and one without a sign for 30 s fails.

    Raises SettingsError, which never shows the token; opening it raises SourceError.
    """

    @contextmanager
    def open(self) -> Iterator[OpenSource]:
        """Connect, and give what comes. Raises SourceError if the server refuses, or cannot be reached."""
        from .dialling import dialled

        with dialled(self) as given:
            yield given
