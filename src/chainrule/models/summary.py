"""The table of a model's layers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from chainrule.models.memory import size

if TYPE_CHECKING:
    from rich.table import Table

    from chainrule.models.model import Model


def rows(model: Model) -> list[tuple[str, ...]]:
    """Return name and class, output shape and number of weights of each layer.

    For a graph, also which layers its inputs come from.
    """
    shapes, sources = model.layer_shapes(), connections(model)
    result: list[tuple[str, ...]] = []
    for layer in model.layers:
        shape = shapes.get(layer.name)
        count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
        row = (f"{layer.name} ({type(layer).__name__})", shown(shape), count)
        result.append(row if sources is None else (*row, ", ".join(sources[layer.name]) or "-"))
    return result


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


def table(model: Model) -> Table:
    """Return the table as rich draws it."""
    from rich.table import Table

    drawn = Table("Layer (type)", "Output Shape", title=f'Model: "{model.name}"')
    drawn.title_justify = "left"
    drawn.add_column("Param #", justify="right")
    if connections(model) is not None:
        drawn.add_column("Connected to")
    for row in rows(model):
        drawn.add_row(*row)
    return drawn
