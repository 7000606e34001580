"""What only looks on fails without harm, and the log is not filled with it."""

from recordkit.onlooker import Onlooker


def test_a_failure_goes_no_further_and_is_told_once_until_it_works_again(caplog):
    onlooker = Onlooker("talk.ts: an observer")
    for number in (0, 0, 1, 0):
        assert onlooker.tell(lambda number=number: 1 // number) == (1 if number else None)
    told = [one for one in caplog.records if "talk.ts: an observer failed; the recording goes on" in one.message]
    assert len(told) == 2
    assert all(one.exc_info is not None for one in told)


def test_a_call_that_works_does_not_make_the_failure_of_another_news(caplog):
    onlooker = Onlooker("talk.ts: an observer")
    for _ in range(3):
        assert onlooker.tell([].pop) is None
        assert onlooker.tell("abc".upper) == "ABC"
    assert len(caplog.records) == 1
    assert onlooker.tell({}.popitem) is None
    assert len(caplog.records) == 2


def test_arguments_are_passed_on():
    assert Onlooker("it").tell(sorted, [2, 1], reverse=True) == [2, 1]
