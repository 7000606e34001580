"""What a page calls a coding, in words of RFC 6381: ``avc1.64001F``, ``mp4a.40.2``."""

from __future__ import annotations

from ..bitstream.h264 import nal_units
from ..bitstream.sps import unescape
from ..model import Codec, StreamFormat

_H264_SPS, _H265_SPS = 7, 33
_AAC_LC = 2
_NAMES = {Codec.OPUS: "opus", Codec.AC3: "ac-3", Codec.EAC3: "ec-3", Codec.MP2: "mp4a.6B.mp2"}
"""MP2 shares the object type of MP3, and no browser plays it: under this name none says that it does."""
_MPEG1_LEAST_RATE = 32_000


def codec_string(stream_format: StreamFormat, sets: bytes = b"") -> str:
    """The name of a stream's coding (RFC 6381, 3.3; ISO/IEC 14496-15, annex E).

    ``sets`` are the parameter sets of video as an Annex B byte stream; without them the name has no profile.
    """
    codec = stream_format.codec
    if codec is Codec.H264:
        for kind, start, end in nal_units(sets):
            if kind == _H264_SPS and end - start >= 4:
                return f"avc1.{sets[start + 1 : start + 4].hex().upper()}"
        return "avc1"
    if codec is Codec.H265:
        for kind, start, end in nal_units(sets, Codec.H265):
            if kind == _H265_SPS:
                return _hevc(unescape(sets[start:end]))
        return "hvc1"
    if codec is Codec.AAC:
        return f"mp4a.40.{stream_format.config[0] >> 3 if stream_format.config else _AAC_LC}"
    if codec is Codec.MP3:
        return "mp4a.6B" if stream_format.sample_rate >= _MPEG1_LEAST_RATE else "mp4a.69"
    return _NAMES.get(codec, str(codec))


def _hevc(sps: bytes) -> str:
    """Profile, compatibility (bits reversed), tier, level and constraints of an SPS (E.3)."""
    if len(sps) < 15:
        return "hvc1"
    space, tier, profile = sps[3] >> 6, sps[3] >> 5 & 1, sps[3] & 31
    compatible = int(f"{int.from_bytes(sps[4:8]):032b}"[::-1], 2)
    constraints = sps[8:14].rstrip(b"\0")
    parts = [f"hvc1.{'ABC'[space - 1] if space else ''}{profile}", f"{compatible:X}", f"{'LH'[tier]}{sps[14]}"]
    return ".".join([*parts, *(f"{one:X}" for one in constraints)])
