"""Audio alone: WAV, MP3, Ogg and M4A grow by themselves, are finished, and come back after a crash."""

from __future__ import annotations

import wave
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

import recordkit as rk
from recordkit.container import Memory
from recordkit.model import AccessUnit, Codec, StreamFormat
from recordkit.sound.ogg import OggPackager, page_crc
from recordkit.sound.packager import Mp3Packager, SoundPackager
from recordkit.sound.scan import SoundScanner
from recordkit.sound.wav import HEAD_BYTES, WavPackager, read_head, wav_head
from tests.judges import assert_decodes_in_silence, run
from tests.mp4.real import audio

SUFFIXES = {".wav": "pcm_s16le", ".mp3": "mp3", ".ogg": "opus", ".opus": "opus", ".m4a": "aac"}
TONE = (np.sin(np.arange(96_000) * 0.05) * 9_000).astype(np.int16)


def frames(samples: np.ndarray = TONE, rate: int = 48_000) -> list[av.AudioFrame]:
    made = []
    for at in range(0, len(samples), 960):
        frame = av.AudioFrame.from_ndarray(samples[None, at : at + 960], "s16", "mono")
        frame.sample_rate, frame.pts = rate, at
        made.append(frame)
    return made


def recorded(path: Path, *, commit: bool = True, **settings: object) -> rk.Recorder:
    recorder = rk.Recorder(path, sample_interval=0, **settings)
    recorder.start()
    for frame in frames():
        recorder.write(frame)
    recorder.stop(commit=commit)
    return recorder


def decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_suffix_chooses_what_is_recorded(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"talk{suffix}"
    recorder = recorded(path)
    with av.open(str(path)) as container:
        (stream,) = container.streams
        assert stream.codec_context.codec.canonical_name == SUFFIXES[suffix]
        assert stream.rate == 48_000
        if suffix in (".wav", ".m4a"):
            assert stream.duration * stream.time_base == recorder.stop().duration_s == 2
    if suffix != ".mp3":
        assert recorder.stop().duration_s == rk.verify(path).duration_s == 2
    if suffix in (".ogg", ".opus"):
        assert len(decoded(path)) == len(TONE)
    assert len(decoded(path)) == pytest.approx(len(TONE), abs=1152 * 3)
    assert_decodes_in_silence(path, "warning" if SUFFIXES[suffix] in ("opus", "aac") else "error")


def test_a_wav_has_the_samples_as_they_came(tmp_path: Path) -> None:
    recorded(tmp_path / "talk.wav")
    with wave.open(str(tmp_path / "talk.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (48_000, 1, 2)
        found = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert np.array_equal(found, TONE)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_broke_off_is_recovered_whole(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"talk{suffix}"
    recorded(path, commit=False, flush_interval=3600)
    (partial,) = rk.partials(tmp_path)
    assert partial.path == path.with_name(f"talk.recording{suffix}")
    recovery = rk.recover(path)
    assert recovery.final_path == path
    assert recovery.duration_s == (2.04 if suffix == ".mp3" else 2)
    assert len(decoded(path)) == pytest.approx(len(TONE), abs=1152 * 3)
    assert_decodes_in_silence(path, "warning" if SUFFIXES[suffix] in ("opus", "aac") else "error")
    finished = tmp_path / f"again{suffix}"
    recorded(finished)
    if suffix != ".m4a":
        assert path.read_bytes() == finished.read_bytes()


def test_a_file_is_read_while_it_grows(tmp_path: Path) -> None:
    for suffix in (".wav", ".mp3", ".ogg"):
        recorded(tmp_path / f"talk{suffix}", commit=False)
        assert len(decoded(tmp_path / f"talk.recording{suffix}")) == pytest.approx(len(TONE), abs=1152 * 3)


def units(codec: Codec) -> tuple[StreamFormat, list[AccessUnit]]:
    if codec is not Codec.PCM:
        stream = audio(codec)
        return stream.format, stream.moved(0)
    blocks = [TONE[at : at + 1024].tobytes() for at in range(0, 10_240, 1024)]
    made = [AccessUnit(0, 1920 * at, 1920 * at, block, duration=1920) for at, block in enumerate(blocks)]
    return StreamFormat(Codec.PCM, sample_rate=48_000, channels=1), made


def laid(packager: SoundPackager, codec: Codec) -> tuple[bytes, list[int]]:
    stream_format, its = units(codec)
    packager.declare(0, stream_format)
    data, ends = b"", []
    for unit in its:
        memory = Memory(memoryview(bytearray(packager.packets_for(unit))))
        packager.lay(unit, memory)
        data += bytes(memory.bytes[: memory.used])
        ends.append(len(data))
    return data, ends


@pytest.mark.parametrize(
    ("kind", "codec"), [(WavPackager, Codec.PCM), (Mp3Packager, Codec.MP3), (OggPackager, Codec.OPUS)]
)
def test_a_cut_at_any_byte_costs_the_unit_that_it_cuts(kind: type[SoundPackager], codec: Codec) -> None:
    data, ends = laid(kind(), codec)
    step = 2 if codec is Codec.PCM else 1
    last = ends[3]
    for cut in range(ends[2], last + 1):
        scanner = SoundScanner()
        for at in range(0, cut, 700):
            scanner.feed(data[at : min(at + 700, cut)])
        if codec is Codec.PCM:
            assert scanner.end == HEAD_BYTES + (cut - HEAD_BYTES) // step * step
        else:
            assert scanner.end == (last if cut == last else ends[2])


def test_what_is_finished_twice_is_finished_once() -> None:
    for kind, codec in ((WavPackager, Codec.PCM), (OggPackager, Codec.OPUS)):
        packager = kind()
        data, _ = laid(packager, codec)
        finish = packager.finish(len(data))
        whole = bytearray(data + b"".join(finish.append))
        for offset, patch in finish.patches:
            whole[offset : offset + len(patch)] = patch
        scanner = SoundScanner()
        scanner.feed(bytes(whole))
        assert scanner.end == len(whole)
        again = scanner.finish()
        assert list(again.append) == []
        assert all(whole[offset : offset + len(patch)] == patch for offset, patch in again.patches)


def test_a_wav_of_more_than_four_gigabytes_says_its_sizes_in_64_bits() -> None:
    stated = StreamFormat(Codec.PCM, sample_rate=48_000, channels=2)
    head = wav_head(stated, 6_000_000_000)
    assert head[:4] == b"RF64"
    assert head[12:16] == b"ds64"
    assert int.from_bytes(head[20:28], "little") == 6_000_000_000 + len(head) - 8
    assert int.from_bytes(head[28:36], "little") == 6_000_000_000
    assert int.from_bytes(head[36:44], "little") == 1_500_000_000
    assert read_head(head) == read_head(wav_head(stated, 4)) == stated


def test_an_ogg_is_as_long_as_its_audio(tmp_path: Path) -> None:
    recorded(tmp_path / "talk.ogg")
    done = run(
        "ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", tmp_path / "talk.ogg"
    )
    assert float(done.stdout) == pytest.approx(2, abs=0.01)


def test_the_checksum_of_a_page_is_that_of_the_polynomial() -> None:
    """Divided bit by bit, as RFC 3533 (6) says it: 0x04c11db7, from 0 on, nothing turned."""
    value = 0
    for byte in (page := bytes(range(256)) + b"OggS"):
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C1_1DB7 if value >> 31 else 0)) & 0xFFFF_FFFF
    assert page_crc(page) == value
    assert page_crc(b"") == 0


def test_what_has_no_place_is_refused() -> None:
    pcm, mp3 = units(Codec.PCM)[0], units(Codec.MP3)[0]
    packager = WavPackager()
    with pytest.raises(rk.MediaError, match="mp3 has no place in WAV, which holds pcm_s16le"):
        packager.declare(0, mp3)
    packager.declare(0, pcm)
    packager.declare(0, pcm)
    with pytest.raises(rk.MediaError, match="one stream of audio"):
        packager.declare(1, pcm)
    with pytest.raises(rk.MediaError, match="cannot change its rate"):
        packager.declare(0, replace(pcm, sample_rate=8_000))
    unit = units(Codec.PCM)[1][0]
    memory = Memory(memoryview(bytearray(10_000)))
    with pytest.raises(rk.MediaError, match="never declared"):
        packager.lay(replace(unit, stream=3), memory)
    packager.lay(unit, memory)
    with pytest.raises(rk.MediaError, match="does not come after"):
        packager.lay(unit, memory)


@pytest.mark.parametrize(
    ("name", "advice"),
    [("a.webm", ".mp4"), ("a.aac", ".m4a"), ("a.flac", ".wav"), ("a.xyz", ".ts or .mp4, or .m4a, .wav, .mp3")],
)
def test_other_names_are_refused_with_the_nearest_that_works(name: str, advice: str, tmp_path: Path) -> None:
    with pytest.raises(rk.OutputNameError, match=advice):
        rk.Recorder(tmp_path / name)


def test_pcm_is_for_wav_alone(tmp_path: Path) -> None:
    with pytest.raises(rk.SettingsError, match=r"ends in \.wav"):
        rk.Recorder(tmp_path / "a.ts", audio=rk.AudioSettings(codec="pcm"))
    recorder = rk.Recorder(tmp_path / "a.wav")
    with pytest.raises(rk.RecordkitError), recorder:
        recorder.write(av.VideoFrame(64, 48, "yuv420p"))
