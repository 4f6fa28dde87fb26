"""How charts look: for screens and phones, in colour and in black and white."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

# Okabe and Ito's colours for all kinds of sight ("Color Universal Design", 2008), from dark to
# light; what a printer without colours makes alike differs by dashes and markers.
COLORS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star",
           "triangle-down", "bowtie", "hourglass", "triangle-left", "triangle-right")  # fmt: skip
HATCHES = ("", "/", "x", ".", "\\", "-")
# From little to much: lightness falls evenly, so that it reads the same without colours.
SCALE = [[0, "#f4f8fc"], [0.25, "#bcd3e8"], [0.5, "#7aa5cc"], [0.75, "#33689f"], [1, "#06244a"]]
INK, GRID = "#1b2733", "#dfe4ea"
LINES = 6  # as many curves can be told apart; more things become a map
FONT = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', "
    "'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', 'Noto Sans SC', sans-serif"
)
_LONGEST = 18  # letters of a name beside an axis


def line(place: int) -> dict[str, Any]:
    """Return colour, dash and marker of the curve at this place."""
    color, dash = COLORS[place % len(COLORS)], DASHES[place % len(DASHES)]
    return {
        "line": {"color": color, "dash": dash, "width": 2},
        "marker": {"symbol": MARKERS[place % len(MARKERS)], "size": 6, "color": color},
    }


def shade(place: int, count: int) -> str:
    """Return a grey blue, the darker the later the place among `count`."""
    share = 1.0 if count < 2 else place / (count - 1)
    light, dark = (170, 190, 212), (0, 32, 72)
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(light, dark, strict=True))
    return f"rgb({red},{green},{blue})"


def layout(x: str = "", y: str = "", height: int = 320, **more: Any) -> dict[str, Any]:
    """Return the layout of a chart with titles of its axes."""
    axis = {
        "gridcolor": GRID,
        "linecolor": "#8a97a5",
        "ticks": "outside",
        "tickcolor": "#8a97a5",
        "ticklen": 4,
        "zeroline": False,
        "automargin": True,
    }
    given: dict[str, Any] = {
        "height": height,
        "margin": {"l": 56, "r": 12, "t": 12, "b": 44},
        "font": {"family": FONT, "size": 12, "color": INK},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "hovermode": "closest",
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "xaxis": {**axis, "title": {"text": x, "standoff": 8}},
        "yaxis": {**axis, "title": {"text": y, "standoff": 6}},
    }
    for name, value in more.items():
        given[name] = {**given[name], **value} if isinstance(given.get(name), dict) else value
    return given


def short(name: str, longest: int = _LONGEST) -> str:
    """Return a name as a chart shows it: not too long, and none of its letters a command."""
    text = str(name)
    if len(text) > longest:
        text = f"{text[: longest // 2]}\u2026{text[-(longest - longest // 2 - 1) :]}"
    return escape(text, quote=False)


def unlike(names: Sequence[str], paths: bool = True, longest: int = _LONGEST) -> list[str]:
    """Return short forms of names, of which no two are the same; of `paths`, as those of layers
    within layers are, the last part where that is enough.

    Examples
    --------
    >>> from chainrule.insight.style import unlike
    >>> unlike(["encoder/hidden", "encoder/classes"])
    ['hidden', 'classes']
    >>> unlike(["yes", "yes/no"], paths=False)
    ['yes', 'yes/no']
    """
    whole = [str(name) for name in names]
    last = [name.rpartition("/")[2] for name in whole]
    for found in (last, whole) if paths else (whole,):
        shorter = [short(name, longest) for name in found]
        if len({*shorter}) == len(shorter):
            return shorter
    return [f"{i + 1} {short(name, longest - 3)}" for i, name in enumerate(whole)]
