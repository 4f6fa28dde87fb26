"""The table of a model's layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule.models.memory import size

if TYPE_CHECKING:
    from rich.table import Table

    from chainrule.models.model import Model


def rows(model: Model) -> list[tuple[str, str, str]]:
    """Return name and class, output shape and number of weights of each layer."""
    shapes = model.layer_shapes()
    result = []
    for layer in model.layers:
        shape = shapes.get(layer.name)
        shown = "?" if shape is None else "(" + ", ".join(map(str, shape)) + ")"
        count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
        result.append((f"{layer.name} ({type(layer).__name__})", shown, count))
    return result


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
    for row in rows(model):
        drawn.add_row(*row)
    return drawn
