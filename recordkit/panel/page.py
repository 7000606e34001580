"""What the panel shows, as HTML: colours of the page that it stands in, light or dark."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from ..playback.titles import near
from ..printable import for_page
from ..recorder.result import Recording, SegmentFile
from ..telemetry.words import count_text, size_text, time_text
from .watched import CommittedFile

_MOST_LINKS = 200

# Notebook 7 puts what is higher than a hundred lines into a box of 24 em, in which little of a panel would be seen.
CSS = """
.recordkit-panel{max-width:1080px;padding:2px;overflow:visible;color:var(--jp-ui-font-color1,inherit)}
.recordkit-panel .widget-html-content,.recordkit-panel .jupyter-widgets-html-content{line-height:1.4}
.recordkit-panel .widget-box,.recordkit-panel .jupyter-widgets.widget-box{overflow:visible}
.recordkit-badge{display:inline-block;padding:1px 12px;border-radius:11px;font-weight:600;color:#fff;
background:#6b7280;font-size:13px;line-height:20px;white-space:nowrap}
.recordkit-badge[data-state=recording]{background:#b42318}.recordkit-badge[data-state=starting],
.recordkit-badge[data-state=stopping]{background:#8a5a00}.recordkit-badge[data-state=degraded]{background:#a34a00}
.recordkit-badge[data-state=paused]{background:#2f5f8f}
.recordkit-badge[data-state=stopped]{background:#1a7f37}.recordkit-badge[data-state=failed]{background:#7a0019}
.recordkit-head{display:flex;margin:3px 0;flex-wrap:wrap;gap:4px 14px;align-items:center;font-size:14px}
.recordkit-head code,.recordkit-note code{background:transparent;color:inherit;overflow-wrap:anywhere}
.recordkit-tiles{display:grid;gap:6px;
grid-template-columns:repeat(auto-fit,minmax(clamp(102px,(858px - 100%)*999,23%),1fr));margin:4px 0}
.recordkit-tile{border:1px solid var(--jp-border-color2,#8884);border-radius:5px;padding:4px 7px;min-width:0}
.recordkit-tile span{display:block;font-size:11px;opacity:.75}
.recordkit-tile b{font-size:14px;font-weight:600;font-variant-numeric:tabular-nums;white-space:nowrap}
.recordkit-tile[data-warn=yes]{border-color:#d55e00}.recordkit-tile[data-warn=yes] b{color:#d55e00}
.recordkit-note{border-left:4px solid #d55e00;background:#d55e0018;padding:5px 10px;margin:3px 0;border-radius:3px;
overflow-wrap:anywhere}
.recordkit-note[data-kind=good]{border-color:#1a7f37;background:#1a7f3718}
.recordkit-panel img:not(.recordkit-player img){max-width:100%;height:auto}
.recordkit-panel .widget-html:has(>.widget-html-content:empty){display:none}
.recordkit-panel .recordkit-charts{flex-flow:row wrap;gap:4px 8px}
.recordkit-panel .recordkit-charts img{flex:1 1 400px;min-width:0;height:auto}
.recordkit-panel .recordkit-row{flex-flow:row wrap;gap:4px 8px;align-items:center}
.recordkit-settings{gap:7px;padding:2px 0}
.recordkit-panel .recordkit-group{gap:4px 16px;padding:0 0 6px;
border-bottom:1px solid var(--jp-border-color2,#8883)}
.recordkit-panel .recordkit-group:last-child{border-bottom:0}
.recordkit-panel .widget-checkbox input{margin:0 4px 0 0;align-self:center}
.recordkit-legend{display:inline-block;width:76px;font-weight:600;font-size:12px;opacity:.75}
.recordkit-hint{font-size:12px;opacity:.8;overflow-wrap:anywhere}
.recordkit-hint code,.recordkit-files code{background:transparent;color:inherit}
.recordkit-wrong input{border-color:#d55e00!important;box-shadow:0 0 0 1px #d55e00}
.recordkit-files{margin:4px 0;max-height:212px;overflow:auto;border:1px solid var(--jp-border-color2,#8884);
border-radius:5px}
.recordkit-panel .recordkit-files table{table-layout:auto;width:100%;
border-collapse:collapse;font-size:12.5px;margin:0}
.recordkit-panel .recordkit-files caption{
text-align:left;padding:4px 8px;font-weight:600;font-size:12px;opacity:.75}
.recordkit-panel .recordkit-files td{
padding:2px 8px;text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums;
border-top:1px solid var(--jp-border-color3,#8882)}
.recordkit-panel .recordkit-files td:first-child{
text-align:left;width:100%;white-space:normal;overflow-wrap:anywhere}
.recordkit-files tr[data-state=live] td{font-weight:600}
.recordkit-panel a[data-file]+[role=status]{font-size:12px;opacity:.8}
body[data-notebook] .jp-mod-outputsScrolled .jp-Cell-outputArea:has(.recordkit-panel):not([style*=height])
{max-height:none}
body[data-notebook] .jp-mod-outputsScrolled .jp-Cell-outputArea:has(.recordkit-panel):not([style*=height])::after
{display:none}
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


def files(rows: Iterable[CommittedFile], committed: int, number: int) -> str:
    """The files that have been committed, the newest first; the ``number``-th is being written."""
    lines = [
        _file_row(for_page(one.path.name), one.duration_s, one.bytes, _of_day(one.time_ns))
        for one in reversed(list(rows))
    ]
    if not lines:
        return ""
    left = committed - len(lines)
    words = f"{count_text(committed, 'file')} committed, file {number} is being written"
    return _file_table(words + (f"; {left:,} older ones are not listed" if left else ""), lines)


def _file_table(words: str, lines: Iterable[str]) -> str:
    return (
        '<div class="recordkit-files" tabindex="0" role="region" aria-label="Committed files"><table>'
        f"<caption>{for_page(words)}</caption><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _file_row(name: str, duration_s: float, size: int, when: str = "") -> str:
    """``name`` is HTML already."""
    last = f"<td>{when}</td>" if when else ""
    return f"<tr><td>{name}</td><td>{time_text(duration_s)}</td><td>{size_text(size)}</td>{last}</tr>"


def _of_day(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns / 1e9).astimezone():%H:%M:%S}"


def linked(recording: Recording) -> list[Path]:
    """The files of a finished recording that have links, in the order of these."""
    if recording.segments:
        return [one.path for one in _listed(recording)]
    return [] if recording.path is None else [recording.path]


def _listed(recording: Recording) -> list[SegmentFile]:
    """Of several files the newest that have been committed, the last one first."""
    return [one for one in reversed(recording.segments) if one.committed][:_MOST_LINKS]


def finished(recording: Recording) -> str:
    """The finished recording: thumbnails, figures, plots, and what to do next; its links are relative."""
    if recording.path is None:
        return notes(["No media came, so that no file was made."])
    shown = near(recording.path)
    judged = repr(str(shown))
    committed = [one for one in recording.segments if one.committed]
    if recording.segments:
        where = for_page(str(shown.parent))
        head = f"Committed: {count_text(len(committed), 'file')} in <code>{where}</code>"
        listed = _listed(recording)
        lines = [_file_row(_link(one.path, number), one.duration_s, one.bytes) for number, one in enumerate(listed)]
        left = len(committed) - len(listed)
        words = "The newest first" + (f"; {left:,} older ones are not listed" if left else "")
        table = _file_table(words, lines)
        opens = "<code>panel.recording.open()</code> reads them as one, "
    else:
        head, table, opens = f"Committed: {_link(recording.path, 0)}", "", ""
    return (
        f'<div class="recordkit-note" data-kind="good" role="status">{head}</div>{table}'
        + recording._repr_html_()
        + f"<p>Next: {opens}<code>panel.recording.flushes</code> is every flush as a DataFrame, "
        f"<code>rk.verify({for_page(judged)})</code> judges the file, "
        "<code>rk.plot_overview(panel.recording)</code> draws it.</p>"
    )


def _link(path: Path, number: int) -> str:
    # Resolved by the front end against the notebook, in whose folder its kernel runs. Without "download"
    # JupyterLab opens it as text, which it is not. By its number the page asks for it where nothing serves it.
    shown = near(path)
    place = f'href="{quote(shown.as_posix())}" data-file="{number}"'
    return f'<a {place} download="{for_page(path.name)}">{for_page(str(shown))}</a>'


def leftover(name: str, words: str) -> str:
    """One line about an unfinished recording."""
    return f'<span class="recordkit-head">Unfinished: <code>{for_page(name)}</code> {for_page(words)}</span>'
