"""The one way onto a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment

from ..printable import printable


class _Printable(RenderHook):
    """Whatever is printed, of whatever is in it nothing is obeyed by the terminal but what is our own."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Shown(one) for one in renderables]


class _Shown:
    def __init__(self, what: ConsoleRenderable) -> None:
        self._what = what

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        return self._segments(console.render(self._what, options))

    @staticmethod
    def _segments(segments: Iterable[Segment]) -> Iterable[Segment]:
        for one in segments:
            if one.control:
                yield one
            else:
                yield Segment("\n".join(map(printable, one.text.split("\n"))), one.style)


def terminal(**options: Any) -> Console:  # noqa: ANN401 - those of a console
    """The console for all that is printed: text is no markup, and cannot steer the terminal."""
    console = Console(markup=False, emoji=False, **options)
    console.push_render_hook(_Printable())
    return console
