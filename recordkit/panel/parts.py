"""Small pieces that the panel is put together from."""

from __future__ import annotations

import ipywidgets as widgets

LABELLED = {"description_width": "initial"}
"""The style of an input whose description is shown whole."""


def button(words: str, style: str, icon: str, tooltip: str, width: str = "100px") -> widgets.Button:
    """A button with words and an icon."""
    return widgets.Button(
        description=words, button_style=style, icon=icon, tooltip=tooltip, layout=widgets.Layout(width=width)
    )


def row(*children: widgets.Widget) -> widgets.HBox:
    """Widgets beside each other, wrapping if the page is too narrow."""
    box = widgets.HBox(list(children))
    box.add_class("recordkit-row")
    return box


def put(widget: widgets.HTML, value: str) -> None:
    """Show ``value``; what has not changed is not sent again, which would flicker."""
    if widget.value != value:
        widget.value = value


def close_all(*roots: widgets.Widget) -> None:
    """Close widgets and all in them: a box that is closed leaves its children, and their styles, behind."""
    for widget in roots:
        close_all(*getattr(widget, "children", ()))
        for name in ("layout", "style"):
            part = getattr(widget, name, None)
            if isinstance(part, widgets.Widget):
                part.close()
        widget.close()


def wide() -> widgets.Layout:
    """As wide as the row has room for."""
    return widgets.Layout(width="auto", min_width="180px", flex="1 1 220px")


def small() -> widgets.Layout:
    """As wide as a choice of a few words."""
    return widgets.Layout(width="190px")
