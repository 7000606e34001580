"""H.264 whose fields are pictures of their own (PAFF), of unpacked samples (I_PCM): no encoder at hand makes it."""

from __future__ import annotations

from collections.abc import Iterator

SIDE = 64
_MACROBLOCKS = (SIDE // 16) * (SIDE // 32)


def _ue(value: int) -> str:
    text = f"{value + 1:b}"
    return "0" * (len(text) - 1) + text


def _nal(header: int, text: str) -> bytes:
    text += "1"
    text += "0" * (-len(text) % 8)
    nal = bytearray()
    for byte in int(text, 2).to_bytes(len(text) // 8):
        if byte <= 3 and nal[-2:] == b"\0\0":
            nal.append(3)
        nal.append(byte)
    return b"\0\0\0\1" + bytes([header]) + bytes(nal)


def parameter_sets() -> bytes:
    """Main profile, 64 by 64, fields allowed, 50 fields a second."""
    timing = "00001" + f"{1:032b}{50:032b}" + "10000"
    sps = f"{77:08b}{0:08b}{30:08b}" + "1111" + _ue(1) + "0" + _ue(SIDE // 16 - 1) + _ue(SIDE // 32 - 1) + "0010"
    return _nal(0x67, sps + "1" + timing) + _nal(0x68, "1100" + "111" + "000" + "111" + "000")


def field(number: int, *, bottom: bool, idr: bool = False, level: int = 128, reference: bool = True) -> bytes:
    """One field of frame ``number``, all of it ``level``."""
    head = "1" + _ue(7) + "1" + f"{number % 16:04b}" + "1" + str(int(bottom))
    head += "1" if idr else ""
    head += f"{(2 * number + bottom) % 16:04b}"
    head += ("00" if idr else "0") if reference else ""
    text = head + "1"
    for _ in range(_MACROBLOCKS):
        text += _ue(25)
        text += "0" * (-len(text) % 8) + f"{level:08b}" * 256 + f"{128:08b}" * 128
    return _nal((0x65 if idr else 0x41) if reference else 0x01, text)


def reordered(count: int) -> Iterator[tuple[int, bytes]]:
    """Whole frames, as they are decoded: the number of each as they are shown, and its level is 20 + that.

    Every second one is decoded behind the next, which only its picture order count says.
    """
    sps = f"{77:08b}{0:08b}{30:08b}" + "1111" + _ue(1) + "0" + 2 * _ue(SIDE // 16 - 1) + "1100"
    sets = _nal(0x67, sps) + _nal(0x68, "1100" + "111" + "000" + "111" + "000")
    referred = 0
    for place in range(count):
        number = place if not place or (place % 2 and place == count - 1) else place + (1 if place % 2 else -1)
        is_ahead = place % 2 == 1
        head = "1" + _ue(7) + "1" + f"{referred % 16:04b}" + ("" if place else "1") + f"{number % 16:04b}"
        head += "00" if not place else "0" if is_ahead else ""
        text = head + "1"
        for _ in range(2 * _MACROBLOCKS):
            text += _ue(25)
            text += "0" * (-len(text) % 8) + f"{20 + number:08b}" * 256 + f"{128:08b}" * 128
        yield number, (b"" if place else sets) + _nal(0x41 if is_ahead else 0x01 if place else 0x65, text)
        referred += is_ahead or not place


def frames(count: int, *, group: int = 10) -> Iterator[tuple[bytes, bytes]]:
    """Both fields of each frame, with parameter sets before each IDR; frame n has the level 20 + n."""
    for number in range(count):
        at, level = number % group, 20 + number
        first = field(at, bottom=False, idr=not at, level=level)
        yield (b"" if at else parameter_sets()) + first, field(at, bottom=True, level=level)
