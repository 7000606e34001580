"""What the panel shows of a session: taken in once, as it comes."""

from pathlib import Path

import pytest

from recordkit.background.figures import Figures
from recordkit.background.session import Session
from recordkit.model import EventKind
from recordkit.panel.watched import DISK_SOON_FULL_S, Watched, tiles

from ..telemetry.records import event, flush, sample


@pytest.fixture
def session():
    return Session(Path("talk.ts"))


def tell(session, *records):
    for one in records:
        session._account._take_record(one)


def raised(rule, message):
    return event(EventKind.ALERT_RAISED, rule=rule, message=message)


def test_alerts_stand_until_they_are_cleared(session):
    tell(session, raised("memory", "too much"), raised("disk", "full soon"))
    watched = Watched(session)
    watched.update()
    assert watched.alerts == ["too much", "full soon"]
    tell(session, event(EventKind.ALERT_CLEARED, rule="memory"), event(EventKind.ALERT_CLEARED, rule="unknown"))
    watched.update()
    assert watched.alerts == ["full soon"]


def test_where_a_source_listens(session):
    watched = Watched(session)
    watched.update()
    assert watched.address is None
    tell(session, event(EventKind.LISTENING, url="http://127.0.0.1:1/whip/NAME"))
    watched.update()
    assert watched.address == "http://127.0.0.1:1/whip/NAME"


def test_each_record_is_taken_in_once_and_what_was_before_too(session, monkeypatch):
    tell(session, flush(0), sample(1.0))
    watched = Watched(session)
    taken = []
    monkeypatch.setattr(watched._charts, "add", taken.extend)
    watched.update()
    tell(session, flush(1))
    # A redraw must not copy what a day has brought together.
    monkeypatch.setattr(Session, "log", property(lambda self: pytest.fail("the whole log was read")))
    watched.update()
    watched.update()
    assert sorted(type(one).__name__ for one in taken) == ["FlushRecord", "FlushRecord", "Sample"]
    watched.close()
    tell(session, flush(2))
    watched.update()
    assert len(taken) == 3


@pytest.mark.parametrize(("full_in_s", "warns"), [(None, False), (DISK_SOON_FULL_S + 1, False), (5.0, True)])
def test_a_disk_that_is_soon_full_deserves_a_look(full_in_s, warns, session):
    tell(session, sample(1.0, full_in_s=full_in_s))
    watched = Watched(session)
    watched.update()
    assert [is_bad for name, _, is_bad in watched.tiles if name == "disk left"] == [warns]


def test_what_is_not_known_is_a_dash():
    shown = {name: value for name, value, _ in tiles(Figures(), None)}
    assert (shown["bit rate"], shown["memory"], shown["disk left"]) == ("—", "—", "—")


def test_files_are_listed_as_they_are_committed_and_go_as_they_are_deleted():
    session = Session(Path("cam {number}.ts"))
    watched = Watched(session)
    assert watched.is_several
    assert not Watched(Session(Path("talk.ts"))).is_several
    for number in (1, 2, 3):
        tell(session, event(EventKind.SEGMENT, number=number, stream=0, pts=0))
        if number < 3:
            tell(session, event(EventKind.COMMIT, path=f"cam {number}.ts", bytes=number * 1000, duration_s=10.0))
    watched.update()
    assert (watched.number, watched.committed) == (3, 2)
    assert [(one.path.name, one.bytes, one.duration_s) for one in watched.files] == [
        ("cam 1.ts", 1000, 10.0),
        ("cam 2.ts", 2000, 10.0),
    ]
    tell(session, event(EventKind.DELETED, path="cam 1.ts", bytes=1000, because="older than 7 d"))
    watched.update()
    assert [one.path.name for one in watched.files] == ["cam 2.ts"]
    assert watched.committed == 2


def test_whether_it_pauses(session):
    watched = Watched(session)
    for kind in (EventKind.PAUSE, EventKind.RESUME):
        tell(session, event(kind, gap="mark"))
        watched.update()
        assert watched.is_paused is (kind is EventKind.PAUSE)


def test_in_a_pause_there_is_no_bit_rate(session):
    tell(session, flush(0))
    watched = Watched(session)
    shown = []
    for kind in (EventKind.RESUME, EventKind.PAUSE):
        tell(session, event(kind, gap="mark"))
        watched.update()
        shown += [value for name, value, _ in watched.tiles if name == "bit rate"]
    assert shown[0] != "—" == shown[1]
