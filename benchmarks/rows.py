"""The rows of the table: which network, which batch, and the ratio it has to reach."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

RATE = 1e-3
EPSILON = 1e-7
_DATA_BYTES = 100e6  # an epoch's data: more than any cache holds, as with data of one's own
_MOST_STEPS = 2000


@dataclass(frozen=True)
class Perceptron:
    """Dense layers of these widths, ``activation`` between them, logits at the end."""

    widths: tuple[int, ...]
    activation: str

    def __str__(self) -> str:
        return "-".join(map(str, self.widths)) + f" {self.activation}"

    def parameters(self) -> int:
        """The number of weights and biases."""
        return sum((k + 1) * m for k, m in pairwise(self.widths))

    def operations(self, batch: int) -> int:
        """The floating-point operations of a step's matrix products.

        Three products a layer (forward, gradient of the weights, gradient of the input), without
        the gradient of the data, which no one needs.
        """
        products = [2 * batch * k * m for k, m in pairwise(self.widths)]
        return 3 * sum(products) - products[0]

    def traffic(self) -> int:
        """The bytes that Adam must read and write: weights and two moments, each way."""
        return 6 * 4 * self.parameters()

    def weights(self, random: np.random.Generator) -> Iterator[NDArray[np.float32]]:
        """Kernel, bias, kernel, bias, ... (Glorot uniform; small biases, so none is special)."""
        for k, m in pairwise(self.widths):
            limit = np.sqrt(6 / (k + m))
            yield random.uniform(-limit, limit, (k, m)).astype(np.float32)
            yield random.uniform(-0.1, 0.1, m).astype(np.float32)


@dataclass(frozen=True)
class Row:
    """One line of the table; ``must`` and ``aim`` are ratios to the better of the two PyTorches."""

    network: Perceptron
    batch: int
    must: float
    aim: float

    @property
    def name(self) -> str:
        """What the row is called on the command line."""
        return f"{self.network} x{self.batch}".replace(" ", "/")

    def steps(self) -> int:
        """The number of batches in the data."""
        fitting = int(_DATA_BYTES // (4 * self.batch * self.network.widths[0]))
        return max(16, min(_MOST_STEPS, fitting))


@dataclass(frozen=True)
class Task:
    """A row with its data and initial weights: the same numbers for every peer."""

    row: Row
    x: NDArray[np.float32]
    y: NDArray[np.int64]
    weights: tuple[NDArray[np.float32], ...]

    def batches(self, count: int) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """The first ``count`` batches."""
        size = self.row.batch
        for begin in range(0, count * size, size):
            yield self.x[begin : begin + size], self.y[begin : begin + size]


def task(row: Row, steps: int | None = None) -> Task:
    """The data of ``row``: points of normal noise, each labelled by a fixed random direction."""
    random = np.random.Generator(np.random.Philox(7))
    widths = row.network.widths
    count = (steps or row.steps()) * row.batch
    weights = tuple(row.network.weights(random))
    directions = random.standard_normal((widths[0], widths[-1]), dtype=np.float32)
    x = random.standard_normal((count, widths[0]), dtype=np.float32)
    return Task(row, x, (x @ directions).argmax(axis=1), weights)


_IRIS = Perceptron((4, 32, 16, 3), "tanh")
_DIGITS = Perceptron((784, 128, 10), "relu")

ROWS = (
    Row(_IRIS, 16, must=40, aim=80),
    Row(_DIGITS, 1, must=5, aim=8),
    Row(_DIGITS, 32, must=3.5, aim=4.5),
    Row(_DIGITS, 128, must=2, aim=2.6),
    Row(_DIGITS, 512, must=1.4, aim=1.7),
)


def by_name(name: str) -> Row:
    """The row called ``name``."""
    return next(row for row in ROWS if row.name == name)
