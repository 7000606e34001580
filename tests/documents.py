"""Puts what was measured into a document, between the comments that mark its place."""

from pathlib import Path


def marks(command: str) -> tuple[str, str]:
    """The comments around what ``command`` measured."""
    return f"<!-- measured by {command}: begin -->", f"<!-- measured by {command}: end -->"


def between(document: Path, command: str) -> str:
    """What stands there now."""
    begin, end = marks(command)
    return document.read_text().split(begin)[1].split(end)[0].strip("\n")


def put_into(document: Path, command: str, text: str) -> None:
    """Put ``text`` there."""
    begin, end = marks(command)
    before, rest = document.read_text().split(begin)
    _, after = rest.split(end)
    document.write_text(f"{before}{begin}\n{text}\n{end}{after}")
