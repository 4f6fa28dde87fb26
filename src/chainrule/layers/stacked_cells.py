"""Cells on top of each other, as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.graph import Value
from chainrule.layers.base import Layer, Shape
from chainrule.layers.recurrent_cell import checked_cell, first_states, output_size_of, stepped


class StackedRNNCells(Layer):
    """One cell made of several: each takes what the one below puts out, for `RNN`.

    Parameters
    ----------
    cells : sequence of Layer
        From the lowest to the highest.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For no cells, or one that is none.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import RNN, LSTMCell, StackedRNNCells
    >>> RNN(StackedRNNCells([LSTMCell(8), LSTMCell(4)]))(np.ones((2, 5, 3))).shape
    (2, 4)
    """

    def __init__(self, cells: Sequence[Any], **options: Any) -> None:
        super().__init__(**options)
        self.cells = [checked_cell(cell) for cell in cells]
        if not self.cells:
            raise ArgumentError("StackedRNNCells needs at least one cell")

    @property
    def state_size(self) -> list[Any]:
        """The state sizes of the cells."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """The units of the output of the highest cell."""
        return output_size_of(self.cells[-1])

    def build(self, input_shape: Shape) -> None:
        """Make the weights of the cells."""
        shape: Shape = tuple(input_shape)
        for cell in self.cells:
            if isinstance(cell, Layer):
                cell.build_for(shape)
            shape = (None, output_size_of(cell))

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """Return the first states of each cell."""
        found = []
        for cell in self.cells:
            states = first_states(cell, batch_size, self.dtype)
            single = isinstance(cell.state_size, int) and isinstance(states, list | tuple)
            found.append(states[0] if single else states)
        return found

    def call(  # type: ignore[override]
        self, x: Value, states: Any, training: bool = False
    ) -> Any:
        """Return the output of the highest cell, and the new states of all."""
        new = []
        for cell, old in zip(self.cells, states, strict=True):
            many = isinstance(old, list | tuple)
            x, found = stepped(cell, x, list(old) if many else [old], training)
            new.append(found if many else found[0])
        return x, new

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this cell again."""
        from chainrule.layers import serialize

        return {**super().get_config(), "cells": [serialize(cell) for cell in self.cells]}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, type[Layer]] | None = None
    ) -> Any:
        """Return the cells that `get_config` described; `custom_objects` are your own."""
        from chainrule.layers import deserialize

        cells = [deserialize(cell, custom_objects) for cell in config["cells"]]
        return cls(**{**config, "cells": cells})
