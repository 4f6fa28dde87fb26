"""The arrays of one run side by side: checked, split, and the order they are visited in."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule.data.arrays import as_numbers
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, DataError

Order = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Batches:
    """Samples `x`, targets `y` and sample weights, of equal length and C-contiguous.

    `first` is the row of the user's arrays that row 0 was, `rows` how many those have, `source` the
    call they were given to; errors name them. `more` holds the arrays of further inputs and
    outputs: ``"x:1"``, ``"y:1"``, ``"weights:1"`` are those of the second; `labels` their names.
    `where` says in words where a row came from, for those that are not rows of the user's arrays.
    """

    x: Array
    y: Array | None = None
    weights: Array | None = None
    first: int = 0
    source: str = "fit"
    rows: int = 0
    more: Mapping[str, Array] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    where: Callable[[int], str] | None = None

    def __len__(self) -> int:
        return len(self.x)

    def part(self, begin: int, end: int) -> Batches:
        """Return the rows from `begin` to `end`, which share this one's memory."""
        y = None if self.y is None else self.y[begin:end]
        weights = None if self.weights is None else self.weights[begin:end]
        rows = self.rows or len(self)
        more = {name: array[begin:end] for name, array in self.more.items()}
        where = None if self.where is None else functools.partial(_behind, self.where, begin)
        return Batches(
            self.x[begin:end],
            y,
            weights,
            self.first + begin,
            self.source,
            rows,
            more,
            self.labels,
            where,
        )

    def arrays(self) -> dict[str, Array]:
        """Return the arrays by name."""
        named = {"x": self.x, "y": self.y, "weights": self.weights, **self.more}
        return {name: array for name, array in named.items() if array is not None}

    def place(self, row: int) -> str:
        """Return where the user finds a row, e.g. ``"row 12"``."""
        return f"row {self.first + row}" if self.where is None else self.where(row)

    def named(self, name: str) -> Array | None:
        """Return the array of this name: x, y, weights, or one of `more`."""
        known = {"x": self.x, "y": self.y, "weights": self.weights}
        return known[name] if name in known else self.more.get(name)

    def given(self, array: Array) -> list[int]:
        """Return the shape of the user's array that one of these is, or is a part of."""
        return [self.rows or len(self), *array.shape[1:]]


def _behind(where: Callable[[int], str], begin: int, row: int) -> str:
    return where(begin + row)


def collect(x: Any, y: Any = None, weights: Any = None, *, source: str) -> Batches:
    """Return checked arrays for one run.

    Raises
    ------
    DataError
        For arrays that are empty, of different lengths, or not of numbers.
    """
    arrays = {"x": as_numbers(x, "x")}
    if y is not None:
        arrays["y"] = as_numbers(y, "y")
    if weights is not None:
        arrays["sample_weight"] = _one_a_row(as_numbers(weights, "sample_weight"))
    _check_lengths(arrays, source)
    return Batches(arrays["x"], arrays.get("y"), arrays.get("sample_weight"), source=source)


def key(kind: str, number: int) -> str:
    """Return the name of an array: ``x``, ``y`` or ``weights`` of input or output `number`."""
    return f"{kind}:{number}" if number else kind


def collect_many(
    xs: Mapping[str, Any], ys: Mapping[str, Any], weights: Mapping[str, Any], *, source: str
) -> Batches:
    """Return checked arrays of several inputs and outputs, given by name; ``None`` is left out.

    Raises
    ------
    DataError
        For arrays that are empty, of different lengths, or not of numbers.
    """
    arrays: dict[str, Array] = {}
    labels: dict[str, str] = {}
    for kind, word, given in (
        ("x", "x", xs),
        ("y", "y", ys),
        ("weights", "sample_weight", weights),
    ):
        for i, (name, data) in enumerate(given.items()):
            if data is not None:
                label = f"{word}[{name!r}]"
                array = as_numbers(data, label)
                arrays[key(kind, i)] = _one_a_row(array) if kind == "weights" else array
                labels[key(kind, i)] = label
    _check_lengths({labels[name]: array for name, array in arrays.items()}, source)
    x, y, first = arrays.pop("x"), arrays.pop("y", None), arrays.pop("weights", None)
    return Batches(x, y, first, source=source, more=arrays, labels=labels)


def _one_a_row(weights: Array) -> Array:
    """Return the weights of samples as one axis; those of steps as they are."""
    if weights.ndim == 2 and weights.shape[1] == 1:
        return weights[:, 0]
    if weights.ndim == 0:
        raise DataError(
            f"sample_weight has shape {list(weights.shape)}; expected one number a sample or step."
        )
    return weights


def _check_lengths(arrays: Mapping[str, Array], source: str) -> None:
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        shapes = "\n".join(f"  {name:<7}: {list(a.shape)}" for name, a in arrays.items())
        raise DataError(f"{source} needs one row a sample in each array, but {told}.\n{shapes}")
    if not next(iter(lengths.values())):  # samples without steps are samples
        raise DataError(f"x is empty: {source} needs at least one sample.")


def with_class_weight(batches: Batches, class_weight: Mapping[int, float] | None) -> Batches:
    """Return the batches with each sample's weight times that of its class (1 where not named).

    Raises
    ------
    ArgumentError
        For classes that are not whole numbers from 0 on, or weights that are not numbers.
    DataError
        For targets that are no classes.
    """
    if class_weight is None:
        return batches
    if any(name.startswith("y:") for name in batches.more):
        raise ArgumentError(
            "class_weight is for models with one output; for several, give sample_weight by output"
        )
    labels = _labels(batches)
    classes, factors = _factors(class_weight)
    place = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
    weights: Array = np.where(classes[place] == labels, factors[place], np.float32(1))
    if batches.weights is not None:
        weights = _by_rows(weights, batches.weights).astype(np.float32)
    return replace(batches, weights=weights)


def _by_rows(one: Array, other: Array) -> Array:
    """Return the product of weights of samples, or of their steps; axes match from the first."""
    axes = max(one.ndim, other.ndim)
    product: Array = np.multiply(
        *(a.reshape(a.shape + (1,) * (axes - a.ndim)) for a in (one, other))
    )
    return product


def _factors(class_weight: Mapping[int, float]) -> tuple[Order, Array]:
    """Return the class numbers in order, and the weight of each."""
    try:
        pairs = sorted((operator.index(k), float(w)) for k, w in class_weight.items())
    except (TypeError, ValueError, AttributeError):
        pairs = []
    if not pairs or not all(0 <= k < 1 << 63 and 0 <= w < np.inf for k, w in pairs):
        raise ArgumentError(
            "class_weight must map class numbers (0, 1, ...) to weights of at least 0, "
            f"e.g. {{0: 1.0, 1: 5.0}}; it is {class_weight!r}"
        )
    classes, factors = zip(*pairs, strict=True)
    return np.array(classes, np.int64), np.array(factors, np.float32)


def _labels(batches: Batches) -> npt.NDArray[np.int64]:
    """Return the class number of each sample, from numbers or one-hot vectors."""
    y = batches.y
    if y is None or y.ndim > 2:
        raise DataError("class_weight needs y to be class numbers [n] or one-hot vectors [n, k].")
    if y.ndim == 2:
        return y.argmax(axis=1) if y.shape[1] > 1 else _whole(y[:, 0], batches)
    return _whole(y, batches)


def _whole(y: Array, batches: Batches) -> npt.NDArray[np.int64]:
    labels = np.nan_to_num(y, nan=-1.0).astype(np.int64)
    if wrong := np.flatnonzero((labels != y) | (labels < 0))[:1].tolist():
        row = wrong[0]
        raise DataError(
            f"class_weight needs class numbers, but the label in {batches.place(row)} is {y[row]}."
        )
    return labels


def split(batches: Batches, fraction: float) -> tuple[Batches, Batches | None]:
    """Return the first rows to train on and the last `fraction` of them to validate with.

    Raises
    ------
    ArgumentError
        Where `fraction` is not from 0 (no validation) to less than 1, or leaves a part empty.
    """
    n = len(batches)
    cut = cut_at(n, fraction)
    return (batches.part(0, cut), batches.part(cut, n)) if cut else (batches, None)


def cut_at(n: int, fraction: float) -> int:
    """Return how many of n samples are trained on, 0 where none are held out; see `split`."""
    try:
        valid = 0 <= float(fraction) < 1
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ArgumentError(f"validation_split is {fraction!r}; expected 0 <= split < 1")
    if not fraction:
        return 0
    cut = int(n * (1 - fraction))
    if cut in (0, n):
        raise ArgumentError(
            f"validation_split={fraction} of {n} samples leaves {cut} to train on "
            f"and {n - cut} to validate with"
        )
    return cut


def permutation(seed: int, epoch: int, n: int, stream: int = 0) -> Order:
    """Return the order of an epoch: a function of seed, epoch, number of samples and stream."""
    key = np.array([seed, epoch], np.uint64)
    counter = np.array([0, 0, 0, stream], np.uint64)
    return np.random.Generator(np.random.Philox(counter=counter, key=key)).permutation(n)
