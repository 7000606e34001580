"""What a caller may choose: how media is encoded, how it is brought to the disk, and what is kept."""

from .filing import Keep, Ring, Segments
from .media import AAC_RATES, AudioCodec, AudioSettings, VideoSettings
from .recording import (
    Durability,
    OnDiskFull,
    PortableOptions,
    RecordingOptions,
    RecordingSettings,
    mark_name,
)

__all__ = [
    "AAC_RATES",
    "AudioCodec",
    "AudioSettings",
    "Durability",
    "Keep",
    "OnDiskFull",
    "PortableOptions",
    "RecordingOptions",
    "RecordingSettings",
    "Ring",
    "Segments",
    "VideoSettings",
    "mark_name",
]
