"""The networks of the table: what they are made of, what they weigh, what they compute."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Samples = NDArray[np.float32] | NDArray[np.int64]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """A layer without weights that keeps the shape of a sample."""

    moving: ClassVar[int] = 0  # so many of the last arrays are not trained

    def output(self, shape: Shape) -> Shape:
        """The shape of a sample behind the layer."""
        return shape

    def weights(self, shape: Shape, random: np.random.Generator) -> Iterator[Array]:
        """Initial values, in the order in which Keras has them."""
        yield from ()

    def parameters(self, shape: Shape) -> int:
        """How many numbers are trained."""
        return 0

    def operations(self, shape: Shape) -> int:
        """The floating-point operations of a sample's products."""
        return 0


class Weighed(Layer):
    """A kernel and a bias, which is small, so that none is special; Glorot uniform."""

    bias = True
    activation: str | None

    def kernel(self, shape: Shape) -> Shape:
        """The kernel's shape."""
        raise NotImplementedError

    def weights(self, shape: Shape, random: np.random.Generator) -> Iterator[Array]:
        *space, k, m = kernel = self.kernel(shape)
        limit = np.sqrt(6 / (math.prod(space) * (k + m)))
        yield random.uniform(-limit, limit, kernel).astype(np.float32)
        if self.bias:
            yield random.uniform(-0.1, 0.1, m).astype(np.float32)

    def parameters(self, shape: Shape) -> int:
        kernel = self.kernel(shape)
        return math.prod(kernel) + (kernel[-1] if self.bias else 0)

    def operations(self, shape: Shape) -> int:
        places = math.prod(self.output(shape)[:-1])
        return 2 * places * math.prod(self.kernel(shape))


@dataclass(frozen=True)
class Dense(Weighed):
    """A dense layer."""

    units: int
    activation: str | None = None

    def output(self, shape: Shape) -> Shape:
        return (self.units,)

    def kernel(self, shape: Shape) -> Shape:
        return (shape[-1], self.units)


@dataclass(frozen=True)
class Embedding(Layer):
    """A vector for each of ``tokens``; of the size of other values, so that gates feel it."""

    tokens: int
    size: int

    def output(self, shape: Shape) -> Shape:
        return (*shape, self.size)

    def weights(self, shape: Shape, random: np.random.Generator) -> Iterator[Array]:
        yield random.uniform(-1, 1, (self.tokens, self.size)).astype(np.float32)

    def parameters(self, shape: Shape) -> int:
        return self.tokens * self.size


_GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}


@dataclass(frozen=True)
class Recurrent(Layer):
    """A layer over sequences, forward or in both directions, whose last states (with ``sequences``
    all states) lie side by side; of ``kind`` "LSTM", "GRU" (reset after the product) or
    "SimpleRNN"."""

    kind: str
    units: int
    both: bool = True
    sequences: bool = False

    @property
    def directions(self) -> int:
        """In how many directions the sequences are read."""
        return 2 if self.both else 1

    @property
    def columns(self) -> int:
        """The width of the kernels, all gates side by side."""
        return _GATES[self.kind] * self.units

    def bias(self, random: np.random.Generator) -> Array:
        """Small; an LSTM's gate that keeps the state begins at 1, GRU's has a second row, which is
        the state's."""
        shape = (2, self.columns) if self.kind == "GRU" else (self.columns,)
        bias = random.uniform(-0.1, 0.1, shape)
        if self.kind == "LSTM":
            bias[self.units : 2 * self.units] += 1
        return bias.astype(np.float32)

    def output(self, shape: Shape) -> Shape:
        return (*shape[: self.sequences], self.directions * self.units)

    def weights(self, shape: Shape, random: np.random.Generator) -> Iterator[Array]:
        for _ in range(self.directions):
            for rows in (shape[-1], self.units):
                limit = np.sqrt(6 / (rows + self.columns))
                yield random.uniform(-limit, limit, (rows, self.columns)).astype(np.float32)
            yield self.bias(random)

    def parameters(self, shape: Shape) -> int:
        biases = 2 if self.kind == "GRU" else 1
        return self.directions * self.columns * (shape[-1] + self.units + biases)

    def operations(self, shape: Shape) -> int:
        steps, features = shape
        return 2 * self.directions * steps * self.columns * (features + self.units)


@dataclass(frozen=True)
class Conv(Weighed):
    """A convolution of ``size`` x ``size`` in steps of 1, ``valid`` or ``same``."""

    filters: int
    size: int
    activation: str | None = "relu"
    padding: str = "valid"
    bias: bool = True

    def output(self, shape: Shape) -> Shape:
        less = self.size - 1 if self.padding == "valid" else 0
        return (shape[0] - less, shape[1] - less, self.filters)

    def kernel(self, shape: Shape) -> Shape:
        return (self.size, self.size, shape[-1], self.filters)


@dataclass(frozen=True)
class Pool(Layer):
    """The maxima of squares side by side."""

    size: int = 2

    def output(self, shape: Shape) -> Shape:
        return (shape[0] // self.size, shape[1] // self.size, shape[2])


@dataclass(frozen=True)
class Norm(Layer):
    """Batch normalization of channels; `momentum` and `epsilon` are Keras's."""

    moving = 2
    momentum: float = 0.99
    epsilon: float = 1e-3

    def weights(self, shape: Shape, random: np.random.Generator) -> Iterator[Array]:
        c = shape[-1]
        yield random.uniform(0.5, 1.5, c).astype(np.float32)
        yield random.uniform(-0.1, 0.1, c).astype(np.float32)
        yield np.zeros(c, np.float32)
        yield np.ones(c, np.float32)

    def parameters(self, shape: Shape) -> int:
        return 2 * shape[-1]


@dataclass(frozen=True)
class Activation(Layer):
    """An activation on its own."""

    name: str


@dataclass(frozen=True)
class Flatten(Layer):
    """A sample as one row."""

    def output(self, shape: Shape) -> Shape:
        return (math.prod(shape),)


@dataclass(frozen=True)
class Dropout(Layer):
    """Dropout of a share of the values."""

    rate: float


@dataclass(frozen=True)
class Varied(Layer):
    """Augmentation by the layer of this name, in Keras and chainrule, with these arguments."""

    name: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Network:
    """Layers over samples of ``shape``; logits at the end."""

    name: str
    shape: Shape
    layers: tuple[Layer, ...]

    def __str__(self) -> str:
        return self.name

    @property
    def classes(self) -> int:
        """The number of logits."""
        (classes,) = self.layers[-1].output(())
        return classes

    @property
    def convolutional(self) -> bool:
        """Whether samples are images."""
        return self.samples == "images"

    @property
    def samples(self) -> str:
        """What samples are: "images", "sequences" or "rows"."""
        kinds = {Conv: "images", Recurrent: "sequences"}
        return next((kinds[type(each)] for each in self.layers if type(each) in kinds), "rows")

    @property
    def tokens(self) -> int:
        """How many tokens sequences are made of; 0 where samples are floats."""
        first = self.layers[0]
        return first.tokens if isinstance(first, Embedding) else 0

    def placed(self) -> Iterator[tuple[Layer, Shape]]:
        """Each layer with the shape of the samples that it is given."""
        shape = self.shape
        for layer in self.layers:
            yield layer, shape
            shape = layer.output(shape)

    def parameters(self) -> int:
        """The number of weights that are trained."""
        return sum(layer.parameters(shape) for layer, shape in self.placed())

    def operations(self, batch: int) -> int:
        """The floating-point operations of a step's products.

        Three products a layer (forward, gradient of the weights, gradient of the input), without
        the gradient of the data, which no one needs; that of an embedding's vectors is. They are
        counted as plain sums, also where Winograd's filtering does fewer, so that shares of a peak
        can be too large there.
        """
        products = [layer.operations(shape) for layer, shape in self.placed()]
        unneeded = 0 if self.tokens else next(filter(None, products))
        return batch * (3 * sum(products) - unneeded)

    def traffic(self) -> int:
        """The bytes that Adam must read and write: weights and two moments, each way."""
        return 6 * 4 * self.parameters()

    def weights(self, random: np.random.Generator) -> Iterator[tuple[Array, ...]]:
        """The initial weights of each layer."""
        for layer, shape in self.placed():
            yield tuple(layer.weights(shape, random))


def perceptron(widths: tuple[int, ...], activation: str) -> Network:
    """Dense layers of these widths, ``activation`` between them."""
    first, *hidden, last = widths
    layers = (*(Dense(units, activation) for units in hidden), Dense(last))
    return Network("-".join(map(str, widths)) + f" {activation}", (first,), layers)


IRIS = perceptron((4, 32, 16, 3), "tanh")
DIGITS = perceptron((784, 128, 10), "relu")
LENET = Network(
    "LeNet-5",
    (28, 28, 1),
    (
        Conv(6, 5), Pool(), Conv(16, 5), Pool(),
        Flatten(), Dense(120, "relu"), Dense(84, "relu"), Dense(10),
    ),
)  # fmt: skip
SHALLOW = Network(
    "32c-pool-128-10",
    (28, 28, 1),
    (Conv(32, 3), Pool(), Flatten(), Dense(128, "relu"), Dense(10)),
)
DEEP = Network(
    "32c-BN-32c-pool-64c-64c-pool-256-10",
    (32, 32, 3),
    (
        Conv(32, 3, padding="same"), Norm(), Conv(32, 3, padding="same"), Pool(),
        Conv(64, 3, padding="same"), Conv(64, 3, padding="same"), Pool(),
        Flatten(), Dense(256, "relu"), Dense(10),
    ),
)  # fmt: skip


def classifier(words: str, *layers: Recurrent, steps: int = 100) -> Network:
    """Vectors of 10,000 tokens, recurrent layers called ``words``, a dense layer, two logits."""
    head = (Dense(64, "relu"), Dense(2))
    return Network(f"10000x64-{words}-64-2 T{steps}", (steps,), (_VECTORS, *layers, *head))


_VECTORS = Embedding(10_000, 64)
_LSTM = Recurrent("LSTM", 64)
LSTM = classifier("biLSTM64", _LSTM)
LSTM_LONG = classifier("biLSTM64", _LSTM, steps=500)
LSTM_TWO = classifier(
    "LSTM256-LSTM256",
    Recurrent("LSTM", 256, both=False, sequences=True),
    Recurrent("LSTM", 256, both=False),
)
GRU = classifier("biGRU64", Recurrent("GRU", 64))
SIMPLE = classifier("biSimpleRNN64", Recurrent("SimpleRNN", 64))
