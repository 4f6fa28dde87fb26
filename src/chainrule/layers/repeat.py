"""One vector as a sequence."""

from __future__ import annotations

from typing import Any

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.layers.base import Layer


class RepeatVector(Layer):
    """``y[b, i] = x[b]`` for i from 0 to ``n - 1``: each sample n times, as a sequence.

    Shapes: x [b, d], y [b, n, d].

    Parameters
    ----------
    n : int >= 1
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For a number below 1.
    ShapeError
        For samples that are no vectors.

    Examples
    --------
    >>> from chainrule.layers import RepeatVector
    >>> RepeatVector(2)([[1.0, 5.0]]).numpy().tolist()
    [[[1.0, 5.0], [1.0, 5.0]]]
    """

    def __init__(self, n: int, **options: Any) -> None:
        super().__init__(**options)
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ArgumentError(f"n is {n!r}; expected an integer of at least 1")
        self.n = n

    def detail(self) -> str:
        """Return the number of times."""
        return f"{self.n} times"

    def call(self, x: Value, training: bool = False) -> Value:
        """Return each sample n times."""
        if x.ndim != 2:
            raise ShapeError(f"a sample has shape {list(x.shape[1:])}; expected a vector [d]")
        return ops.broadcast_to(ops.expand_dims(x, 1), (x.shape[0], self.n, x.shape[1]))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "n": self.n}
