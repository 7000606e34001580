"""Audio of a recording that is followed: the same as when it is finished, and each piece of the file read once."""

import pytest

import recordkit as rk
from recordkit.errors import SourceError
from recordkit.model import Codec, StreamFormat
from recordkit.mpegts.sync import PACKET_BYTES
from recordkit.reading.lately import Lately
from recordkit.reading.transport import TransportTrack
from recordkit.ticks import TICKS_PER_SECOND

SECONDS, STEPS = 4, 40
LEAD = TICKS_PER_SECOND // 2


class Growing:
    """A file that grows as the test wants, and counts the bytes that are read of it."""

    name = "talk.ts"

    def __init__(self, data):
        self._data, self.size, self.read_bytes = data, 0, 0

    def grow(self, share):
        self.size = int(len(self._data) * share) // PACKET_BYTES * PACKET_BYTES

    def read(self, begin, end):
        data = self._data[begin : min(end, self.size)]
        self.read_bytes += len(data)
        return data


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    path = tmp_path_factory.mktemp("lately") / "talk.ts"
    rk.record(rk.Synthetic(width=64, height=48, realtime=False, seconds=SECONDS), path)
    return path


def test_who_follows_hears_what_the_finished_file_has_and_each_piece_is_read_once(recorded, video):
    whole = list(video._track.coded_audio(0, 100 * TICKS_PER_SECOND))
    store = Growing(recorded.read_bytes())
    store.grow(0.3)
    track = TransportTrack(store, is_growing=True)
    heard = {"often": [], "seldom": []}
    for step in range(12, STEPS + 1):
        store.grow(step / STEPS)
        track.refresh()
        for name, frames in heard.items():
            if name == "often" or step % 4 == 0:
                begin = frames[-1].pts + frames[-1].duration if frames else whole[0].pts
                frames += track.coded_audio(begin, begin + LEAD)
    for frames in heard.values():
        assert frames == whole[: len(frames)]
        assert frames[-1].pts > (SECONDS - 2) * TICKS_PER_SECOND
    # Once for the index, once for the audio, and a little for its beginning.
    assert store.read_bytes < 2.5 * store.size


def test_what_is_no_row_of_whole_packets_is_left_to_others(recorded, video):
    store = Growing(b"\x00" + recorded.read_bytes())
    store.grow(1)
    streams = video._track._scan.streams
    carried = StreamFormat(Codec.AAC, sample_rate=48_000, channels=2)
    lately = Lately(store, streams.audio_pid, Codec.AAC, carried, begin=0, place=0)
    assert not lately.read()


def test_a_recording_that_has_no_frame_yet_is_not_taken_for_all_there_is(tmp_path):
    frames = rk.Synthetic(width=64, height=48, fps=10, seconds=1, audio=False).frames()
    with rk.Recorder(tmp_path / "talk.ts", audio=None, durability="process", sample_interval=0) as recorder:
        with pytest.raises(SourceError, match="no video that can be decoded yet"):
            rk.open(tmp_path / "talk.ts")
        recorder.write(next(frames))
        recorder.flush()
        with rk.open(tmp_path / "talk.ts") as video:
            assert len(video) == 1
            for frame in frames:
                recorder.write(frame)
            recorder.flush()
            video.refresh()
            assert len(video) == 10
