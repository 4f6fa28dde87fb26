"""The table of a model's layers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from chainrule.errors import ArgumentError
from chainrule.models.memory import size

if TYPE_CHECKING:
    from rich.table import Table

    from chainrule.layers import Layer
    from chainrule.models.model import Model


def rows(
    model: Model,
    nested: bool = False,
    trainable: bool = False,
    chosen: Sequence[str] | None = None,
) -> list[tuple[str, ...]]:
    """Return name and class, output shape and number of weights of each layer.

    For a graph, also which layers its inputs come from. With `nested`, the layers of a model within
    the model follow it; with `trainable`, it is told whether training moves a layer; `chosen` are
    the patterns of the names of the first layer and the last.
    """
    sources = connections(model)
    result = _rows(model, model.layers if chosen is None else _between(model, chosen), nested, 0)
    found: list[tuple[str, ...]] = []
    for depth, within, layer in result:
        shape = within.layer_shapes().get(layer.name)
        count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
        indent = "  " * depth + "\u2514 " if depth else ""
        title = f"{indent}{layer.name} ({type(layer).__name__})"
        row: tuple[str, ...] = (title, shown(shape), count)
        if sources is not None:
            row = (*row, "" if depth else ", ".join(sources[layer.name]) or "-")
        found.append((*row, _moved(layer)) if trainable else row)
    return found


def _rows(
    model: Model, layers: Sequence[Layer], nested: bool, depth: int
) -> Iterator[tuple[int, Model, Layer]]:
    """Yield layers with how deep they stand, and in which model."""
    from chainrule.models.model import Model

    for layer in layers:
        yield depth, model, layer
        if nested and isinstance(layer, Model):
            yield from _rows(layer, layer.layers, nested, depth + 1)


def _between(model: Model, chosen: Sequence[str]) -> list[Layer]:
    """Return the layers from the first whose name fits the first pattern to the last that fits the
    second."""
    first, last = chosen
    begin = [i for i, layer in enumerate(model.layers) if re.match(first, layer.name)]
    end = [i for i, layer in enumerate(model.layers) if re.match(last, layer.name)]
    if not begin or not end:
        raise ArgumentError(
            f"layer_range is {tuple(chosen)}, but no layer of {model.label} is called "
            f"{first if not begin else last!r}"
        )
    return model.layers[begin[0] : end[-1] + 1]


def _moved(layer: Layer) -> str:
    """Return whether training moves the weights; a line where there are none."""
    return "-" if layer.built and not layer.variables else "Y" if layer.trainable else "N"


def shown(shape: Any) -> str:
    """Return a shape as text; a question mark where it is not known."""
    return "?" if shape is None else "(" + ", ".join(map(str, shape)) + ")"


def connections(model: Model) -> dict[str, list[str]] | None:
    """Return the names of what each layer of a graph is called with, call by call.

    The second output of a layer, or of the second call of a shared one, is ``name[1]``; of models
    that are no graphs nothing is known.
    """
    from chainrule.models.functional import Functional

    if not isinstance(model, Functional):
        return None
    names = {id(s): e.name for s, e in zip(model.inputs, model.entries, strict=True)}
    found: dict[str, list[str]] = {layer.name: [] for layer in model.layers}
    count: Counter[str] = Counter()
    for call in model.calls:
        found[call.layer.name] += [names[id(s)] for s in call.inputs()]
        for symbol in call.outputs:
            i = count[call.layer.name]
            names[id(symbol)] = f"{call.layer.name}[{i}]" if i else call.layer.name
            count[call.layer.name] += 1
    return found


def totals(model: Model) -> list[str]:
    """Return the lines under the table."""
    trained = {id(v) for v in model.trainable_variables}
    everything = list(model.weights)
    groups = {
        "Total params": everything,
        "Trainable params": [v for v in everything if id(v) in trained],
        "Non-trainable params": [v for v in everything if id(v) not in trained],
    }
    lines = []
    for name, group in groups.items():
        nbytes = sum(v.value.nbytes for v in group)
        lines.append(f" {name}: {sum(v.size for v in group):,} ({size(nbytes)})")
    return lines


def table(
    model: Model,
    nested: bool = False,
    trainable: bool = False,
    chosen: Sequence[str] | None = None,
) -> Table:
    """Return the table as rich draws it; see `rows`."""
    from rich.table import Table

    drawn = Table("Layer (type)", "Output Shape", title=f'Model: "{model.name}"')
    drawn.title_justify = "left"
    drawn.add_column("Param #", justify="right")
    if connections(model) is not None:
        drawn.add_column("Connected to")
    if trainable:
        drawn.add_column("Trainable", justify="center")
    for row in rows(model, nested, trainable, chosen):
        drawn.add_row(*row)
    return drawn
