"""Bytes of a WAV, MP3 or Ogg of ours in, in pieces of any size; how far it is whole, and what finishes it."""

from __future__ import annotations

from collections.abc import Callable

from ..bitstream.audio import OPUS_RATE, opus_samples, parse_mp3
from ..container import Finish
from .ogg import ending, pages, pre_skip
from .wav import HEAD_BYTES, read_head, wav_head

_MOST_HEAD_BYTES = 8
_LAST_PAGE = 4
WAV_BLOCK = 1024


def begins_sound(head: bytes) -> bool:
    """Whether a file that begins with these bytes is one of audio alone."""
    return head[:4] in (b"RIFF", b"RF64", b"OggS") or parse_mp3(head) is not None


class SoundScanner:
    """Reads one file from its beginning. ``end`` is where its last whole unit ends, ``duration_s`` how long it is.

    ``is_over`` says that something follows which is none. ``on_unit`` is given each unit; of a WAV 1,024 samples.
    """

    def __init__(self, on_unit: Callable[[bytes], None] | None = None) -> None:
        self._on_unit = on_unit
        self.end = 0
        self.is_over = False
        self.kind = ""
        self._fed = 0
        self._rest = b""
        self._samples = self._rate = 0
        self._block = 0
        self._granule = self._begin = 0
        self._last = b""
        self._is_finished = False
        self._head = b""

    @property
    def duration_s(self) -> float:
        """Seconds that can be used."""
        if self.kind == "WAV":
            return (self.end - HEAD_BYTES) / self._block / self._rate if self._block else 0.0
        if self.kind == "Ogg":
            return max(self._granule - self._begin, 0) / OPUS_RATE if self._samples else 0.0
        return self._samples / self._rate if self._rate else 0.0

    def feed(self, data: bytes) -> None:
        """Reads the next bytes."""
        self._fed += len(data)
        if self.is_over:
            return
        if self.kind == "WAV" and self._block:
            self.end = HEAD_BYTES + (self._fed - HEAD_BYTES) // self._block * self._block
            if self._on_unit is not None:
                self._rest += data
                whole = len(self._rest) - len(self._rest) % (self._block * WAV_BLOCK)
                for at in range(0, whole, self._block * WAV_BLOCK):
                    self._on_unit(self._rest[at : at + self._block * WAV_BLOCK])
                self._rest = self._rest[whole:]
            return
        self._rest += data
        if not self.kind and len(self._rest) >= _MOST_HEAD_BYTES:
            head = self._rest[:4]
            self.kind = "WAV" if head in (b"RIFF", b"RF64") else "Ogg" if head == b"OggS" else "MP3"
        if self.kind == "WAV":
            self._feed_wav()
        elif self.kind == "Ogg":
            self._feed_ogg()
        elif self.kind:
            self._feed_mp3()

    def _feed_wav(self) -> None:
        if len(self._rest) < HEAD_BYTES:
            return
        found = read_head(self._rest)
        if found is None:
            self.is_over = True
            return
        self._head, rest, self._rest = self._rest[:HEAD_BYTES], self._rest[HEAD_BYTES:], b""
        self._rate, self._block = found.sample_rate, 2 * found.channels
        self._fed -= len(rest)
        self.feed(rest)

    def _feed_mp3(self) -> None:
        at = 0
        while at + 4 <= len(self._rest):
            found = parse_mp3(self._rest, at)
            if found is None:
                self.is_over = True
                break
            if at + found.frame_length > len(self._rest):
                break
            if self._on_unit is not None:
                self._on_unit(self._rest[at : at + found.frame_length])
            at += found.frame_length
            self._samples, self._rate = self._samples + found.samples, found.sample_rate
        self.end += at
        self._rest = self._rest[at:]

    def _feed_ogg(self) -> None:
        at, self._rate = 0, OPUS_RATE
        for page in pages(self._rest):
            at, self._last = page.end, self._rest[page.begin : page.end]
            self._granule = page.granule
            self._is_finished = bool(page.flags & _LAST_PAGE)
            if not page.number:
                self._begin = pre_skip(page.body)
            if page.number > 1:
                if page.body and not self._samples:
                    # What is heard first stands behind what is skipped (RFC 7845, 4.3).
                    self._begin += page.granule - opus_samples(page.body)
                self._samples += opus_samples(page.body)
                if self._on_unit is not None and page.body:
                    self._on_unit(page.body)
        self.end += at
        self._rest = self._rest[at:]
        self.is_over = self._is_finished or len(self._rest) > 1 << 17

    def finish(self) -> Finish:
        """What makes the whole units the final file. Nothing follows: of a WAV the last may have fewer samples."""
        if self.kind == "WAV" and self._block and self._on_unit is not None:
            last = self._rest[: len(self._rest) // self._block * self._block]
            self._rest = b""
            if last:
                self._on_unit(last)
        if self.kind == "Ogg" and not self._is_finished and self._last:
            return Finish((), (ending(self._last, self.end),))
        found = read_head(self._head)
        if found is not None:
            return Finish((), ((0, wav_head(found, self.end - HEAD_BYTES)),))
        return Finish()
