"""Records for the tests of telemetry, all alike but for what a test says."""

from __future__ import annotations

from typing import Any

from recordkit.model import Event, EventKind, FlushReason, FlushRecord, Sample

BEGUN_NS = 1_700_000_000_000_000_001
"""Not a multiple of 256: a float would round it."""


def flush(index: int = 0, **values: Any) -> FlushRecord:
    elapsed_s = 2.0 * (index + 1)
    return FlushRecord(
        **{
            "index": index,
            "time_ns": BEGUN_NS + round(elapsed_s * 1e9),
            "elapsed_s": elapsed_s,
            "flush_bytes": 188_000,
            "file_bytes": 188_000 * (index + 1),
            "write_s": 0.001,
            "sync_s": 0.003,
            "reason": FlushReason.INTERVAL,
            "interval_s": 2.0,
            "video_units": 60,
            "audio_units": 94,
            "media_s": 2.0,
            "dropped_units": 0,
            "queue_bytes": 0,
            "bytes_at_risk": 188_188,
            "rss_bytes": 120_000_000,
        }
        | values
    )


def sample(elapsed_s: float = 1.0, **values: Any) -> Sample:
    return Sample(
        **{
            "time_ns": BEGUN_NS + round(elapsed_s * 1e9),
            "elapsed_s": elapsed_s,
            "rss_bytes": 120_000_000,
            "uss_bytes": 100_000_000,
            "peak_rss_bytes": 130_000_000,
            "cpu_share": 0.25,
            "threads": 9,
            "open_files": 12,
            "file_bytes": 188_000,
            "buffer_bytes": 1_880,
            "queue_bytes": 0,
            "dropped_units": 0,
            "since_flush_s": 0.5,
            "silent_s": 0.03,
            "free_bytes": 10**12,
            "full_in_s": 1e6,
            "loop_lag_s": 0.001,
        }
        | values
    )


def event(kind: EventKind, elapsed_s: float = 1.0, **fields: Any) -> Event:
    return Event(BEGUN_NS + round(elapsed_s * 1e9), elapsed_s, kind, fields)
