"""What a model begins with: the shape of its samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.graph.symbol import Symbol
from chainrule.layers.base import Layer
from chainrule.layers.symbolic import entry

Size = int | None


class InputLayer(Layer):
    """Says the shape of one sample, so that the layers behind it are built at once.

    Parameters
    ----------
    shape : sequence of int or None
        Without the batch's axis; None is a size that may differ from batch to batch.
    name : str, optional
    dtype : str, optional
    batch_size : int, optional
        Says nothing: batches may have any size.
    batch_shape : sequence of int or None, optional
        The shape with the batch's axis in front, in place of `shape`.

    Examples
    --------
    >>> from chainrule.layers import InputLayer
    >>> InputLayer((28, 28)).shape
    (28, 28)
    """

    def __init__(
        self,
        shape: Size | Sequence[Size] | None = None,
        name: str | None = None,
        dtype: str | None = None,
        *,
        batch_size: int | None = None,
        batch_shape: Sequence[Size] | None = None,
    ) -> None:
        # What takes strings makes numbers of them, of the dtype that the other layers have.
        super().__init__(name=name, dtype=None if dtype == "string" else dtype)
        if (shape is None) == (batch_shape is None):
            raise ArgumentError("an input has a shape, or a batch_shape: give one of them")
        given = tuple(shape) if isinstance(shape, Sequence) else (shape,)
        given = given if batch_shape is None else tuple(batch_shape)[1:]
        if any(n is not None and (not isinstance(n, int) or n < 1) for n in given):
            raise ArgumentError(f"an input shape is made of sizes of at least 1, not {given!r}")
        self.shape = given
        self.built = True

    def symbol(self) -> Symbol:
        """Return the symbol of the data given to a model."""
        return entry(self, (None, *self.shape))

    def call(self, x: Any, training: bool = False) -> Any:
        """Return x."""
        return x

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        config = {**super().get_config(), "shape": list(self.shape)}
        del config["trainable"]  # there is nothing to train
        return config


def Input(  # noqa: N802 - Keras's name
    shape: Size | Sequence[Size] | None = None,
    name: str | None = None,
    dtype: str | None = None,
    *,
    batch_size: int | None = None,
    batch_shape: Sequence[Size] | None = None,
) -> Symbol:
    """Return the input of a model: samples of `shape`, without the batch's axis.

    It is the first thing in a `Sequential`, or what layers are called with to make a
    ``Model(inputs, outputs)``.

    Parameters
    ----------
    shape : sequence of int or None
        Each size at least 1; None is one that may differ from batch to batch, as the number of
        steps of sequences.
    name : str, optional
        By which data are given in a dict.
    dtype : str, optional
        By default `floatx()`; ``"string"`` in front of `TextVectorization` and `StringLookup`.
    batch_size : int, optional
        Says nothing: batches may have any size.
    batch_shape : sequence of int or None, optional
        The shape with the batch's axis in front, in place of `shape`.

    Examples
    --------
    >>> from chainrule.layers import Dense, Input
    >>> from chainrule.models import Model, Sequential
    >>> Sequential([Input((4,)), Dense(3)]).count_params()
    15
    >>> x = Input((4,))
    >>> Model(x, Dense(3)(x)).count_params()
    15
    """
    return InputLayer(shape, name, dtype, batch_shape=batch_shape).symbol()
