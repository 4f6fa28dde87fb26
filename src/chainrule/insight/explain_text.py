"""An explanation in a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from chainrule.dtypes import Array
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

if TYPE_CHECKING:
    from chainrule.insight.explanation import Explanation

_WIDTH = 110  # letters of a line, where no terminal says otherwise
_NARROW = 100  # with fewer, the summary is shorter
_ROOM = 40  # letters for numbers beside what they are; with fewer they stand below it
_BETWEEN = 10  # letters between and around the columns
_FEW = (0, 5, 7, 9)  # what a short summary has: layer, error signal, gradient, share of the weight


def text(explanation: Explanation) -> str:
    """Return it as plain text."""
    from rich.console import Console

    width = _WIDTH
    if sys.stdout is not None and sys.stdout.isatty():
        width = max(shutil.get_terminal_size().columns, 40)
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(rendered(explanation, width))
    return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").splitlines())


def rendered(explanation: Explanation, width: int) -> Any:
    """Return it for rich, for lines of so many letters: every number of a small network, else one
    line a layer."""
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = [Text(head(explanation), style="bold"), _summary(explanation, width)]
    if explanation.small:
        parts.append(_block("given", ends(explanation), explanation.numbers, width))
        for layer in explanation.layers:
            parts.append(_block(layer.label, rows(layer), explanation.numbers, width))
    return Group(*parts, Text(MEANING, style="dim"))


def head(explanation: Explanation) -> str:
    """Return loss and optimizer in one line."""
    samples = len(explanation.inputs[0])
    return (
        f"{explanation.model}: loss {number(explanation.loss)} ({explanation.loss_name}) "
        f"over {samples} sample{'s' * (samples != 1)}; {explanation.optimizer}"
    )


def _summary(explanation: Explanation, width: int) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1))
    kept = _FEW if width < _NARROW else tuple(range(len(HEADS)))
    for i in kept:
        table.add_column(HEADS[i], justify="left" if i < 2 else "right", no_wrap=i > 1)
    for line in summary(explanation.layers):
        table.add_row(*(Text(line[i]) for i in kept))
    return table


def _block(title: str, held: Iterable[Row], most: int, width: int) -> Any:
    """Return a table of arrays: what they are, and beside or below it their numbers."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    every = [(row, f"{row.what}\n{row.formula}".rstrip()) for row in held]
    words = max((len(line) for _, what in every for line in what.splitlines()), default=0)
    beside = words + max((len(row.symbol) for row, _ in every), default=0) + _BETWEEN
    narrow = width - beside < _ROOM
    table = Table(
        title=Text(title), title_justify="left", box=box.SIMPLE, show_header=False, show_lines=True
    )
    for _ in range(1 if narrow else 3):
        table.add_column(no_wrap=not narrow)
    for row, what in every:
        numbers = shown(row.numbers, most, width - (_BETWEEN if narrow else beside))
        if narrow:
            told = f"{row.symbol}  {row.what}{': ' if row.formula else ''}{row.formula}"
            table.add_row(Text(f"{told}\n{numbers}"))
        else:
            table.add_row(Text(row.symbol, style="bold"), Text(what), Text(numbers))
    return table


def shown(array: Array, most: int, room: int) -> str:
    """Return the numbers in rows, or how they are spread where there are more than `most`; rows
    too long for a line in parts below each other."""
    if array.size > most:
        return f"{size(array)}: {spread(array)}"
    lines = [[number(float(v)) for v in line] for line in matrix(array)]
    width = max((len(cell) for line in lines for cell in line), default=0)
    count = max((room + 2) // (width + 2), 1)
    longest = max(map(len, lines), default=0)
    parts = []
    for first in range(0, longest, count):
        last = min(first + count, longest)
        parts += [f"columns {first} to {last - 1}"] if longest > count else []
        parts += ["  ".join(cell.rjust(width) for cell in line[first:last]) for line in lines]
    return "\n".join(parts)
