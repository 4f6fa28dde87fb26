"""Numbers of words, or of anything else that is counted, as vectors that are learnt."""

from __future__ import annotations

import warnings
from typing import Any

from chainrule import constraints, initializers, ops, regularizers
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.layers.base import Layer, Shape


class Embedding(Layer):
    """``y[n, ..., :] = embeddings[x[n, ...]]``: a vector of its own for each number.

    The gradient is that of the dense rule: rows that are looked up several times add up, all
    others have a gradient of 0, with which optimizers that remember (Adam, momentum) still move
    them.

    Shapes: x [n, ...] of whole numbers, embeddings [input_dim, output_dim], y [n, ..., output_dim].

    Parameters
    ----------
    input_dim : int >= 1
        How many numbers there are: x goes from 0 to ``input_dim - 1``.
    output_dim : int >= 1
        The size of the vectors.
    embeddings_initializer : str, Initializer or callable, default "uniform"
        Between -0.05 and 0.05.
    embeddings_regularizer : str, Regularizer or callable, optional
        Its penalty is added to the loss.
    embeddings_constraint : str, Constraint or callable, optional
        What the vectors are held to after each step.
    mask_zero : bool, default False
        Whether 0 stands for no word: the outputs then have a mask, False where x is 0.
    weights : array_like, optional
        The vectors to begin with, e.g. pretrained; with ``trainable=False`` they stay.
    **options
        `name`, `trainable`, `dtype`, `input_shape`: see `Layer`. `input_length`, which Keras once
        needed, says nothing.

    Raises
    ------
    ArgumentError
        For sizes below 1.
    ShapeError
        For `weights` of another shape.
    DataError
        In a run, for a number that is none of ``input_dim``.

    Examples
    --------
    >>> from chainrule.layers import Embedding
    >>> layer = Embedding(3, 2, weights=[[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]], mask_zero=True)
    >>> y = layer([[2, 1, 0]])
    >>> y.numpy().tolist()
    [[[3.0, 4.0], [1.0, 2.0], [0.0, 0.0]]]
    >>> y.mask.numpy().tolist()
    [[True, True, False]]

    Notes
    -----
    Source: Bengio et al., "A neural probabilistic language model", JMLR 3 (2003), section 2.
    """

    input_dtype = "int64"

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        **options: Any,
    ) -> None:
        if options.pop("input_length", None) is not None:
            warnings.warn("Embedding: input_length says nothing; leave it out", stacklevel=2)
        super().__init__(**options)
        self.input_dim = _size("input_dim", input_dim)
        self.output_dim = _size("output_dim", output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = bool(mask_zero)
        self.supports_masking = self.mask_zero
        if weights is not None:
            self.build_for((None,))
            one = isinstance(weights, list | tuple) and len(weights) == 1
            self.set_weights(weights if one and self.input_dim > 1 else [weights])

    def detail(self) -> str:
        """Return how many vectors there are."""
        return f"{self.input_dim} numbers"

    def build(self, input_shape: Shape) -> None:
        """Make the vectors."""
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            name="embeddings",
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )

    def call(self, x: Value, training: bool = False) -> Value:
        """Return the vectors of the numbers."""
        numbers = x if x.dtype in ("int32", "int64") else ops.cast(x, "int64")
        return ops.take(self.embeddings, numbers, axis=0)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Value | None:
        """Return where the numbers are not 0; None without `mask_zero`."""
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape with an axis for the vectors behind it."""
        if any(not (n is None or isinstance(n, int)) for n in input_shape):
            raise ShapeError(f"Embedding takes one input, not inputs of shapes {input_shape}")
        self.build_for(input_shape)
        return (*input_shape, self.output_dim)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again, but for the weights."""
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
            "embeddings_constraint": constraints.serialize(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
        }


def _size(name: str, value: Any) -> int:
    """Return an argument that must be a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ArgumentError(f"{name} is {value!r}; expected an integer of at least 1")
    return value
