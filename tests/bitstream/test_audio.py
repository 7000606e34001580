"""ADTS, MPEG audio and Opus headers, against encoders that really run and by hand."""

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordkit.bitstream.audio import (
    AdtsReader,
    AudioSpecificConfig,
    adts_header,
    opus_control_header,
    opus_samples,
    parse_adts,
    parse_audio_specific_config,
    parse_mp3,
    parse_opus_control_header,
)
from recordkit.errors import MediaError


def encoded(name: str, rate: int, layout: str, sample_format: str, **options: str):
    context = av.CodecContext.create(name, "w")
    context.sample_rate, context.layout, context.format = rate, layout, sample_format
    context.time_base = Fraction(1, rate)
    context.options = options
    context.open()
    channels = context.layout.nb_channels
    units = []
    for index in range(5):
        samples = np.random.default_rng(index).normal(0, 0.1, (channels, context.frame_size)).astype(np.float32)
        if sample_format == "s16":
            samples = (samples * 32767).astype(np.int16).T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format=sample_format, layout=layout)
        frame.sample_rate, frame.pts = rate, index * context.frame_size
        units += [bytes(packet) for packet in context.encode(frame)]
    units += [bytes(packet) for packet in context.encode(None)]
    return context.extradata, units


@pytest.mark.parametrize(
    ("extradata", "wanted"),
    [
        ("1190", (2, 48_000, 2)),
        ("1210", (2, 44_100, 2)),
        ("2B118800", (2, 24_000, 2)),  # SBR: core of 24 kHz inside 48 kHz
        ("EB098800", (2, 24_000, 1)),  # PS: mono core
        ("1788", None),  # a rate of its own, cut
        ("1780 5DC0 10", (2, 48_000, 2)),  # 48 kHz in 24 bits
        ("1780 5DC8 10", None),  # 48,016 Hz in 24 bits
        ("1180", None),  # channels stated inside
        ("11B8", (2, 48_000, 8)),
        ("", None),
        ("11", None),
        ("FFFF", None),
    ],
)
def test_audio_specific_config(extradata, wanted):
    found = parse_audio_specific_config(bytes.fromhex(extradata))
    assert (found and (found.object_type, found.sample_rate, found.channels)) == wanted


@pytest.mark.parametrize(
    ("rate", "layout"), [(48_000, "stereo"), (44_100, "mono"), (16_000, "mono"), (96_000, "5.1")]
)
def test_adts_of_real_aac_decodes(rate, layout):
    extradata, units = encoded("aac", rate, layout, "fltp")
    config = parse_audio_specific_config(extradata)
    assert config is not None
    decoder = av.CodecContext.create("aac", "r")
    frames = []
    for unit in units:
        frame = adts_header(config, len(unit)) + unit
        header = parse_adts(frame)
        assert header is not None
        assert (header.frame_length, header.header_length, header.samples) == (len(frame), 7, 1024)
        assert (header.sample_rate, header.channels) == (rate, av.AudioLayout(layout).nb_channels)
        frames += decoder.decode(av.Packet(frame))
    assert {frame.sample_rate for frame in frames} == {rate}


@given(st.integers(1, 4), st.integers(0, 12), st.integers(1, 7), st.integers(1, 8184))
def test_adts_round_trip(object_type, rate_index, channels, length):
    config = AudioSpecificConfig(object_type, rate_index, channels)
    header = parse_adts(b"x" + adts_header(config, length), 1)
    assert header is not None
    assert (header.frame_length, header.sample_rate) == (length + 7, config.sample_rate)
    assert header.channels == config.channels


def test_adts_refuses_what_it_cannot_say():
    with pytest.raises(MediaError):
        adts_header(AudioSpecificConfig(2, 3, 2), 8185)
    good = adts_header(AudioSpecificConfig(2, 3, 2), 100)
    assert parse_adts(good[:6]) is None
    assert parse_adts(b"\xff\xe1" + good[2:]) is None
    assert parse_adts(good, -1) is None
    with_crc = b"\xff\xf0" + good[2:]
    assert parse_adts(with_crc).header_length == 9
    four_blocks = good[:6] + bytes([good[6] | 3])
    assert parse_adts(four_blocks).samples == 4096


@given(st.integers(0, 70_000))
def test_opus_control_header_round_trip(length):
    header = opus_control_header(length)
    assert parse_opus_control_header(b"ab" + header + b"payload", 2) == (2 + len(header), length)
    for cut in range(len(header)):
        assert parse_opus_control_header(header[:cut]) is None


def test_opus_control_header_by_hand():
    assert opus_control_header(254) == b"\x7f\xe0\xfe"
    assert opus_control_header(255) == b"\x7f\xe0\xff\x00"
    assert parse_opus_control_header(bytes.fromhex("7FF8 0A 0010 0020")) == (7, 10)  # both trims
    assert parse_opus_control_header(bytes.fromhex("7FE4 0A 02 AAAA")) == (6, 10)  # an extension
    assert parse_opus_control_header(bytes.fromhex("7FE4 0A")) is None
    assert parse_opus_control_header(bytes.fromhex("7FE4 0A 02 AA")) is None
    assert parse_opus_control_header(bytes.fromhex("7FC0 0A")) is None
    assert parse_opus_control_header(b"", -1) is None


@pytest.mark.parametrize(
    ("milliseconds", "application"),
    [(length, mode) for length in ("2.5", "5", "10", "20") for mode in ("voip", "audio", "lowdelay")]
    + [(length, mode) for length in ("40", "60") for mode in ("voip", "audio")],
)
def test_opus_samples_of_real_packets(milliseconds, application):
    _, units = encoded("libopus", 48_000, "mono", "s16", frame_duration=milliseconds, application=application)
    assert {opus_samples(unit) for unit in units} == {int(float(milliseconds) * 48)}


@pytest.mark.parametrize(
    ("packet", "samples"),
    [
        ("", 0),
        ("00", 480),
        ("18", 2880),
        ("60", 480),
        ("68", 960),
        ("80", 120),
        ("FC", 960),
        ("FD", 1920),
        ("FE", 1920),
        ("FF", 0),
        ("FF03", 2880),
        ("FF83", 2880),
        ("FF3F", 0),
        ("FF06", 5760),
    ],
)
def test_opus_samples_by_hand(packet, samples):
    assert opus_samples(bytes.fromhex(packet)) == samples


@pytest.mark.parametrize(
    ("rate", "layout", "samples"),
    [(44100, "stereo", 1152), (48000, "mono", 1152), (22050, "mono", 576), (8000, "mono", 576)],
)
def test_mp3_of_real_frames(rate, layout, samples):
    _, units = encoded("libmp3lame", rate, layout, "fltp")
    assert units
    for unit in units:
        header = parse_mp3(unit)
        assert header is not None
        assert header.frame_length == len(unit)
        assert (header.sample_rate, header.samples, header.layer) == (rate, samples, 3)
        assert header.channels == av.AudioLayout(layout).nb_channels


def test_mp2_of_real_frames():
    _, units = encoded("mp2", 48_000, "stereo", "s16")
    headers = [parse_mp3(unit) for unit in units]
    assert {(header.frame_length, header.layer, header.samples) for header in headers} == {(len(units[0]), 2, 1152)}


@pytest.mark.parametrize(
    "data", ["", "FFFB", "FFFB0064", "FFFBF064", "FFFB9C64", "FFEB9064", "FFF99064", "00FB9064"]
)
def test_mp3_refuses(data):
    assert parse_mp3(bytes.fromhex(data)) is None


def test_mp3_layer_one():
    header = parse_mp3(bytes.fromhex("FFFF4000"))  # 128 kbit/s at 44.1 kHz
    assert header is not None
    assert (header.layer, header.samples, header.frame_length) == (1, 384, 136)


@given(st.binary(max_size=30), st.integers(-2, 31))
def test_nothing_raises(data, at):
    for parse in (parse_adts, parse_mp3, parse_opus_control_header):
        parse(data, at)
    opus_samples(data)
    parse_audio_specific_config(data)


def test_opus_trims_stand_in_the_control_header():
    assert opus_control_header(10, 312) == bytes.fromhex("7FF0 0A 0138")
    assert opus_control_header(10, 0, 648) == bytes.fromhex("7FE8 0A 0288")
    assert opus_control_header(10, 312, 648) == bytes.fromhex("7FF8 0A 0138 0288")
    with pytest.raises(MediaError, match="8,191"):
        opus_control_header(10, 8_192)


def test_headers_that_follow_each_other_are_read_as_one_by_one():
    config = AudioSpecificConfig(2, 3, 2)
    others = [AudioSpecificConfig(2, 4, 2), AudioSpecificConfig(1, 3, 1)]
    headers = [adts_header(one, size) for one in (config, *others, config) for size in (1, 300, 8184)]
    broken = [b"\0" * 7, headers[0][:5], b"", b"\xff\xf1\x4c\x80\x00\x1f\xfc", b"\xff\xf1\xfc\x80\x22\xbf\xfc"]
    reader = AdtsReader()
    for data in (*headers, *broken, *headers[::-1], *broken[::-1]):
        expected, (found, length) = parse_adts(b"?" + data, 1), reader.read(b"?" + data, 1)
        assert (found is None) == (expected is None)
        if expected is not None and found is not None:
            assert replace(found, frame_length=length) == expected
