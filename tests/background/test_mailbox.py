"""Messages wait for their listener, in order and not for ever."""

import logging

from recordkit.background.mailbox import MOST_MESSAGES, Mailbox


def test_messages_wait_for_a_listener_and_then_do_not():
    box, heard = Mailbox(), []
    for number in range(MOST_MESSAGES + 2):
        box.deliver({"number": number})
    box.listen(lambda message: heard.append(message["number"]))
    box.deliver({"number": -1})
    assert heard == [*range(2, MOST_MESSAGES + 2), -1]
    assert box.dropped == 2


def test_a_listener_that_fails_hears_the_next_one(caplog):
    box, heard = Mailbox(), []

    def listener(message):
        heard.append(message)
        raise LookupError("the listener's own")

    box.listen(listener)
    with caplog.at_level(logging.ERROR):
        box.deliver({})
        box.deliver({})
    assert len(heard) == 2
    assert "A listener to signals failed" in caplog.text


def test_one_who_takes_itself_off_is_called_no_more():
    box, heard = Mailbox(), []
    box.deliver({"number": 1})
    box.deliver({"number": 2})

    def once(message):
        heard.append(message["number"])
        box.listen(None)

    box.listen(once)
    assert heard == [1]
    box.listen(once)
    assert heard == [1, 2]
