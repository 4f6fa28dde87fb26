"""A model's graph as a picture: SVG, laid out in layers from the inputs down."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from chainrule.errors import ArgumentError
from chainrule.layers import InputLayer
from chainrule.models import container
from chainrule.models.summary import shown

if TYPE_CHECKING:
    from chainrule.graph.symbol import Symbol
    from chainrule.layers import Layer
    from chainrule.layers.symbolic import Call
    from chainrule.models.functional import Functional
    from chainrule.models.model import Model

_LETTER, _LINE, _MARGIN = 6.9, 17, 20  # pixels: the mean width of a letter, a line, the border
_GAP_X, _GAP_Y = 28, 44
_FILLS = {"input": "#e3f2e1", "model": "#e6e4f7", "layer": "#eaf1fb"}


@dataclass(eq=False)
class Box:
    """A layer, or a bend of a long line (without text), and where it is drawn."""

    texts: list[str]
    kind: str = "layer"
    above: list[Box] = field(default_factory=list)
    below: list[Box] = field(default_factory=list)
    rank: int = 0
    x: float = 0.0
    y: float = 0.0
    row: float = 0.0

    @property
    def width(self) -> float:
        """The width in pixels."""
        return max((len(t) for t in self.texts), default=-3) * _LETTER + 24

    @property
    def height(self) -> float:
        """The height in pixels; of a bend, which goes straight through its row, that of the row."""
        return len(self.texts) * _LINE + 14 if self.texts else self.row


def plot_model(
    model: Model,
    to_file: str | os.PathLike[str] = "model.svg",
    show_shapes: bool = True,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    expand_nested: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
) -> None:
    """Write a picture of the model's graph, as SVG, which every browser shows.

    A box is a call of a layer, its input above it and its output below; a layer that is shared has
    a box for each call.

    Parameters
    ----------
    model : Model
        Built; of a class of your own only the list of layers is drawn, without lines.
    to_file : path-like, default "model.svg"
        Its extension must be ``.svg``.
    show_shapes : bool, default True
        Whether to show the shapes of inputs and outputs (in Keras only when asked for).
    show_dtype : bool, default False
        Whether to show the dtype of layers.
    show_layer_names : bool, default True
        Whether to show names beside classes (in Keras only when asked for).
    expand_nested : bool, default False
        Whether to draw the layers of models within the model in their place.
    show_layer_activations : bool, default False
        Whether to show the activation of layers that have one.
    show_trainable : bool, default False
        Whether to show which layers training moves.

    Raises
    ------
    ArgumentError
        For a file of another extension, or a model that is not built.
    FileError
        Where the file cannot be written.

    Examples
    --------
    >>> from chainrule.layers import Add, Dense, Input
    >>> from chainrule.models import Model, plot_model
    >>> x = Input((4,))
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "skip.svg"
    >>> plot_model(Model(x, Add()([x, Dense(4)(x)])), path)
    >>> path.read_text(encoding="utf-8")[:4]
    '<svg'
    """
    if not os.fspath(to_file).endswith(".svg"):
        raise ArgumentError(f"to_file is {os.fspath(to_file)!r}; pictures are written as .svg")
    if not model.built:
        raise ArgumentError(f"{model.label} has no graph yet: build it, or begin it with Input")
    words = Words(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    text = svg(model, words, expand_nested)
    with container.replacing(to_file) as file:
        file.write(text.encode())


@dataclass(frozen=True)
class Words:
    """What stands in a box beside the class of the layer."""

    shapes: bool = True
    dtype: bool = False
    names: bool = True
    activations: bool = False
    trainable: bool = False

    def of(self, layer: Layer, given: str | None, out: str, within: str = "") -> list[str]:
        """Return the lines for a layer that makes shapes of those given."""
        kind, detail = type(layer).__name__, layer.detail()
        lines = [within + layer.name] if self.names else []
        lines.append(f"{kind}, {detail}" if detail else kind)
        if self.shapes:
            lines.append(out if given is None else f"{given} \u2192 {out}")
        activation = getattr(getattr(layer, "activation", None), "__name__", "")
        facts = [layer.dtype] if self.dtype else []
        facts += [activation] if self.activations and activation else []
        if self.trainable and layer.variables:
            facts.append("trainable" if layer.trainable else "not trainable")
        return [*lines, ", ".join(facts)] if facts else lines


def svg(model: Model, words: Words | None = None, expand_nested: bool = False) -> str:
    """Return the picture as text; see `plot_model`."""
    from chainrule.models.functional import Functional

    words = words or Words()
    if isinstance(model, Functional):
        boxes = _graph(model, words, expand_nested)
    else:
        boxes = _stack(model, words)
    rows = _ranked(boxes)
    _order(rows)
    _place(rows)
    return _drawn(model.name, rows)


def _graph(model: Functional, words: Words, expand: bool) -> list[Box]:
    """Return a box for each input and each call, joined as they are called."""
    made: dict[int, Box] = {}
    boxes = []
    for symbol, layer in zip(model.inputs, model.entries, strict=True):
        boxes.append(Box(words.of(layer, None, shown(symbol.shape)), "input"))
        made[id(symbol)] = boxes[-1]
    return boxes + _called(model.calls, words, made, "" if expand else None)


def _called(calls: list[Call], words: Words, made: dict[int, Box], within: str | None) -> list[Box]:
    """Return a box for each call; with `within`, what names begin with, those of nested models in
    the place of the models."""
    total = Counter(id(call.layer) for call in calls)
    count: Counter[int] = Counter()
    boxes: list[Box] = []
    for call in calls:
        count[id(call.layer)] += 1
        inner = None if within is None else _inside(call.layer)
        if inner is not None:
            ins, outs, found = inner
            made |= {id(s): made[id(t)] for s, t in zip(ins, call.inputs(), strict=True)}
            boxes += _called(found, words, made, f"{within}{call.layer.name}/")
            made |= {id(t): made[id(s)] for s, t in zip(outs, call.outputs, strict=True)}
            continue
        texts = words.of(call.layer, _shapes(call.inputs()), _shapes(call.outputs), within or "")
        box = Box(texts, _kind(call.layer))
        if total[id(call.layer)] > 1:
            box.texts.append(f"shared: call {count[id(call.layer)]} of {total[id(call.layer)]}")
        for symbol in call.inputs():
            _join(made[id(symbol)], box)
        made |= {id(symbol): box for symbol in call.outputs}
        boxes.append(box)
    return boxes


def _inside(layer: Layer) -> tuple[list[Symbol], list[Symbol], list[Call]] | None:
    """Return inputs, outputs and calls of a model that is a graph or a stack."""
    from chainrule.models.functional import Functional
    from chainrule.models.sequential import Sequential

    if isinstance(layer, Functional):
        return layer.inputs, layer.outputs, layer.calls
    if isinstance(layer, Sequential) and layer.layers:
        return layer.inputs, layer.outputs, [symbol.call for symbol in layer.graph()[1:]]
    return None


def _stack(model: Model, words: Words) -> list[Box]:
    """Return a box for each layer; those of a `Sequential` joined one after the other."""
    from chainrule.models.sequential import Sequential

    boxes: list[Box] = []
    found = model.layer_shapes()
    before: Any = model.input_shape
    if isinstance(model, Sequential):
        boxes.append(Box(["Input", *([shown(before)] if words.shapes else [])], "input"))
    for layer in model.layers:
        out = found.get(layer.name)
        given = shown(before) if boxes else None
        boxes.append(Box(words.of(layer, given, shown(out)), _kind(layer)))
        before = out
        if isinstance(model, Sequential):
            _join(boxes[-2], boxes[-1])
    return boxes


def _shapes(symbols: list[Symbol]) -> str:
    return ", ".join(shown(symbol.shape) for symbol in symbols)


def _kind(layer: Layer) -> str:
    from chainrule.models.model import Model

    if isinstance(layer, InputLayer):
        return "input"
    return "model" if isinstance(layer, Model) else "layer"


def _join(upper: Box, lower: Box) -> None:
    upper.below.append(lower)
    lower.above.append(upper)


def _ranked(boxes: list[Box]) -> list[list[Box]]:
    """Return the boxes in rows, each below all that it takes from; long lines get bends."""
    for i, box in enumerate(boxes):
        box.rank = 1 + max((b.rank for b in box.above), default=-1)
        if not box.above and not box.below:
            box.rank = i  # layers of which no connections are known stand one below the other
    for box in boxes:
        if not box.above and box.below:  # inputs stand close to where they are used
            box.rank = min(b.rank for b in box.below) - 1
    rows: list[list[Box]] = [[] for _ in range(max((b.rank for b in boxes), default=0) + 1)]
    for box in boxes:
        rows[box.rank].append(box)
    for box in boxes:
        for i, lower in enumerate(list(box.below)):
            if lower.rank > box.rank + 1:
                _bend(box, i, lower, rows)
    return rows


def _bend(box: Box, place: int, lower: Box, rows: list[list[Box]]) -> None:
    """Lead one line through a bend in each row between its ends."""
    end = lower.above.index(box)
    last = box
    for rank in range(box.rank + 1, lower.rank):
        bend = Box([], "bend", [last], rank=rank)
        rows[rank].append(bend)
        if last is box:
            box.below[place] = bend
        else:
            last.below.append(bend)
        last = bend
    last.below.append(lower)
    lower.above[end] = last


def _order(rows: list[list[Box]]) -> None:
    """Sort each row by the places of its neighbours, down and up, so that few lines cross."""
    for row in rows:
        for i, box in enumerate(row):
            box.x = float(i)
    for sweep in range(8):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            places = {id(b): _mean(b.above if down else b.below, b.x) for b in row}
            row.sort(key=lambda b: places[id(b)])
            for i, box in enumerate(row):
                box.x = float(i)


def _mean(boxes: list[Box], otherwise: float) -> float:
    return sum(b.x for b in boxes) / len(boxes) if boxes else otherwise


def _place(rows: list[list[Box]]) -> None:
    """Give each box its centre: near its neighbours, without touching another."""
    y = float(_MARGIN)
    for row in rows:
        height = max((b.height for b in row), default=0.0)
        for box in row:
            box.y, box.row = y + height / 2, height
        y += height + _GAP_Y
        _spread(row, [i * 120.0 for i in range(len(row))])
    for sweep in range(12):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            _spread(row, [_mean(b.above if down else b.below, b.x) for b in row])
    left = min(b.x - b.width / 2 for row in rows for b in row)
    for row in rows:
        for box in row:
            box.x += _MARGIN - left


def _spread(row: list[Box], wanted: list[float]) -> None:
    """Put the boxes of a row where they are wanted, as far as they do not overlap."""
    places: list[float] = []
    for i, (box, x) in enumerate(zip(row, wanted, strict=True)):
        if i:
            least = places[-1] + (row[i - 1].width + box.width) / 2 + _GAP_X
            x = max(x, least)
        places.append(x)
    # What was pushed to the right on the whole goes back to the left by as much.
    shift = sum(p - w for p, w in zip(places, wanted, strict=True)) / max(len(row), 1)
    for box, x in zip(row, places, strict=True):
        box.x = x - shift


def _drawn(name: str, rows: list[list[Box]]) -> str:
    boxes = [b for row in rows for b in row]
    width = max(b.x + b.width / 2 for b in boxes) + _MARGIN
    height = max(b.y + b.height / 2 for b in boxes) + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="Helvetica, Arial, sans-serif" '
        'font-size="12.5">',
        f"<title>{escape(name)}</title>",
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0,0.5 L8,4 L0,7.5 z" fill="#5b6b7f"/></marker>'
        "</defs>",
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    parts += [_line(box, i) for box in boxes if box.texts for i in range(len(box.below))]
    parts += [_box(box) for box in boxes if box.texts]
    return "\n".join([*parts, "</svg>", ""])


def _line(box: Box, place: int) -> str:
    """Return the line from a box down to the next, through the bends between."""
    x, y = box.x, box.y + box.height / 2
    path = [f"M{x:.1f},{y:.1f}"]
    lower = box.below[place]
    while True:
        end = lower.y - lower.height / 2
        middle = (y + end) / 2
        path.append(f"C{x:.1f},{middle:.1f} {lower.x:.1f},{middle:.1f} {lower.x:.1f},{end:.1f}")
        if lower.texts:
            break
        x, y = lower.x, end + lower.height
        path.append(f"L{x:.1f},{y:.1f}")
        lower = lower.below[0]
    style = 'fill="none" stroke="#5b6b7f" stroke-width="1.2" marker-end="url(#arrow)"'
    return f'<path d="{" ".join(path)}" {style}/>'


def _box(box: Box) -> str:
    left, top = box.x - box.width / 2, box.y - box.height / 2
    parts = [
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" '
        f'rx="5" fill="{_FILLS[box.kind]}" stroke="#8494aa"/>'
    ]
    for i, text in enumerate(box.texts):
        style = 'font-weight="bold"' if i == 0 else 'fill="#333"'
        y = top + 7 + _LINE * i + 12
        parts.append(
            f'<text x="{box.x:.1f}" y="{y:.1f}" text-anchor="middle" {style}>{escape(text)}</text>'
        )
    return "\n".join(parts)
