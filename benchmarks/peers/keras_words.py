"""A network in the words of Keras, which are chainrule's too."""

from types import ModuleType
from typing import Any

from ..networks import (
    Activation,
    Conv,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Layer,
    Network,
    Norm,
    Pool,
    Recurrent,
    Varied,
)


def layers(library: ModuleType, network: Network) -> list[Any]:
    """The input and the layers, made by ``library.layers``."""
    words = library.layers
    # JAX has no int64 unless told so.
    given = words.Input(network.shape, dtype="int32" if network.tokens else "float32")
    return [given, *(_made(words, layer) for layer in network.layers)]


def _made(words: ModuleType, layer: Layer) -> Any:
    match layer:
        case Dense(units, activation):
            return words.Dense(units, activation=activation)
        case Conv(filters, size, activation, padding, bias):
            return words.Conv2D(
                filters, size, padding=padding, activation=activation, use_bias=bias
            )
        case Embedding(tokens, size):
            return words.Embedding(tokens, size)
        case Recurrent(kind, units, both, sequences):
            one = getattr(words, kind)(units, return_sequences=sequences)
            return words.Bidirectional(one) if both else one
        case Pool(size):
            return words.MaxPooling2D(size)
        case Norm(momentum, epsilon):
            return words.BatchNormalization(momentum=momentum, epsilon=epsilon)
        case Activation(name):
            return words.Activation(name)
        case Flatten():
            return words.Flatten()
        case Dropout(rate):
            return words.Dropout(rate)
        case Varied(name, arguments):
            return getattr(words, name)(*arguments)
    raise TypeError(f"no word for {layer}")
