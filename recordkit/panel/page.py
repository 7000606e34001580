"""What the panel shows, as HTML: colours of the page that it stands in, light or dark."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from ..printable import for_page
from ..recorder.result import Recording

CSS = """
.recordkit-panel{max-width:1080px;padding:2px;overflow:visible;color:var(--jp-ui-font-color1,inherit)}
.recordkit-panel .widget-html-content,.recordkit-panel .jupyter-widgets-html-content{line-height:1.4}
.recordkit-panel .widget-box,.recordkit-panel .jupyter-widgets.widget-box{overflow:visible}
.recordkit-badge{display:inline-block;padding:1px 12px;border-radius:11px;font-weight:600;color:#fff;
background:#6b7280;font-size:13px;line-height:20px;white-space:nowrap}
.recordkit-badge[data-state=recording]{background:#b42318}.recordkit-badge[data-state=starting],
.recordkit-badge[data-state=stopping]{background:#8a5a00}.recordkit-badge[data-state=degraded]{background:#a34a00}
.recordkit-badge[data-state=stopped]{background:#1a7f37}.recordkit-badge[data-state=failed]{background:#7a0019}
.recordkit-head{display:flex;margin:3px 0;flex-wrap:wrap;gap:4px 14px;align-items:center;font-size:14px}
.recordkit-head code,.recordkit-note code{background:transparent;color:inherit;overflow-wrap:anywhere}
.recordkit-tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(102px,1fr));gap:6px;margin:4px 0}
.recordkit-tile{border:1px solid var(--jp-border-color2,#8884);border-radius:5px;padding:4px 7px;min-width:0}
.recordkit-tile span{display:block;font-size:11px;opacity:.75}
.recordkit-tile b{font-size:14px;font-weight:600;font-variant-numeric:tabular-nums;white-space:nowrap}
.recordkit-tile[data-warn=yes]{border-color:#d55e00}.recordkit-tile[data-warn=yes] b{color:#d55e00}
.recordkit-note{border-left:4px solid #d55e00;background:#d55e0018;padding:5px 10px;margin:3px 0;border-radius:3px;
overflow-wrap:anywhere}
.recordkit-note[data-kind=good]{border-color:#1a7f37;background:#1a7f3718}
.recordkit-panel img{max-width:100%;height:auto}
.recordkit-panel .recordkit-charts{flex-flow:row wrap;gap:4px 8px}
.recordkit-panel .recordkit-charts img{flex:1 1 400px;min-width:0;height:auto}
.recordkit-panel .recordkit-row{flex-flow:row wrap;gap:4px 8px;align-items:center}
.recordkit-panel button:focus-visible{outline:2px solid var(--jp-brand-color1,#1976d2);outline-offset:1px}
"""


def style() -> str:
    """The panel's style sheet; harmless if it stands several times on a page."""
    return f"<style>{CSS}</style>"


def head(state: str, words: str, path: str | None) -> str:
    """The badge with the state, and beside it what is going on."""
    name = f"<code>{for_page(path)}</code>" if path else ""
    return (
        f'<div class="recordkit-head" role="status"><span class="recordkit-badge" data-state="{for_page(state)}">'
        f"{'● ' if state in ('recording', 'degraded') else ''}{for_page(state)}</span>"
        f"<span>{for_page(words)}</span>{name}</div>"
    )


def tiles(figures: Iterable[tuple[str, str, bool]]) -> str:
    """Figures with their names; the third of each says that it deserves a look."""
    return (
        '<div class="recordkit-tiles">'
        + "".join(
            f'<div class="recordkit-tile" data-warn="{"yes" if is_bad else "no"}"><span>{for_page(name)}</span>'
            f"<b>{for_page(value)}</b></div>"
            for name, value, is_bad in figures
        )
        + "</div>"
    )


def notes(messages: Iterable[str], *, good: bool = False) -> str:
    """Messages in boxes of their own: alerts and errors, or good news."""
    kind, role = ("good", "status") if good else ("bad", "alert")
    return "".join(
        f'<div class="recordkit-note" data-kind="{kind}" role="{role}">{for_page(message)}</div>'
        for message in messages
    )


def listening(url: str) -> str:
    """The address that a publisher sends to."""
    return (
        f'<div class="recordkit-note" data-kind="good" role="status">Publish to <code>{for_page(url)}</code>, '
        "with a NAME of your own</div>"
    )


def finished(recording: Recording) -> str:
    """The finished recording: thumbnails, figures, plots, and what to do next; its link is relative."""
    if recording.path is None:
        return notes(["No media came, so that no file was made."])
    path = recording.path
    # Resolved by the front end against the notebook, in whose folder its kernel runs. Without "download"
    # JupyterLab opens it as text, which it is not.
    near = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    link = f'<a href="{quote(near.as_posix())}" download="{for_page(path.name)}">{for_page(str(near))}</a>'
    return (
        f'<div class="recordkit-note" data-kind="good" role="status">Committed: {link}</div>'
        + recording._repr_html_()
        + "<p>Next: <code>panel.recording.flushes</code> is every flush as a DataFrame, "
        f"<code>rk.verify({for_page(repr(str(near)))})</code> judges the file, "
        "<code>rk.plot_overview(panel.recording)</code> draws it.</p>"
    )


def leftover(name: str, words: str) -> str:
    """One line about an unfinished recording."""
    return f'<span class="recordkit-head">Unfinished: <code>{for_page(name)}</code> {for_page(words)}</span>'
