"""Which channels audio is encoded with: all of the source's, as far as the coding has places for them."""

from __future__ import annotations

from typing import NamedTuple

from av.audio.layout import AudioLayout

_LAYOUTS: dict[str, tuple[str, ...]] = {
    "mono": ("FC",),
    "stereo": ("FL", "FR"),
    "3.0": ("FL", "FR", "FC"),
    "4.0": ("FL", "FR", "FC", "BC"),
    "5.0": ("FL", "FR", "FC", "BL", "BR"),
    "5.1": ("FL", "FR", "FC", "LFE", "BL", "BR"),
}
"""libavcodec's layouts with the channel configurations 1 to 6 of AAC (ISO/IEC 14496-3, table 1.19)."""
_SIDES = {"SL": "BL", "SR": "BR"}
"""Speakers at the side take the places at the back, if the source has none there."""


class CodedLayout(NamedTuple):
    """The layout to encode, how many channels it has, and whether channels of the source are mixed for it."""

    name: str
    channels: int
    is_mixed: bool = False


def coded_layout(source: AudioLayout, *, asked: int | None = None, most: int = 6) -> CodedLayout:
    """The smallest layout of up to ``most`` channels that has places for all of ``source``, else the largest.

    ``asked`` channels (1 or 2) are what they were asked for, and no loss.
    """
    if asked is not None:
        return CodedLayout("mono" if asked == 1 else "stereo", asked)
    fitting = {name: places for name, places in _LAYOUTS.items() if len(places) <= most}
    count = source.nb_channels
    if count <= 2:
        return CodedLayout("mono" if count == 1 else "stereo", count)
    names = {channel.name for channel in source.channels}
    if not names & set(_SIDES.values()):
        names = {_SIDES.get(name, name) for name in names}
    for name, places in fitting.items():
        # A source may say how many channels it has, and not which.
        if names <= set(places) if len(names) == count else len(places) == count:
            return CodedLayout(name, len(places))
    name, places = list(fitting.items())[-1]
    return CodedLayout(name, len(places), is_mixed=True)
