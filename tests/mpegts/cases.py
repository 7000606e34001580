"""One table of cases: streams and access units that feed the packetiser's and scanner's tests, and fuzzing.

A case is a list of steps, each a stream declared or an access unit, in the order in which a
recorder would hand them over. Everything is made anew from fixed numbers when it is asked for.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

from recordkit.model import AccessUnit, StreamFormat
from recordkit.ticks import TICKS_PER_SECOND, WRAP

from .units import (
    AAC,
    AUDIO,
    H264,
    H265,
    MP3,
    MP3_LOW,
    OPUS,
    START,
    VIDEO,
    Declare,
    Step,
    audio,
    bare,
    content,
    mixed,
    picture,
    sound,
    video,
)


@dataclass(frozen=True)
class Case:
    """``late`` of its units come too late on purpose; ``golden`` says whether a dump of it is kept."""

    name: str
    make: Callable[[], Iterable[Step]]
    late: int = 0
    golden: bool = False

    @property
    def steps(self) -> list[Step]:
        return _steps(self)

    @property
    def units(self) -> list[AccessUnit]:
        return [step for step in self.steps if isinstance(step, AccessUnit)]

    @property
    def formats(self) -> dict[int, StreamFormat]:
        """The format that each stream has in the end."""
        return {step.stream: step.format for step in self.steps if isinstance(step, Declare)}


@cache
def _steps(case: Case) -> list[Step]:
    return list(case.make())


def one_h264_unit() -> Iterator[Step]:
    yield Declare(VIDEO, H264)
    yield picture(0, START, 100, idr=True)


def packet_edges() -> Iterator[Step]:
    """Units that fill packets to the byte, or leave or lack one or two: with a PCR, without, flagged."""
    yield Declare(VIDEO, H264)
    yield Declare(AUDIO, AAC)
    number = 0
    for packets in (0, 1):
        for delta in (-3, -2, -1, 0, 1, 2):
            number += 1
            dts = START + number * 3600
            # 184 less the PES header (14) and the adaptation field: 8 bytes with a PCR, 0, or 2.
            yield bare(number, dts, 162 + packets * 184 + delta)
            yield bare(number, dts, 170 + packets * 184 + delta, AUDIO)
            yield bare(number, dts + 1800, 168 + packets * 184 + delta, AUDIO, discontinuity=True)


def every_size_with_pcr() -> Iterator[Step]:
    yield Declare(VIDEO, H264)
    for size in range(2, 800):
        yield bare(size, START + size * 3000, size)


def every_size_without_pcr() -> Iterator[Step]:
    yield Declare(VIDEO, H264)
    yield Declare(AUDIO, AAC)
    for size in range(2, 800):
        yield bare(size, START + size * 20, size, AUDIO, discontinuity=size % 7 == 0)


def every_size_with_dts() -> Iterator[Step]:
    yield Declare(VIDEO, H264)
    for size in range(2, 600):
        unit = bare(size, START + size * 3000, size, random_access=size % 50 == 2)
        yield replace(unit, pts=unit.dts + 6000)


def around_table_copies() -> Iterator[Step]:
    """Sizes at which the packetiser goes from one way of copying to another."""
    yield Declare(VIDEO, H264)
    sizes = [162 + 184 * packets + delta for packets in (7, 8, 9, 15, 16, 17, 33) for delta in (-1, 0, 1)]
    for number, size in enumerate(sizes):
        yield bare(number, START + number * 3000, size)


def large_units() -> Iterator[Step]:
    """More than 65,535 bytes, more than 4096 packets, and the last sizes that PES_packet_length holds."""
    yield Declare(VIDEO, H264)
    for number, size in enumerate((65_526, 65_527, 65_528, 100_000, 4097 * 184 + 50, 8193 * 184, 10)):
        yield bare(number, START + number * 3000, size, random_access=number == 0)
    for number, size in enumerate((65_521, 65_522, 65_523, 65_527), 10):
        dts = START + number * 3000
        yield replace(bare(number, dts, size), pts=dts + 3000)


def b_frames() -> Iterator[Step]:
    yield Declare(VIDEO, H264)
    for number in range(12):
        delay = (1, 4, 2, 1)[number % 4] if number else 2
        yield picture(number, START + number * 3600, 150, idr=number == 0, delay=delay * 3600)


def talk(codec: StreamFormat = AAC, pictures: int = 25) -> Iterator[Step]:
    yield Declare(VIDEO, H264)
    yield Declare(AUDIO, codec)
    yield from mixed(video(pictures), audio(pictures * 3600 // 1920))


def mp3_twice() -> Iterator[Step]:
    """MPEG-1 audio (stream_type 3) and its half rates (stream_type 4)."""
    yield Declare(0, MP3)
    yield Declare(1, MP3_LOW)
    full = (AccessUnit(0, time, time, content(0, time, 300)) for time in range(START, START + 21_600, 2160))
    half = (AccessUnit(1, time, time, content(1, time, 90)) for time in range(START, START + 21_600, 2160))
    yield from mixed(full, half)


def opus() -> Iterator[Step]:
    yield Declare(VIDEO, H264)
    yield Declare(AUDIO, OPUS)
    sounds = []
    for number, size in enumerate((3, 80, 160, 254, 255, 256, 510, 700)):
        dts = START + number * 1800
        sounds.append(AccessUnit(AUDIO, dts, dts, content(AUDIO, number, size)))
    yield from mixed(video(4), sounds)


def h265() -> Iterator[Step]:
    yield Declare(VIDEO, H265)
    yield from video(6, group=4)


def audio_only() -> Iterator[Step]:
    yield Declare(AUDIO, AAC)
    yield from audio(60)


def several_audio() -> Iterator[Step]:
    yield Declare(VIDEO, H264)
    for index, language in enumerate(("eng", "deu", "jpn", None), AUDIO):
        yield Declare(index, replace(OPUS if language == "jpn" else AAC, language=language))
    yield from mixed(video(5), *(audio(9, start=START + 500 * stream, stream=stream) for stream in range(1, 5)))


def long_prefixes() -> Iterator[Step]:
    yield Declare(VIDEO, H264)
    for number, size in enumerate((127, 128, 129, 155, 156, 161, 162, 163, 184, 185, 500)):
        prefix = content(9, number, size)
        header, prefix = prefix[:6], prefix[6:]
        yield picture(number, START + number * 3600, 100, idr=number % 3 == 0, header=header, prefix=prefix)


def rates() -> Iterator[Step]:
    """Pictures at rates whose periods are not whole numbers of ticks, one stream each."""
    every = (24, 25, Fraction(30_000, 1001), 30, 60, 120, Fraction(24_000, 1001))
    for stream in range(len(every)):
        yield Declare(stream, H264)
    yield from mixed(*(video(int(rate), rate, stream=stream) for stream, rate in enumerate(every)))


def one_picture_a_second() -> Iterator[Step]:
    yield Declare(VIDEO, H264)
    yield from video(6, 1)


def short_gap() -> Iterator[Step]:
    yield Declare(VIDEO, H264)
    yield Declare(AUDIO, AAC)
    yield from (picture(0, START, idr=True), sound(0, START), picture(1, START + 27_001), sound(1, START + 28_000))


def gap_paced() -> Iterator[Step]:
    yield from talk(pictures=10)
    yield from mixed(video(10, start=START + 5 * TICKS_PER_SECOND, first=10), audio(10, START + 6 * 90_000))


def longest_paced_gap() -> Iterator[Step]:
    yield Declare(VIDEO, H264)
    yield from (picture(0, START, idr=True), picture(1, START + 10 * TICKS_PER_SECOND))


def gap_jumped() -> Iterator[Step]:
    """The pictures come first behind the gap."""
    yield Declare(VIDEO, H264)
    yield Declare(AUDIO, AAC)
    yield from mixed(video(4), audio(6))
    later = START + 60 * TICKS_PER_SECOND
    yield from mixed(video(4, start=later), audio(6, later + 1000))


def gap_jumped_by_audio() -> Iterator[Step]:
    """The audio comes first behind the gap, and the PCR is on the pictures."""
    yield Declare(VIDEO, H264)
    yield Declare(AUDIO, AAC)
    yield from mixed(video(3), audio(4))
    later = START + 60 * TICKS_PER_SECOND
    yield from mixed(video(3, start=later + 1000), audio(5, later))


def one_stream_silent() -> Iterator[Step]:
    """Audio that stops for 12 s while the pictures go on."""
    yield Declare(VIDEO, H264)
    yield Declare(AUDIO, AAC)
    yield from mixed(video(14 * 5, 5), audio(20), audio(20, START + 13 * TICKS_PER_SECOND))


def pictures_silent() -> Iterator[Step]:
    """Pictures, which carry the PCR, that stop for 12 s while the audio goes on."""
    yield Declare(VIDEO, H264)
    yield Declare(AUDIO, AAC)
    yield from mixed(video(5), audio(14 * 47), video(5, start=START + 13 * TICKS_PER_SECOND))


def discontinuity_on_pictures() -> Iterator[Step]:
    yield Declare(VIDEO, H264)
    yield Declare(AUDIO, AAC)
    pictures = [replace(unit, discontinuity=unit.dts == START + 7200) for unit in video(5)]
    yield from mixed(pictures, audio(8))


def discontinuity_on_audio() -> Iterator[Step]:
    yield Declare(VIDEO, H264)
    yield Declare(AUDIO, AAC)
    yield from mixed(video(5), (replace(unit, discontinuity=unit.dts == START + 3840) for unit in audio(8)))


def audio_late(delay: int) -> Iterator[Step]:
    """Audio handed over ``delay`` ticks after the pictures of its time."""
    yield Declare(VIDEO, H264)
    yield Declare(AUDIO, AAC)
    handed_over = [(unit.dts, unit) for unit in video(75)]
    handed_over += [(unit.dts + delay, unit) for unit in audio(90)]
    yield from (unit for _, unit in sorted(handed_over, key=lambda pair: pair[0]))


def wrap(start: int = WRAP - 7200, rate: int = 25, pictures: int = 6) -> Iterator[Step]:
    """Timestamps, and with another start the PCR, that fold back at 33 bits."""
    yield Declare(VIDEO, H264)
    yield Declare(AUDIO, AAC)
    sounds = audio(pictures * TICKS_PER_SECOND // rate // 1920, start)
    yield from mixed(video(pictures, rate, start, delay=3600), sounds)


def many_streams() -> Iterator[Step]:
    """So many that the PMT takes several packets, then one packet more."""
    yield Declare(VIDEO, H264)
    for stream in range(1, 20):
        yield Declare(stream, replace(OPUS, language="abc"))
    yield from mixed(video(5, group=2), *(audio(8, stream=stream) for stream in range(1, 20)))
    for stream in range(20, 32):
        yield Declare(stream, replace(OPUS, language="abc"))
    yield from mixed(video(6, first=5, group=2), *(audio(10, START + 18_000, stream) for stream in range(1, 32)))


def format_change() -> Iterator[Step]:
    yield Declare(VIDEO, H264)
    yield from video(3)
    yield Declare(VIDEO, replace(H264, width=640, height=480))
    yield from video(3, first=3, group=3)


def many_format_changes() -> Iterator[Step]:
    """More of them than version_number counts."""
    yield Declare(VIDEO, H264)
    for number in range(70):
        yield Declare(VIDEO, replace(H264, width=320 + 16 * number))
        yield picture(number, START + number * 3600, idr=True)


def declared_late() -> Iterator[Step]:
    yield Declare(AUDIO, AAC)
    yield from audio(4)
    yield Declare(VIDEO, H264)
    yield from mixed(video(3, start=START + 8000), audio(4, START + 7680))


def no_gaps() -> Iterator[Step]:
    """Units one tick apart, and streams at the very same time."""
    yield Declare(VIDEO, H264)
    yield Declare(AUDIO, AAC)
    for number in range(60):
        yield picture(number, START + number, idr=number == 0)
        yield sound(number, START + number)


def time_zero() -> Iterator[Step]:
    """Times below the lead, so that the PCR starts below zero."""
    yield Declare(VIDEO, H264)
    yield Declare(AUDIO, AAC)
    yield from mixed(video(30, start=0), audio(50, start=-4000))


def bursts() -> Iterator[Step]:
    """A second of pictures, then the audio of that second, 0.8 s behind at the most."""
    yield Declare(VIDEO, H264)
    yield Declare(AUDIO, AAC)
    pictures, sounds = list(video(100)), list(audio(187))
    for begin in range(0, 100, 20):
        until = START + (begin + 20) * 3600
        yield from pictures[begin : begin + 20]
        yield from (unit for unit in sounds if until - 72_000 <= unit.dts < until)


CASES = [
    Case("one_h264_unit", one_h264_unit, golden=True),
    Case("packet_edges", packet_edges, golden=True),
    Case("every_size_with_pcr", every_size_with_pcr),
    Case("every_size_without_pcr", every_size_without_pcr),
    Case("every_size_with_dts", every_size_with_dts),
    Case("around_table_copies", around_table_copies),
    Case("large_units", large_units),
    Case("b_frames", b_frames, golden=True),
    Case("talk", talk),
    Case("mp3_twice", mp3_twice, golden=True),
    Case("opus", opus, golden=True),
    Case("h265", h265, golden=True),
    Case("audio_only", audio_only),
    Case("several_audio", several_audio, golden=True),
    Case("long_prefixes", long_prefixes, golden=True),
    Case("rates", rates),
    Case("one_picture_a_second", one_picture_a_second),
    Case("short_gap", short_gap, golden=True),
    Case("gap_paced", gap_paced),
    Case("longest_paced_gap", longest_paced_gap),
    Case("gap_jumped", gap_jumped, golden=True),
    Case("gap_jumped_by_audio", gap_jumped_by_audio, golden=True),
    Case("one_stream_silent", one_stream_silent),
    Case("pictures_silent", pictures_silent),
    Case("discontinuity_on_pictures", discontinuity_on_pictures, golden=True),
    Case("discontinuity_on_audio", discontinuity_on_audio),
    Case("audio_late_0.8_s", lambda: audio_late(72_000)),
    Case("audio_late_2_s", lambda: audio_late(180_000), late=90),
    Case("wrap_of_timestamps", wrap, golden=True),
    Case("wrap_of_pcr", lambda: wrap(WRAP + 81_000 - 9000, 10, 12)),
    Case("wrap_of_both", lambda: wrap(WRAP - 40_000, 5, 12)),
    Case("second_wrap", lambda: wrap(2 * WRAP - 7200)),
    Case("many_streams", many_streams),
    Case("format_change", format_change, golden=True),
    Case("many_format_changes", many_format_changes),
    Case("declared_late", declared_late, golden=True),
    Case("no_gaps", no_gaps),
    Case("time_zero", time_zero),
    Case("bursts", bursts),
]
