"""Whole pictures and sounds out of packets; after a loss nothing that refers to what is lost."""

from dataclasses import replace

import pytest

from recordkit.bitstream.h264 import nal_units
from recordkit.sources.webrtc import assembly as assembly_module
from recordkit.sources.webrtc.assembly import MARKED_PATIENCE_S, MediaPacket, PictureAssembly, SoundAssembly
from tests.sources.webrtc.packets import film, packets, talk


def run(assembly, stream, lost=(), *, ends=True):
    """Feed packets but those whose places are ``lost``; returns the units, with the last one when it ``ends``."""
    units, missing = [], 0
    for place, packet in enumerate(stream):
        if place in lost:
            missing += 1
            continue
        units += assembly.add(packet, missing)
        missing = 0
    return units + (assembly.flush() if ends else [])


def numbers(units, made):
    whole = [unit.data for unit in made]
    return [whole.index(unit.data) for unit in units]


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_packets_become_the_pictures_they_were(codec):
    made = film(10, keys=(0, 5), codec=codec)
    units = run(PictureAssembly(), packets(made))
    assert [unit.data for unit in units] == [unit.data for unit in made]
    assert [number for number, unit in enumerate(units) if unit.is_entry] == [0, 5]
    assert not any(unit.discontinuity for unit in units)


def test_without_markers_the_next_timestamp_ends_a_picture():
    made = film(4)
    stream = [replace(packet, marker=False) for packet in packets(made)]
    assembly = PictureAssembly()
    assert numbers(run(assembly, stream, ends=False), made) == [0, 1, 2]
    assert numbers(assembly.flush(), made) == [3], "a source without markers: what is there is all of it"


@pytest.mark.parametrize("codec", ["h264", "vp8"])
@pytest.mark.parametrize("piece", [0, 1, 2])
def test_after_a_loss_nothing_comes_before_the_next_entry(codec, piece):
    made = film(12, keys=(0, 8), codec=codec)
    stream = list(packets(made))
    by_picture = [place for place, packet in enumerate(stream) if packet.timestamp == stream[9].timestamp]
    assembly = PictureAssembly()
    units = run(assembly, stream, lost={by_picture[piece]})
    first_lost = numbers(units, made)
    assert first_lost == [0, 1, 2, 8, 9, 10, 11]
    assert [number for number, unit in zip(first_lost, units, strict=True) if unit.discontinuity] == [8]
    assert assembly.dropped == 5


def test_the_beginning_waits_for_an_idr_with_its_parameter_sets():
    made = film(6, keys=(3,))
    bare = replace(made[1], data=bytes.fromhex("000000016588") + bytes([0x77]) * 900, is_entry=True)
    assembly = PictureAssembly()
    units = run(assembly, packets([made[0], bare, *made[2:]]))
    assert [unit.data for unit in units] == [unit.data for unit in made[3:]]
    assert not units[0].discontinuity
    assert (assembly.dropped, assembly.needs_entry) == (3, False)


def test_an_entry_that_lost_its_headers_is_no_entry():
    made = film(6, keys=(0, 2, 4))
    stream = list(packets(made))
    key = next(place for place, packet in enumerate(stream) if packet.timestamp == stream[6].timestamp)
    assert numbers(run(PictureAssembly(), stream, lost={key}), made) == [0, 1, 4, 5]


def test_padding_adds_nothing_and_another_source_breaks_nothing_but_the_picture_at_hand():
    made = film(3)
    stream = list(packets(made))
    padded = [one for packet in stream for one in (packet, replace(packet, data=b"", marker=False))]
    assert numbers(run(PictureAssembly(), padded), made) == [0, 1, 2]
    assembly = PictureAssembly()
    run(assembly, stream[:4])
    assembly.interrupt()
    after = run(assembly, packets(film(2), ssrc=2))
    assert [unit.discontinuity for unit in after] == [True, False]


@pytest.mark.parametrize(("before", "after"), [("h264", "vp8"), ("vp8", "h264")])
def test_another_coding_begins_with_a_picture_that_a_decoder_can_start_from(before, after):
    """The payload type may change in mid-stream, to any that was agreed on."""
    assembly = PictureAssembly()
    units = run(assembly, packets(film(3, codec=before)))
    stream = list(packets([replace(unit, ticks=unit.ticks + 9000) for unit in film(6, keys=(4,), codec=after)]))
    units += run(assembly, stream[:6])
    assert (len(units), assembly.needs_entry) == (3, True)
    units += run(assembly, stream[6:])
    assert [(unit.first.codec, unit.is_entry) for unit in units] == [
        *[(before, number == 0) for number in range(3)],
        (after, True),
        (after, False),
    ]
    assert units[3].discontinuity


def test_a_picture_of_tiny_pieces_that_never_ends_is_given_up_by_what_it_takes(monkeypatch):
    monkeypatch.setattr(assembly_module, "_LARGEST_UNIT", 65_000)
    assembly = PictureAssembly()
    piece = replace(next(packets(film(1))), data=b"x", marker=False)
    for _ in range(100_000):
        assert assembly.add(piece, 0) == []
        assert len(assembly._pieces) <= 1000
    assert assembly.dropped == 1


def test_each_packet_of_sound_is_a_unit_of_its_length():
    units = run(SoundAssembly(), packets(talk(5)), lost={2})
    assert [unit.duration for unit in units] == [1800] * 4
    assert [unit.discontinuity for unit in units] == [False, False, True, False]


START = bytes.fromhex("00000001")
SPS, PPS = bytes.fromhex("6742c01ed9008c3e5ff016a02020"), bytes.fromhex("68ce3c80")
DELIMITER, SEI, RECOVERY = bytes.fromhex("09f0"), bytes.fromhex("060501aa80"), bytes.fromhex("0606018080")
IDR, IDR_2, SLICE, SLICE_2 = (bytes.fromhex(head) + b"\x77" * 40 for head in ("6588", "6541", "419a", "4141"))


def stream_of(*pictures, marks="ends", step=3000, sequence=100):
    """Packets of one NAL unit each, of pictures given as lists of NAL units."""
    for number, nals in enumerate(pictures):
        for place, nal in enumerate(nals):
            marker = {"ends": place == len(nals) - 1, "all": True, "none": False}[marks]
            time_s = 100 + number / 30
            yield MediaPacket("h264", 90_000, 1, sequence, 5000 + number * step, marker, START + nal, time_s)
            sequence += 1


def annexb(*nals):
    return b"".join(START + nal for nal in nals)


@pytest.mark.parametrize("marks", ["ends", "all", "none"])
def test_packets_of_one_timestamp_are_one_picture_wherever_the_markers_stand(marks):
    pictures = [[SPS, PPS, IDR, IDR_2], *[[SLICE, SLICE_2]] * 4, [SPS, PPS, IDR, IDR_2], [SLICE, SLICE_2]]
    assembly = PictureAssembly()
    units = run(assembly, stream_of(*pictures, marks=marks))
    assert [unit.data for unit in units] == [annexb(*nals) for nals in pictures]
    assert (assembly.dropped, assembly.needs_entry) == (0, False)


def test_a_marked_picture_waits_a_while_and_no_longer():
    assembly = PictureAssembly()
    assert run(assembly, stream_of([SPS, PPS, IDR]), ends=False) == []
    assert assembly.poll(100 + MARKED_PATIENCE_S - 0.01) == []
    assert [unit.data for unit in assembly.poll(100 + MARKED_PATIENCE_S)] == [annexb(SPS, PPS, IDR)]
    # What comes of it still shows that it was not whole: nothing may refer to it.
    (late,) = stream_of([IDR_2], sequence=103)
    assert assembly.add(late, 0) == []
    assert (assembly.needs_entry, assembly.dropped) == (True, 1)


def test_a_frame_that_was_read_in_two_parts_far_from_each_other_is_one():
    """The event loop was held up in its middle: not its RTP clock stands, it is marked but once."""
    sent = list(stream_of([SPS, PPS, IDR, IDR_2], [SLICE, SLICE_2], [SLICE]))
    held_up = [replace(one, arrival_s=one.arrival_s + 1.5 * (at >= 5)) for at, one in enumerate(sent)]
    assembly = PictureAssembly()
    units = run(assembly, held_up)
    assert [unit.data for unit in units] == [annexb(SPS, PPS, IDR, IDR_2), annexb(SLICE, SLICE_2), annexb(SLICE)]
    assert assembly.dropped == 0


def test_parameter_sets_that_came_once_count_from_then_on():
    pictures = [[SPS, PPS, IDR], [SLICE], [SLICE], [SLICE], [IDR], [SLICE]]
    assembly = PictureAssembly()
    units = run(assembly, stream_of(*pictures), lost={4})
    expected = [(SPS, PPS, IDR), (SLICE,), (SPS, PPS, IDR), (SLICE,)]
    assert [unit.data for unit in units] == [annexb(*nals) for nals in expected]
    assert [unit.discontinuity for unit in units] == [False, False, True, False]
    assert assembly.dropped == 1, "a picture of which not one packet came is known to the packets alone"


def test_parameter_sets_of_a_session_description_count_and_come_by_a_packet_of_their_own():
    told = PictureAssembly()
    told.learn(annexb(SPS, PPS))
    units = run(told, stream_of([DELIMITER, IDR], [SLICE]))
    assert [unit.data for unit in units] == [annexb(DELIMITER, SPS, PPS, IDR), annexb(SLICE)]
    apart = PictureAssembly()
    units = run(apart, stream_of([SPS], [PPS], [IDR], [SLICE]))
    assert [unit.data for unit in units] == [annexb(SPS, PPS, IDR), annexb(SLICE)]
    assert apart.dropped == 0


def test_without_parameter_sets_nothing_comes_and_it_is_known_why():
    assembly = PictureAssembly()
    assert run(assembly, stream_of([IDR], [SLICE], [IDR])) == []
    assert (assembly.lacks_sets, assembly.dropped) == (True, 3)
    assert len(run(assembly, stream_of([SPS, PPS, IDR], sequence=103))) == 1
    assert not assembly.lacks_sets


def test_behind_a_loss_sets_of_before_do_not_count_for_a_source_that_repeats_them():
    """What is missing may be new ones."""
    pictures = [[SPS, PPS, IDR], [SLICE], [SPS, PPS, IDR], [SPS, PPS, IDR]]
    units = run(PictureAssembly(), stream_of(*pictures), lost={4})
    assert [unit.data for unit in units] == [annexb(SPS, PPS, IDR), annexb(SLICE), annexb(SPS, PPS, IDR)]
    assert [unit.first.sequence for unit in units] == [100, 103, 107]


def test_a_picture_that_lost_no_more_than_what_stands_before_its_slices_is_not_counted_as_dropped():
    pictures = [[SPS, PPS, IDR], [SLICE], [DELIMITER, SEI, SPS, PPS, IDR], [SLICE]]
    assembly = PictureAssembly()
    units = run(assembly, stream_of(*pictures), lost={5})
    assert [unit.first.sequence for unit in units] == [100, 103, 106, 109]
    assert assembly.dropped == 0
    # One of which a slice is lost is dropped, and counted once.
    other, pictures = PictureAssembly(), [[SPS, PPS, IDR], [SPS, PPS, IDR, SLICE, IDR_2], [SPS, PPS, IDR]]
    assert len(run(other, stream_of(*pictures), lost={6})) == 2
    assert other.dropped == 1


def test_a_sequence_parameter_set_stands_before_what_refers_to_it():
    """Of two repetitions between slices the first lost its beginning."""
    pictures = [[SPS, PPS, IDR], [SPS, PPS, IDR, SPS, PPS, IDR_2]]
    units = run(PictureAssembly(), stream_of(*pictures), lost={3})
    assert [unit.data for unit in units] == [annexb(SPS, PPS, IDR), annexb(SPS, PPS, IDR, IDR_2)]
    apart = run(PictureAssembly(), stream_of([DELIMITER, PPS, SEI, SPS, IDR]))
    assert [unit.data for unit in apart] == [annexb(DELIMITER, SPS, PPS, SEI, IDR)]


def test_a_recovery_point_is_where_a_decoder_can_start():
    refresh = [SPS, PPS, RECOVERY, SLICE]
    pictures = [[SLICE], refresh, [SLICE], [SLICE], [SLICE], [RECOVERY, SLICE], [SLICE]]
    assembly = PictureAssembly()
    units = run(assembly, stream_of(*pictures), lost={6})
    expected = [refresh, [SLICE], [SPS, PPS, RECOVERY, SLICE], [SLICE]]
    assert [unit.data for unit in units] == [annexb(*nals) for nals in expected]
    assert [unit.is_entry for unit in units] == [True, False, True, False]


def test_pictures_shown_before_a_recovery_point_that_is_begun_from_are_left_out():
    stream = list(stream_of([SPS, PPS, RECOVERY, SLICE], [SLICE], [SLICE], [SLICE]))
    times = {5000: 20_000, 8000: 14_000, 11_000: 17_000, 14_000: 29_000}
    units = run(PictureAssembly(), [replace(one, timestamp=times[one.timestamp]) for one in stream])
    assert [unit.first.timestamp for unit in units] == [20_000, 29_000]


def test_within_a_picture_what_would_begin_another_is_left_out():
    slices = [SPS, PPS, IDR, SPS, PPS, IDR_2, DELIMITER, SEI]
    units = run(PictureAssembly(), stream_of([DELIMITER, *slices], [SLICE, SEI, SLICE_2]))
    assert [unit.data for unit in units] == [annexb(DELIMITER, SPS, PPS, IDR, IDR_2), annexb(SLICE, SLICE_2)]


def test_where_the_nal_units_of_a_unit_begin_is_told_if_it_came_in_order():
    came = run(PictureAssembly(), stream_of([DELIMITER, SPS, PPS, IDR, IDR_2], [SLICE, SLICE_2]))
    for unit in came:
        assert unit.nal_starts == tuple(start for _, start, _ in nal_units(unit.data))
    assert [len(unit.nal_starts) for unit in came] == [5, 2]
    # With others put before it, or left out, it is searched for anew.
    begun = run(PictureAssembly(), stream_of([SPS, PPS, IDR], [IDR], [SLICE, SEI, SLICE_2]))
    assert [len(unit.nal_starts) for unit in begun] == [3, 0, 0]
    (open_end,) = run(PictureAssembly(), stream_of([SPS, PPS, IDR + b"\0\0\1"]))
    assert open_end.nal_starts == ()


def test_the_rest_of_a_picture_is_none_though_parameter_sets_stand_in_it():
    units = run(PictureAssembly(), stream_of([SPS, PPS, IDR, SPS, PPS, IDR_2], [SPS, PPS, IDR]), lost={2})
    assert [unit.first.sequence for unit in units] == [106]


def test_a_source_whose_times_stand_is_parted_by_its_markers():
    made = film(90, keys=(0, 45))
    stream = [replace(packet, timestamp=7) for packet in packets(made)]
    assembly = PictureAssembly()
    units = run(assembly, stream, ends=False)
    assert numbers(units, made) == list(range(45, 90))
    assert assembly.dropped == 1 + 13  # what came in the first second is one, which is in pieces
