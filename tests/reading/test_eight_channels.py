"""Audio of eight channels, whose planes PyAV does not hand out: read, and encoded anew, it is all there."""

import av
import numpy as np
import pytest

import recordkit as rk

RATE, CHANNELS = 48_000, 8


def surround(path, codec, sample_format, layout):
    """A second with a level of its own in each channel, which are decoded to planes."""
    with av.open(path, "w") as container:
        pictures, sound = container.add_stream("libx264", 10), container.add_stream(codec, RATE)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound.layout, sound.format = layout, sample_format
        for number in range(10):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts = number
            container.mux(pictures.encode(frame))
        samples = np.repeat(np.arange(1, CHANNELS + 1, dtype=np.int16)[None] * 1000, 1024, 0).reshape(1, -1)
        for at in range(0, RATE, 1024):
            frame = av.AudioFrame.from_ndarray(samples, "s16", layout)
            frame.sample_rate, frame.pts = RATE, at
            container.mux(sound.encode(av.AudioResampler(sample_format, layout, RATE).resample(frame)[0]))
        container.mux(pictures.encode(None))
        container.mux(sound.encode(None))
    return path


def test_each_channel_has_its_own_samples(tmp_path):
    with rk.open(surround(tmp_path / "film.mp4", "alac", "s16p", "7.1(wide)")) as video:
        heard, rate = video.audio(0.2, 0.8)
    assert (heard.shape, rate) == ((round(0.6 * RATE), CHANNELS), RATE)
    levels = np.unique(np.round(heard * 32_768), axis=0)
    assert levels.tolist() == [[1000 * channel for channel in range(1, CHANNELS + 1)]]


def test_a_clip_of_it_is_encoded_anew(tmp_path):
    film = surround(tmp_path / "film.mp4", "aac", "fltp", "7.1")
    if int(av.__version__.split(".")[0]) >= 19:
        # FFmpeg 9 writes channel configuration 12 (ISO/IEC 14496-3, table 1.19), for which ADTS has no bits.
        with pytest.raises(rk.MediaError, match="recordkit record FILE OUTPUT encodes it anew"):
            rk.export(film, tmp_path / "clip.wav", start=0.2, end=0.5)
        made, samples, more = rk.record(rk.MediaFile(film), tmp_path / "clip.wav"), RATE, 1024
    else:
        made, samples, more = rk.export(film, tmp_path / "clip.wav", start=0.2, end=0.5), round(0.3 * RATE), 0
    with av.open(made.path) as container:
        frames = list(container.decode(audio=0))
    assert sum(frame.samples for frame in frames) == pytest.approx(samples, abs=more)
    assert min(np.abs(frame.to_ndarray()).max() for frame in frames[1:-1]) > 1000
