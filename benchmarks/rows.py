"""The rows of the table: which network, which batch, and the ratio it has to reach."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .networks import (
    DEEP,
    DIGITS,
    GRU,
    IRIS,
    LENET,
    LSTM,
    LSTM_LONG,
    LSTM_TWO,
    SHALLOW,
    SIMPLE,
    Array,
    Network,
    Samples,
)

EPSILON = 1e-10  # so small that it does not matter where in the formula it stands
_DATA_BYTES = 100e6  # an epoch's data: more than any cache holds, as with data of one's own
_OPERATIONS = 13e9  # an epoch's: a second for PyTorch
_MOST_STEPS, _LEAST_STEPS = 2000, 16


@dataclass(frozen=True)
class Row:
    """One line of the table; ``must`` and ``aim`` are ratios to the best of the PyTorches, None
    where none is owed."""

    network: Network
    batch: int
    must: float | None = None
    aim: float | None = None
    rate: float = 1e-3

    @property
    def name(self) -> str:
        """What the row is called on the command line."""
        return f"{self.network} x{self.batch}".replace(" ", "/")

    def steps(self) -> int:
        """The number of batches in the data."""
        fitting = _DATA_BYTES / (4 * self.batch * math.prod(self.network.shape))
        timely = _OPERATIONS / self.network.operations(self.batch)
        return max(_LEAST_STEPS, min(_MOST_STEPS, int(fitting), int(timely)))


@dataclass(frozen=True)
class Task:
    """A row with its data and each layer's initial weights: the same numbers for every peer."""

    row: Row
    x: Samples
    y: NDArray[np.int64]
    layers: tuple[tuple[Array, ...], ...]

    @property
    def weights(self) -> tuple[Array, ...]:
        """The initial weights in the order in which Keras has them."""
        return tuple(array for arrays in self.layers for array in arrays)

    @property
    def steps(self) -> int:
        """The number of batches."""
        return len(self.x) // self.row.batch

    def batches(self, count: int) -> Iterator[tuple[Samples, NDArray[np.int64]]]:
        """The first ``count`` batches."""
        size = self.row.batch
        for begin in range(0, count * size, size):
            yield self.x[begin : begin + size], self.y[begin : begin + size]


def task(row: Row, steps: int | None = None) -> Task:
    """The data of ``row``: points of normal noise, each labelled by a fixed random direction, or
    random tokens, labelled by the mean of such directions."""
    random = np.random.Generator(np.random.Philox(7))
    network, count = row.network, (steps or row.steps()) * row.batch
    layers = tuple(network.weights(random))
    features = network.tokens or math.prod(network.shape)
    directions = random.standard_normal((features, network.classes), dtype=np.float32)
    if network.tokens:
        tokens = random.integers(network.tokens, size=(count, *network.shape))
        return Task(row, tokens, directions[tokens].mean(axis=1).argmax(axis=1), layers)
    x = random.standard_normal((count, features), dtype=np.float32)
    return Task(row, x.reshape(count, *network.shape), (x @ directions).argmax(axis=1), layers)


ROWS = (
    Row(IRIS, 16, must=40, aim=80),
    Row(DIGITS, 1, must=5, aim=8),
    Row(DIGITS, 32, must=3.5, aim=4.5),
    Row(DIGITS, 128, must=2, aim=2.6),
    Row(DIGITS, 512, must=1.4, aim=1.7),
    Row(LENET, 32, must=3, aim=5),
    Row(LENET, 128, must=3, aim=5),
    Row(SHALLOW, 32, must=6, aim=9),
    Row(SHALLOW, 128, must=6, aim=9),
    # With 1e-3 the loss triples in a step, and rounding errors grow with it.
    Row(DEEP, 32, must=1.3, aim=1.6, rate=2e-5),
    Row(LSTM, 32, must=2, aim=2.6),
    Row(LSTM, 128, must=2.4, aim=3),
    Row(GRU, 32),
    Row(SIMPLE, 32),
    Row(LSTM_TWO, 32),
    Row(LSTM_LONG, 32),
)
COSTS = ROWS[2]  # for which it is told what import, first step and memory cost each package


def by_name(name: str) -> Row:
    """The row called ``name``."""
    return next(row for row in ROWS if row.name == name)
