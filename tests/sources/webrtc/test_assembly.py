"""Whole pictures and sounds out of packets; after a loss nothing that refers to what is lost."""

from dataclasses import replace

import pytest

from recordkit.sources.webrtc import assembly as assembly_module
from recordkit.sources.webrtc.assembly import PictureAssembly, SoundAssembly
from tests.sources.webrtc.packets import film, packets, talk


def run(assembly, stream, lost=()):
    """Feed packets but those whose places are ``lost``; gives the units."""
    units, missing = [], 0
    for place, packet in enumerate(stream):
        if place in lost:
            missing += 1
            continue
        units += assembly.add(packet, missing)
        missing = 0
    return units


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
    assert numbers(run(PictureAssembly(), stream), made) == [0, 1, 2]


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
