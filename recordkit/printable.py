"""Text of strangers (file names, languages, tags, messages) on its way to a terminal, a page or a log.

Control characters move a terminal's cursor, write its title or its clipboard; marks of direction (U+202E)
turn what is read around; a line break forges a line of a log.
"""

from __future__ import annotations

import html
import logging
import os


def printable(text: str) -> str:
    """``text`` with nothing in it that a terminal would obey or could not show."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def for_page(text: str) -> str:
    """``text`` as it is written into HTML, in an element or an attribute."""
    return html.escape(printable(text))


class PrintableFilter(logging.Filter):
    """Makes what is put into a log's messages printable; the messages themselves are our own."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True."""
        if isinstance(record.args, tuple):
            record.args = tuple(map(_plain, record.args))
        return True


def _plain(value: object) -> object:
    return printable(str(value)) if isinstance(value, str | os.PathLike | BaseException) else value
