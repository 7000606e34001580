"""What only looks on fails without harm, and the log is not filled with it."""

from recordkit.onlooker import Onlooker


def test_a_failure_goes_no_further_and_is_told_once_until_it_works_again(caplog):
    onlooker = Onlooker("talk.ts: an observer")
    for number in (0, 0, 1, 0):
        assert onlooker.tell(lambda number=number: 1 // number) == (1 if number else None)
    told = [one for one in caplog.records if "talk.ts: an observer failed; the recording goes on" in one.message]
    assert len(told) == 2
    assert all(one.exc_info is not None for one in told)


def test_arguments_are_passed_on():
    assert Onlooker("it").tell(sorted, [2, 1], reverse=True) == [2, 1]
