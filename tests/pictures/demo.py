"""Makes the README's picture of a recording: notebooks/images/demo.svg. Run it from the checkout's top."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme

from recordkit.cli import run

COMMANDS = (
    "record --source synthetic --size 1280x720 --fps 30 --seconds 10 talk.ts",
    "verify --decode --synthetic talk.ts",
)
PICTURE = Path(__file__).parents[2] / "notebooks" / "images" / "demo.svg"
CALM = TerminalTheme(
    (13, 17, 23),
    (222, 226, 230),
    [
        (72, 79, 88),
        (255, 123, 114),
        (126, 231, 135),
        (240, 199, 94),
        (121, 192, 255),
        (210, 168, 255),
        (86, 212, 221),
        (222, 226, 230),
    ],
)
# No web font: the picture shows in the reader's own monospaced one.
FRAME = """<svg class="{unique_id}" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
{styles}</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
<rect width="{width}" height="{height}" rx="10" fill="#0d1117"/>
<g transform="translate({terminal_x}, 18)" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g></svg>
"""


def main() -> None:
    console = Console(record=True, width=104, file=io.StringIO(), color_system="truecolor")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for command in COMMANDS:
            console.print(f"[bold green]$[/] [bold]recordkit {command}[/]", highlight=False)
            run(command.split(), console)
            console.print()
    picture = console.export_svg(title="", theme=CALM, code_format=FRAME, unique_id="demo")
    PICTURE.write_text("\n".join(line.rstrip() for line in picture.splitlines()) + "\n")


if __name__ == "__main__":
    main()
