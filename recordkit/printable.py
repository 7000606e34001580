"""Text of strangers (file names, languages, tags, messages) on its way to a terminal, a page or a log.

Control characters move a terminal's cursor, write its title or its clipboard; marks of direction (U+202E)
turn what is read around; a line break forges a line of a log. And what is secret in a URL is for its server alone.
"""

from __future__ import annotations

import html
import logging
import os
import re

_HIDDEN = "***"
_NAME_AND_PASSWORD = re.compile(r"(?<=://)(?:[^/?#\s:@]*:(?!\d+(?:[/?#\s]|$))\S*@|[^/?#\s]*@)")
"""The userinfo of a URL (RFC 3986, 3.2.1); and a password with characters that would have had to be escaped.

Where an @ stands behind the host, too, nobody can tell which of them ends the password: the host is hidden as well.
"""
_WORD = re.compile(r"\S++")
_TELLING = "auth|cred|jwt|key|loginpas|pass|pwd|secret|sig|token"
_PARAMETER = re.compile(
    rf"([?&;](?:(?!{_TELLING})[^=&;\s])*+(?:{_TELLING})[^=&;\s]*+=)[^&;#\s'\")]+|[?&;][^=&;\s]*+", re.IGNORECASE
)
"""A secret with its name, or the name of what is none. Each letter is looked at a few times at the most: a
stranger's path of 8 kB, as a log shows it, must not hold up everything for seconds."""


def discreet(text: str) -> str:
    """``text`` without what URLs in it have for their servers alone: names, passwords, keys and tokens."""
    if "://" not in text:
        return text
    return _PARAMETER.sub(_without_value, _WORD.sub(_without_login, text))


def _without_login(word: re.Match[str]) -> str:
    before, at, behind = word[0].rpartition("@")  # what is behind the last @ would be searched for one in vain
    return _NAME_AND_PASSWORD.sub(f"{_HIDDEN}@", before + at) + behind


def _without_value(parameter: re.Match[str]) -> str:
    return f"{parameter[1]}{_HIDDEN}" if parameter[1] else parameter[0]


def printable(text: str) -> str:
    """``text`` with nothing in it that a terminal would obey or could not show."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def for_page(text: str) -> str:
    """``text`` as it is written into HTML, in an element or an attribute."""
    return html.escape(printable(text))


class PrintableFilter(logging.Filter):
    """Makes what is put into a log's messages printable and discreet; the messages themselves are our own."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True."""
        if isinstance(record.args, tuple):
            record.args = tuple(map(_plain, record.args))
        return True


def _plain(value: object) -> object:
    return printable(discreet(str(value))) if isinstance(value, str | os.PathLike | BaseException) else value
