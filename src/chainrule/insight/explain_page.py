"""An explanation as a page: in a notebook, or a file that needs nothing from elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from chainrule.dtypes import Array
from chainrule.insight.explain_text import head
from chainrule.insight.explain_words import (
    HEADS,
    MEANING,
    Row,
    ends,
    matrix,
    number,
    rows,
    size,
    spread,
    summary,
)
from chainrule.models.container import replacing

if TYPE_CHECKING:
    from chainrule.insight.explanation import Explanation, LayerStep

_BINS = 24
_FORWARD = ("z", "a", "f'(z)")

STYLE = """
.chainrule-explain { --ink: #1c2430; --dim: #5b6675; --line: #ccd3dc; --page: #fff; --card: #f7f9fb;
  --up: 31, 94, 184; --down: 196, 96, 16; color: var(--ink); background: var(--page);
  font: 14px/1.45 system-ui, sans-serif; padding: 1rem; }
@media (prefers-color-scheme: dark) { .chainrule-explain { --ink: #e6eaf0; --dim: #9aa6b5;
  --line: #3a4552; --page: #12171d; --card: #1a2129; --up: 96, 156, 240; --down: 240, 150, 70; } }
.chainrule-explain h1 { font-size: 1.3rem; margin: 0 0 .2rem; }
.chainrule-explain p { margin: .2rem 0 .8rem; color: var(--dim); }
.chainrule-explain .wide { overflow-x: auto; max-width: 100%; }
.chainrule-explain table { border-collapse: collapse; margin: 0; background: none; }
.chainrule-explain td, .chainrule-explain th { padding: .15rem .5rem; text-align: right;
  font-variant-numeric: tabular-nums; white-space: nowrap; border: 0; background: none;
  color: inherit; }
.chainrule-explain .lines tr { border-top: 1px solid var(--line); }
.chainrule-explain .lines td:nth-child(-n+2), .chainrule-explain .lines th:nth-child(-n+2)
  { text-align: left; }
.chainrule-explain .lines td:first-child { white-space: normal; overflow-wrap: anywhere;
  min-width: 7rem; }
.chainrule-explain th { font-weight: 600; color: var(--dim); }
.chainrule-explain details { border: 1px solid var(--line); border-radius: 8px; margin: .8rem 0;
  background: var(--card); }
.chainrule-explain summary { cursor: pointer; padding: .5rem .8rem; font-weight: 600; }
.chainrule-explain .row { display: flex; flex-wrap: wrap; gap: .6rem 1.4rem; padding: 0 .8rem .8rem;
  align-items: flex-start; }
.chainrule-explain .way { flex-basis: 100%; color: var(--dim); font-size: .85rem;
  border-top: 1px solid var(--line); padding-top: .4rem; }
.chainrule-explain figure { margin: 0; max-width: 100%; }
.chainrule-explain figcaption { margin-bottom: .25rem; }
.chainrule-explain figcaption b { font-size: 1.05rem; }
.chainrule-explain figcaption span { color: var(--dim); display: block; font-size: .85rem; }
.chainrule-explain .cells td { border: 1px solid var(--line); }
.chainrule-explain .cells td.up { background: rgba(var(--up), var(--share)); }
.chainrule-explain .cells td.down { background: rgba(var(--down), var(--share)); }
.chainrule-explain .bars { display: flex; align-items: flex-end; gap: 1px; height: 48px;
  width: 240px; max-width: 100%; border-bottom: 1px solid var(--dim); }
.chainrule-explain .bars i { flex: 1; background: rgb(var(--up)); }
.chainrule-explain .ends { display: flex; justify-content: space-between; width: 240px;
  max-width: 100%; color: var(--dim); font-size: .8rem; }
.chainrule-explain .said { max-width: 22rem; font-size: .85rem; color: var(--dim); }
"""


def save(explanation: Explanation, path: str | os.PathLike[str]) -> None:
    """Write the page into a file, which appears whole or not at all."""
    title = escape(f"chainrule: one step of {explanation.model}")
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>body {{ margin: 0; }}</style>\n</head>\n<body>\n"
        f"{fragment(explanation)}\n</body>\n</html>\n"
    )
    with replacing(path) as file:
        file.write(page.encode())


def fragment(explanation: Explanation) -> str:
    """Return what a notebook shows: a piece of HTML with its own style."""
    parts = [
        f'<div class="chainrule-explain"><style>{STYLE}</style>',
        f"<h1>One step of {escape(explanation.model)}</h1>",
        f"<p>{escape(head(explanation))}</p>",
        f'<div class="wide"><table class="lines">{_summary(explanation)}</table></div>',
        f"<p>{escape(MEANING)}</p>",
        _card("given", "", ends(explanation), explanation.small, explanation.numbers),
    ]
    for layer in explanation.layers:
        label = f"{layer.name} ({layer.kind})" if layer.kind else layer.label
        way = _formula(layer)
        parts.append(_card(label, way, rows(layer), explanation.small, explanation.numbers))
    return "\n".join([*parts, "</div>"])


def _summary(explanation: Explanation) -> str:
    lines = [_line("th", HEADS), *(_line("td", line) for line in summary(explanation.layers))]
    return "".join(lines)


def _line(tag: str, cells: tuple[str, ...]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _formula(layer: LayerStep) -> str:
    """Return what the layer does in one line."""
    found = [row.formula for row in rows(layer) if row.symbol in ("z", "a") and row.formula]
    return ", ".join(found)


def _card(label: str, formula: str, held: Iterator[Row], whole: bool, most: int) -> str:
    """Return a part of the page that can be folded away: forward above, back below."""
    figures: list[str] = []
    before = ""
    for row in held:
        way = _way(row.symbol)
        if way and way != before:
            figures.append(f'<div class="way">{escape(way)}</div>')
        before = way
        figures.append(_figure(row, most))
    said = f' <span style="font-weight:400">{escape(formula)}</span>' if formula else ""
    opened = " open" if whole else ""
    return (
        f"<details{opened}><summary>{escape(label)}{said}</summary>"
        f'<div class="row">{"".join(figures)}</div></details>'
    )


def _way(symbol: str) -> str:
    if symbol in ("x", "y"):
        return ""
    if symbol in _FORWARD:
        return "forward"
    if symbol in ("∂L/∂a", "δ"):
        return "back"
    return f"{symbol.removeprefix('∂L/∂').removeprefix('Δ')}: weight, gradient, update"


def _figure(row: Row, most: int) -> str:
    formula = f"<span>{escape(row.formula)}</span>" if row.formula else ""
    caption = (
        f"<figcaption><b>{escape(row.symbol)}</b> {escape(row.what)} "
        f"<small>{size(row.numbers)}</small>{formula}</figcaption>"
    )
    body = _cells(row.numbers) if row.numbers.size <= most else _bars(row.numbers)
    return f"<figure>{caption}{body}</figure>"


def _cells(array: Array) -> str:
    """Return every number, its size also as the depth of a colour."""
    numbers = matrix(array).astype("float64")
    finite = np.abs(numbers[np.isfinite(numbers)])
    largest = float(finite.max(initial=0.0)) or 1.0
    lines = []
    for line in numbers:
        cells = (_cell(float(v), largest) for v in line)
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f'<div class="wide"><table class="cells">{"".join(lines)}</table></div>'


def _cell(value: float, largest: float) -> str:
    share = 0.45 * min(abs(value) / largest, 1.0) if np.isfinite(value) else 0.0
    side = "up" if value > 0 else "down"
    return f'<td class="{side}" style="--share:{share:.3f}">{number(value)}</td>'


def _bars(array: Array) -> str:
    """Return how the numbers are spread: a histogram, and norm, mean and extremes."""
    held = array.astype("float64").ravel()
    finite = held[np.isfinite(held)]
    said = f'<div class="said">{escape(spread(array))}</div>'
    if not finite.size:
        return said
    low, high = float(finite.min()), float(finite.max())
    counts = _counts(finite, low, high)
    shares = 100 * counts / counts.max()
    bars = "".join(f'<i style="height:{share:.1f}%"></i>' for share in shares)
    ends = f'<div class="ends"><span>{number(low)}</span><span>{number(high)}</span></div>'
    return f'<div class="bars">{bars}</div>{ends}{said}'


def _counts(held: Array, low: float, high: float) -> Array:
    """Return how many numbers stand in each bar; in the first all where they hardly differ."""
    largest = max(abs(low), abs(high)) or 1.0
    low, high = low / largest, high / largest  # whose difference is finite
    wide = high if high - low > 1e-12 else low + 1.0
    return np.histogram(held / largest, _BINS, (low, wide))[0]
