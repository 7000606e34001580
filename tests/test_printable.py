"""Text of strangers: nothing of it steers a terminal, forges a line of a log or breaks out of a page."""

import io
import logging
import re
import time
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

import recordkit
from recordkit.printable import discreet, for_page, printable
from recordkit.telemetry.terminal import terminal

NASTY = "a\x1b]0;title\x07\x1b[2J\r\n\x9b31m\u202egpj.\udcff[/]:smile:"
SHOWN = "a\ufffd]0;title\ufffd\ufffd[2J\ufffd\ufffd\ufffd31m\ufffdgpj.\ufffd[/]:smile:"


def test_what_can_be_shown_stays():
    assert printable("snö 1") == "snö 1"
    assert printable(NASTY) == SHOWN
    assert for_page(NASTY + '<b>"') == SHOWN + "&lt;b&gt;&quot;"


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("rtsp://user:p@ss@cam:554/1 broke", "rtsp://***@cam:554/1 broke"),
        ("rtsp://user:pa/s#s?x@cam/1", "rtsp://***@cam/1"),
        ("rtsp://user:p@ss:w/rd?#%@cam:554/1 broke", "rtsp://***@cam:554/1 broke"),
        ("rtsp://user:p@s.s/w@rd@cam/1", "rtsp://***@cam/1"),
        ("http://user@cam/1, http://cam:80/a@b", "http://***@cam/1, http://cam:80/a@b"),
        ("http://cam/1?PWD=x&size=2&X-Amz-Signature=ab#t", "http://cam/1?PWD=***&size=2&X-Amz-Signature=***#t"),
        ("'https://cam/live?access_token=a.b'", "'https://cam/live?access_token=***'"),
        ("http://cam/live?loginuse=bob&loginpas=x&pwd=y", "http://cam/live?loginuse=bob&loginpas=***&pwd=***"),
        ("mail user:pass@example.org?token=x", "mail user:pass@example.org?token=x"),
        ("/recordings/talk.ts", "/recordings/talk.ts"),
    ],
)
def test_what_is_secret_in_a_url_is_for_its_server_alone(secret, shown):
    assert discreet(secret) == shown


@pytest.mark.parametrize("piece", ["?key", "&key", "://a:b", "://a:1", "://a@b:c", "?", "&token="])
def test_no_text_of_a_stranger_holds_up_everything(piece):
    began_s = time.process_time()
    discreet(f"a://{piece * 20_000}")
    assert time.process_time() - began_s < 2  # it takes some milliseconds; once it took 18 s for a tenth of it


def loggers():
    """The names of all loggers that there are."""
    sources = "".join(path.read_text() for path in Path(recordkit.__file__).parent.rglob("*.py"))
    return sorted(set(re.findall(r'getLogger\("([^"]+)"\)', sources)))


@pytest.mark.parametrize("logger", loggers())
@pytest.mark.parametrize("argument", [NASTY, Path(NASTY), ValueError(NASTY)])
def test_a_log_message_is_one_line_of_text(caplog, argument, logger):
    logging.getLogger(logger).warning("%s: %d %s", argument, 3, 2.5)
    assert caplog.messages == [f"{SHOWN}: 3 2.5"]


def test_whatever_is_printed_cannot_steer_the_terminal():
    out = io.StringIO()
    console = terminal(file=out, width=100, force_terminal=True)
    table = Table("name")
    table.add_row(NASTY.replace("\n", ""))
    for one in (NASTY, Text(NASTY, "bold"), table):
        console.print(one)
    text = out.getvalue()
    assert "[/]" in text
    assert ":smile:" in text
    for bad in ("\x1b]0", "\x1b[2J", "\x07", "\x9b", "\u202e", "\r"):
        assert bad not in text


def test_there_is_one_way_into_a_page_and_one_onto_a_terminal():
    for path in Path(recordkit.__file__).parent.rglob("*.py"):
        text = path.read_text()
        if path.name != "printable.py":
            assert "import html" not in text, path
            assert "from html import" not in text, path
        if path.parts[-2:] != ("telemetry", "terminal.py"):
            assert " Console(" not in text, path
            assert "=Console(" not in text, path
