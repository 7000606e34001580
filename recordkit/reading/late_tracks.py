"""An MP4 that grows, as if all its streams had been there from the beginning."""

from __future__ import annotations

from ..mp4.boxes import top_level
from ..mp4.reading import read_movie
from .located import StoredFile
from .store import Store


def with_late_tracks(store: Store, size: int) -> StoredFile:
    """The first ``size`` bytes; in the place of the ``moov`` in front stands the one that first has all streams.

    libavformat reads the first one alone, and leaves out the streams that begin later. Looks at each box: not for
    long recordings. Raises SourceError, BoxError.
    """
    found = [
        (at, count) for kind, at, count in top_level(store.read, size) if kind == "moov" and at + count <= size
    ]
    tracks = [len(read_movie(store.read(at, at + count), at).tracks) for at, count in found]
    most = max(tracks, default=0)
    if not found or tracks[0] == most:
        return StoredFile(store, 0, size)
    front, whole = found[0], found[tracks.index(most)]
    head = store.read(0, front[0]) + store.read(whole[0], sum(whole))
    return StoredFile(store, sum(front), size, head=head)
