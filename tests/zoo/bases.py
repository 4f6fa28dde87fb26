"""Networks that learn, one for each kind of data: what faults are planted in."""

from __future__ import annotations

from .plan import Part, Plan, part

CLASSES, BINARY = "sparse_categorical_crossentropy", "binary_crossentropy"


def dense(name: str, units: int, activation: str | None = "relu", **options: object) -> Part:
    """Return a `Dense` layer."""
    return part("Dense", name, units=units, activation=activation, **options)


def conv(name: str, filters: int, size: int = 3, **options: object) -> Part:
    """Return a `Conv2D` layer that keeps height and width."""
    given = {"activation": "relu", "padding": "same", **options}
    return part("Conv2D", name, filters=filters, kernel_size=size, **given)


def adam(rate: float = 1e-3) -> Part:
    """Return `Adam`."""
    return part("Adam", learning_rate=rate)


def sgd(rate: float = 0.1, momentum: float = 0.0) -> Part:
    """Return `SGD`."""
    return part("SGD", learning_rate=rate, momentum=momentum)


def stack(prefix: str, depth: int, units: int, activation: str, **options: object) -> list[Part]:
    """Return `Dense` layers one behind the other, ``prefix0``, ``prefix1``, ..."""
    return [dense(f"{prefix}{i}", units, activation, **options) for i in range(depth)]


def _softmax(units: int) -> Part:
    return dense("out", units, "softmax")


def _plan(
    name: str,
    data: str,
    parts: list[Part],
    loss: str,
    optimizer: Part,
    epochs: int,
    batch: int = 32,
) -> Plan:
    return Plan(name, data, tuple(parts), loss, optimizer, batch, epochs)


def _flat() -> Part:
    return part("Flatten", "flat")


_SIGMOID = dense("out", 1, "sigmoid")
_NUMBER = dense("out", 1, None)

_BASES = [
    _plan(
        "perceptron on digits",
        "digits",
        [_flat(), dense("h1", 64), _softmax(10)],
        CLASSES,
        adam(),
        4,
    ),
    _plan(
        "deep perceptron on digits",
        "digits",
        [_flat(), *stack("h", 5, 48, "relu", kernel_initializer="he_normal"), _softmax(10)],
        CLASSES,
        sgd(0.1),
        5,
    ),
    _plan(
        "tanh perceptron on digits",
        "digits",
        [_flat(), dense("h1", 64, "tanh"), dense("h2", 32, "tanh"), _softmax(10)],
        CLASSES,
        sgd(0.05, 0.9),
        4,
    ),
    _plan(
        "perceptron on blobs",
        "blobs",
        [dense("h1", 32), dense("h2", 32), _softmax(5)],
        CLASSES,
        adam(2e-3),
        6,
    ),
    _plan(
        "perceptron on spirals",
        "rings",
        [dense("h1", 32, "tanh"), dense("h2", 32, "tanh"), _SIGMOID],
        BINARY,
        adam(1e-2),
        16,
    ),
    _plan(
        "perceptron on credit",
        "credit",
        [dense("h1", 32), dense("h2", 16), _SIGMOID],
        BINARY,
        adam(2e-3),
        8,
    ),
    _plan(
        "perceptron on friedman",
        "friedman",
        [dense("h1", 48), dense("h2", 24), _NUMBER],
        "mse",
        adam(3e-3),
        12,
    ),
    _plan(
        "perceptron on waves",
        "waves",
        [dense("h1", 32, "tanh"), dense("h2", 32, "tanh"), _NUMBER],
        "mse",
        adam(1e-2),
        12,
    ),
    _plan(
        "linear on products",
        "products",
        [dense("h1", 8, None), dense("out", 4, None)],
        "mse",
        sgd(0.1),
        8,
    ),
    _plan(
        "convolutions on digits",
        "small digits",
        [
            conv("c1", 8),
            part("MaxPooling2D", "p1"),
            conv("c2", 16),
            part("MaxPooling2D", "p2"),
            _flat(),
            _softmax(10),
        ],
        CLASSES,
        adam(3e-3),
        4,
    ),
    _plan(
        "convolutions on bars",
        "bars",
        [
            conv("c1", 8),
            part("MaxPooling2D", "p1"),
            conv("c2", 12),
            _flat(),
            dense("h1", 24),
            _softmax(4),
        ],
        CLASSES,
        sgd(0.05, 0.9),
        5,
    ),
    _plan(
        "convolutions on tones",
        "tones",
        [
            part("Conv1D", "c1", filters=12, kernel_size=7, activation="relu"),
            part("MaxPooling1D", "p1"),
            part("Conv1D", "c2", filters=16, kernel_size=5, activation="relu"),
            part("GlobalAveragePooling1D", "mean"),
            _softmax(4),
        ],
        CLASSES,
        adam(5e-3),
        8,
    ),
    _plan(
        "lstm on spoken digits",
        "spoken",
        [part("LSTM", "r1", units=32), _softmax(10)],
        CLASSES,
        adam(1e-2),
        6,
    ),
    _plan(
        "rnn on spoken digits",
        "spoken",
        [
            part("Masking", "mask"),
            part("SimpleRNN", "r1", units=32, activation="tanh"),
            _softmax(10),
        ],
        CLASSES,
        adam(3e-3),
        8,
    ),
    _plan("gru on sums", "sums", [part("GRU", "r1", units=24), _NUMBER], "mse", adam(1e-2), 8),
    _plan(
        "mean of words on reviews",
        "reviews",
        [
            part("Embedding", "words", input_dim=1501, output_dim=16),
            part("GlobalAveragePooling1D", "mean"),
            dense("h1", 16),
            _SIGMOID,
        ],
        BINARY,
        adam(2e-3),
        4,
        64,
    ),
    _plan(
        "lstm on reviews",
        "reviews",
        [
            part("Embedding", "words", input_dim=1501, output_dim=12),
            part("LSTM", "r1", units=16),
            _SIGMOID,
        ],
        BINARY,
        adam(5e-3),
        2,
        64,
    ),
]
BASES = {plan.name: plan for plan in _BASES}
_SHORT = {
    "digits": "perceptron on digits",
    "deep": "deep perceptron on digits",
    "tanh": "tanh perceptron on digits",
    "blobs": "perceptron on blobs",
    "spirals": "perceptron on spirals",
    "credit": "perceptron on credit",
    "friedman": "perceptron on friedman",
    "waves": "perceptron on waves",
    "products": "linear on products",
    "images": "convolutions on digits",
    "bars": "convolutions on bars",
    "tones": "convolutions on tones",
    "spoken": "lstm on spoken digits",
    "rnn": "rnn on spoken digits",
    "sums": "gru on sums",
    "words": "mean of words on reviews",
    "sentences": "lstm on reviews",
}


def base(short: str) -> Plan:
    """Return the healthy plan of this short name."""
    return BASES[_SHORT[short]]
