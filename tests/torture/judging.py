"""Judges what is left of a recording: brought back by ``recover`` alone, whole, and decoded."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import recordkit as rk
from recordkit.sources.marks import read_frame_number
from recordkit.telemetry.table import table_path

from .. import judges
from .children import Child, Nursery
from .orders import Order, Told, last_media_ms
from .outcome import Outcome

PACKET = 188
SCANNED = ("pts", "dts", "media_s", "keyframe", "bytes", "offset", "lost_before", "discontinuity")


def order_for(folder: Path, suffix: str = ".ts", **values: object) -> Order:
    """An order to record into ``folder``."""
    return Order(path=str(folder / f"talk{suffix}"), told=str(folder.with_name(folder.name + ".told")), **values)  # type: ignore[arg-type]


def told_by(order: Order) -> Told:
    """What the child with this order tells."""
    return Told(Path(order.told))


def begun(nursery: Nursery, order: Order) -> Child:
    """A child that carries out the order; its file for telling is there."""
    told_by(order)
    return nursery.start("torture.child:record", asdict(order))


def recovered(path: Path) -> tuple[rk.Recovery | None, list[str]]:
    """What ``recover`` says; None where there is nothing unfinished. Its faults in words."""
    try:
        found = rk.recover(path)
    except rk.RecoveryError as error:
        if path.with_suffix(f".recording{path.suffix}").exists() or path.with_suffix(".recording.tail").exists():
            return None, [f"recover refuses: {error}"]
        return None, []
    assert isinstance(found, rk.Recovery)
    return found, []


def row_faults(path: Path) -> list[str]:
    """Where the rows of the frame table are not the frames of the file: by a scan, by decoding, by numbers."""
    faults: list[str] = []
    try:
        with rk.open(path) as video:
            rows = video.frames
            shown = [read_frame_number(frame.frame) for frame in video]
    except rk.SourceError:
        return []  # audio alone
    table = table_path(path)
    if table.exists():
        aside = table.rename(table.with_suffix(".aside"))
        with rk.open(path) as video:
            differing = [name for name in SCANNED if not rows[name].equals(video.frames[name])]
        aside.rename(table)
        faults += [f"frame table and scan differ in {differing}"] if differing else []
    if len(shown) != len(rows):
        faults.append(f"{len(rows)} rows, {len(shown)} frames")
    missing = rows["lost_before"].cumsum().tolist()
    first = next((number - missing[at] - at for at, number in enumerate(shown) if number is not None), 0)
    wrong = [at for at, number in enumerate(shown) if number not in (None, first + at + missing[at])]
    if wrong:
        faults.append(f"row {wrong[0]} is frame {shown[wrong[0]]}, of which {missing[wrong[0]]} are told as lost")
    return faults


def judged(
    seed: int,
    path: Path,
    told: dict[str, int],
    *,
    promised_bytes: int,
    may_cut: bool = False,
    ffmpeg: bool = False,
    figures: dict[str, float] | None = None,
) -> Outcome:
    """Recovers ``path`` and holds the result against what the child had told.

    ``promised_bytes`` must be there; where those are all that had been packetised, so must be each
    access unit of them. ``may_cut``: bytes may have been set aside.
    """
    found, faults = recovered(path)
    promises_all = promised_bytes >= told["bytes"]
    lost_ms = told["written_us"] / 1000
    if not path.exists():
        if promised_bytes:
            faults.append(f"{promised_bytes:,} bytes were promised, and there is no file")
        return Outcome(seed, tuple(faults), told["bytes"], lost_ms, figures or {})
    left = sorted(one.name for one in path.parent.iterdir() if ".recording." in one.name)
    if left:
        faults.append(f"left over: {left}")
    if found is not None and (found.problems or (found.cuts and not may_cut)):
        faults.append(f"recover found damage: {found.problems} {found.cuts}")
    size = path.stat().st_size
    verified = rk.verify(path, decode=True)
    if not verified.ok or (path.suffix == ".ts" and size % PACKET):
        faults.append(f"not whole: {verified.problems}, {size} bytes")
    faults += row_faults(path)
    units = sum(one.access_units for one in verified.streams)
    if size < promised_bytes:
        faults.append(f"{promised_bytes - size:,} bytes are missing of {promised_bytes:,}")
    if promises_all and units < told["units"]:
        faults.append(f"{units} access units, {told['units']} had been packetised")
    if ffmpeg:
        try:
            judges.assert_decodes_in_silence(path)
        except AssertionError as error:
            faults.append(f"ffmpeg: {error}")
    return Outcome(
        seed,
        tuple(faults),
        max(0, told["bytes"] - size),
        max(0.0, lost_ms - verified.duration_s * 1000),
        # By durations only where bytes are missing: how long the last unit lasts is not known to the scan.
        {
            "lost_packetised_ms": round(
                max(0.0, last_media_ms(told) - verified.duration_s * 1000) * (size < told["bytes"]), 1
            )
        }
        | (figures or {}),
    )
