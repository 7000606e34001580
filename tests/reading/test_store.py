"""Bytes of a file and its tail, while somebody writes them."""

import numpy as np
import pytest

from recordkit.errors import SourceError
from recordkit.reading.store import FileStore
from recordkit.settings import RecordingSettings
from recordkit.writer.writer import Writer
from tests.steering import GUARD_S, packetiser, unit


@pytest.fixture
def writer(tmp_path):
    writer = Writer(RecordingSettings(path=tmp_path / "talk.ts", flush_interval=3600), packetiser())
    writer.start()
    yield writer
    writer.close(commit=False)
    writer.join(GUARD_S)


def store_of(writer):
    partial = writer.temp_output_path
    return FileStore(partial, partial.with_suffix(".tail"))


def test_what_was_laid_is_read_before_it_is_flushed(writer):
    for number in range(10):
        writer.lay(unit(number))
    store = store_of(writer)
    assert store.is_growing
    assert store.size == writer.laid_bytes > writer.file_bytes == 0
    before = store.read(0, store.size)
    assert len(before) == store.size
    writer.flush()
    for number in range(10, 20):
        writer.lay(unit(number))
    assert store.read(0, len(before)) == before
    both = store.read(len(before) - 188, store.size)
    assert both[:188] == before[-188:]
    assert len(both) == store.size - len(before) + 188
    store.close()


def test_reading_goes_on_when_the_recording_is_committed(writer):
    for number in range(10):
        writer.lay(unit(number))
    store = store_of(writer)
    size = store.size
    before = store.read(0, size)
    writer.close(commit=True)
    writer.join(GUARD_S)
    assert not store.is_growing
    assert store.read(0, size) == before == writer.final_output_path.read_bytes()
    store.close()
    store.close()


def test_a_slot_that_is_filled_anew_while_it_is_read_is_read_from_the_file(writer, monkeypatch):
    for number in range(10):
        writer.lay(unit(number))
    store = store_of(writer)
    expected = store.read(0, store.size)
    real, seen = FileStore._pread, []

    def overtaken(self, descriptor, begin, end):
        if descriptor == self._tail and not seen:
            seen.append(begin)
            for number in range(10, 30):
                writer.lay(unit(number))
                writer.flush()
        return real(self, descriptor, begin, end)

    monkeypatch.setattr(FileStore, "_pread", overtaken)
    assert store.read(0, len(expected)) == expected
    assert seen
    store.close()


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SourceError, match="cannot be opened"):
        FileStore(tmp_path / "none.ts")


def test_without_a_tail_it_is_a_file(tmp_path):
    path = tmp_path / "a.ts"
    path.write_bytes(np.arange(100, dtype=np.uint8).tobytes())
    store = FileStore(path, tmp_path / "a.tail")
    assert not store.is_growing
    assert (store.size, store.read(98, 200)) == (100, b"bc")
    store.close()
