"""What files of which kind end in."""

from ..names import SUFFIXES
from ..writer.whole import SUFFIX as EXPORTING

__all__ = ["EXPORTING", "MEDIA", "MOVIES", "TRANSPORT_STREAMS", "VIDEOS"]

TRANSPORT_STREAMS = (".ts", ".m2ts", ".mts", ".m2t")
MOVIES = (".mp4", ".m4v", ".mov")
MEDIA = tuple(dict.fromkeys((*SUFFIXES, *TRANSPORT_STREAMS, *MOVIES, ".oga", ".flac")))
"""Suffixes of what ``verify`` knows."""
VIDEOS = (*TRANSPORT_STREAMS, *MOVIES, ".mkv", ".webm", ".avi")
"""Suffixes of what ``rk.open`` knows best."""
