"""Categories as numbers without a vocabulary: their hashes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, DataError, unknown_name
from chainrule.graph.symbol import is_symbolic
from chainrule.layers.base import Layer, Shape
from chainrule.layers.fingerprints import fingerprint64, siphash64
from chainrule.layers.symbolic import connect

_MODES = ("int", "one_hot", "multi_hot", "count")


class Hashing(Layer):
    """``y = hash(x) mod num_bins``: words or whole numbers as one of so many, without a vocabulary.

    Different ones may get the same number. It runs on arrays in front of the step: on the data
    before `fit`, or as first layer of a `Sequential`.

    Shapes: x [n, ...] strings or whole numbers, y [n, ...] int64, or vectors of num_bins.

    Parameters
    ----------
    num_bins : int >= 1
        The bin of `mask_value` included.
    mask_value : str or int, optional
        What gets 0; all else then goes from 1 on.
    salt : int or pair of int, optional
        For another hash (SipHash), which cannot be foreseen without it; by default FarmHash.
    output_mode : {"int", "one_hot", "multi_hot", "count"}, default "int"
        The numbers; a vector for each; or one for each sample (along the last axis), 1 where a
        number occurs, or how often it does.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For an argument outside its range.
    DataError
        For what is no string or whole number.

    Examples
    --------
    >>> from chainrule.layers import Hashing
    >>> Hashing(num_bins=3)([["A"], ["B"], ["C"], ["D"], ["E"]]).ravel().tolist()
    [1, 0, 1, 1, 2]

    Notes
    -----
    The numbers are those of Keras.
    """

    on_host = True

    def __init__(
        self,
        num_bins: int,
        mask_value: str | int | None = None,
        salt: int | Sequence[int] | None = None,
        output_mode: str = "int",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if isinstance(num_bins, bool) or not isinstance(num_bins, int) or num_bins < 1:
            raise ArgumentError(f"num_bins is {num_bins!r}; expected a whole number of at least 1")
        if output_mode not in _MODES:
            raise unknown_name("output_mode", output_mode, _MODES)
        pair = [salt, salt] if isinstance(salt, int) else salt
        if pair is not None and (len(pair) != 2 or not all(isinstance(k, int) for k in pair)):
            raise ArgumentError(f"salt is {salt!r}; expected a whole number or two")
        self.num_bins, self.mask_value, self.output_mode = num_bins, mask_value, output_mode
        self.salt = None if pair is None else [int(k) for k in pair]
        self.built = True

    def __call__(  # type: ignore[override]
        self, inputs: Any, training: bool | None = None
    ) -> Any:
        """Return the numbers (int64) or vectors for an array of strings or whole numbers."""
        if is_symbolic(inputs):
            return connect(self, inputs)  # which says why it cannot
        return self.call(np.asarray(inputs), training=bool(training))

    def call(self, x: Any, training: bool = False) -> Any:
        """Return the encoded array."""
        values = x.ravel().tolist()
        bins = {value: self._bin(value) for value in dict.fromkeys(values)}
        found = np.array([bins[value] for value in values], np.int64).reshape(x.shape)
        return found if self.output_mode == "int" else self._encoded(found)

    def _bin(self, value: Any) -> int:
        masks = self.mask_value is not None and self.num_bins > 1
        if masks and value == self.mask_value:
            return 0
        if isinstance(value, bool) or not isinstance(value, str | bytes | int | float):
            raise DataError(f"Hashing takes strings and whole numbers, not {value!r}")
        if isinstance(value, float):
            if not value.is_integer():
                raise DataError(f"Hashing takes strings and whole numbers, not {value!r}")
            value = int(value)
        data = value if isinstance(value, bytes) else str(value).encode()
        found = fingerprint64(data) if self.salt is None else siphash64(data, self.salt)
        return found % (self.num_bins - masks) + masks

    def _encoded(self, bins: Array) -> Array:
        if self.output_mode == "one_hot":
            flat = bins[..., 0] if bins.ndim > 1 and bins.shape[-1] == 1 else bins
            hot: Array = (flat[..., None] == np.arange(self.num_bins)).astype(self.dtype)
            return hot
        rows = bins.reshape(-1, bins.shape[-1]) if bins.ndim else bins.reshape(1, 1)
        cells = np.arange(len(rows))[:, None] * self.num_bins + rows
        counts = np.bincount(cells.ravel(), minlength=len(rows) * self.num_bins)
        counts = counts.reshape(*bins.shape[:-1], self.num_bins).astype(self.dtype)
        return counts if self.output_mode == "count" else np.minimum(counts, 1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of what it gives."""
        shape = tuple(input_shape)
        if self.output_mode == "int":
            return shape
        if self.output_mode == "one_hot" and (len(shape) == 1 or shape[-1] != 1):
            return (*shape, self.num_bins)
        return (*shape[:-1], self.num_bins)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "num_bins": self.num_bins,
            "mask_value": self.mask_value,
            "salt": self.salt,
            "output_mode": self.output_mode,
        }
