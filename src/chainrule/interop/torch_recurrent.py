"""Weights of PyTorch's recurrent modules: its order of gates, its two biases, its names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph import Variable
from chainrule.layers import GRUCell, Layer, LSTMCell, SimpleRNNCell
from chainrule.layers.conv_lstm import _ConvLSTMCell
from chainrule.layers.recurrent_cell import _Cell

_NAME = re.compile(r"(.*?)((?:weight|bias)_[ih]h)_(l\d+(?:_reverse)?)")
_PLACE = re.compile(r"(?:(.*)\.)?(l\d+(?:_reverse)?)")


def is_recurrent(layer: Layer) -> bool:
    """Return whether the weights of a layer are those of a recurrent module."""
    known = isinstance(layer, GRUCell | LSTMCell | SimpleRNNCell)
    return known and not isinstance(layer, _ConvLSTMCell)


@dataclass
class RecurrentPart:
    """A cell under its name within the model; `whole` where a layer over sequences stands there."""

    name: str
    layer: _Cell
    whole: bool = True

    def weights(self) -> dict[str, Variable]:
        """Return the weights by their names in PyTorch; the second bias has no variable here."""
        names = ("weight_ih", "weight_hh", "bias_ih")
        return dict(zip(names, self.layer._own, strict=False))

    def state(self) -> dict[str, Any]:
        """Return the weights as PyTorch has them, by their names."""
        return self._state([v.numpy() for v in self.layer._own])

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights as PyTorch has them."""
        state = self._state([np.zeros(v.shape) for v in self.layer._own])
        return {name: array.shape for name, array in state.items()}

    def _state(self, arrays: list[Any]) -> dict[str, Any]:
        kernel, inner, *rest = arrays
        found = {"weight_ih": self._turned(kernel).T, "weight_hh": self._turned(inner).T}
        if rest:
            if isinstance(self.layer, GRUCell) and not self.layer.reset_after:
                raise ArgumentError(
                    f"{self.layer.label} resets before its kernel, which PyTorch's does not.\n"
                    "  fix: GRU(..., reset_after=True), the default"
                )
            both = rest[0] if rest[0].ndim == 2 else np.stack([rest[0], 0 * rest[0]])
            found["bias_ih"], found["bias_hh"] = self._turned(both)
        return found

    def taken(self, arrays: Mapping[str, Any]) -> list[tuple[Variable, Any]]:
        """Return the variables with what PyTorch's weights are here."""
        given = [self._turned(arrays[n].T) for n in ("weight_ih", "weight_hh")]
        if self.layer.use_bias:
            both = self._turned(np.stack([arrays["bias_ih"], arrays["bias_hh"]]))
            given.append(both if len(self.layer.bias.shape) == 2 else both.sum(0))
        return list(zip(self.layer._own, given, strict=True))

    def _turned(self, array: Any) -> Any:
        """Return columns in the other package's order of gates: of a GRU r, z, n for z, r, n."""
        if self.layer.gates != 3:
            return array
        z, r, n = np.split(array, 3, axis=-1)
        return np.concatenate([r, z, n], axis=-1)

    def placed(self, module: str, name: str) -> str:
        """Return the name of a weight of the module, one of several as ``rnn.l0_reverse``."""
        found = _PLACE.fullmatch(module)
        if found:
            return f"{found[1]}.{name}_{found[2]}" if found[1] else f"{name}_{found[2]}"
        own = f"{name}_l0" if self.whole else name
        return f"{module}.{own}" if module else own


def split(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return arrays by names in which each layer and direction of a recurrent module is a module of
    its own: ``rnn.l0_reverse``, or ``rnn`` where it has one."""
    found = {name: _NAME.fullmatch(name) for name in arrays}
    places: dict[str, set[str]] = {}
    for match in found.values():
        if match:
            places.setdefault(match[1], set()).add(match[3])
    named = {}
    for name, array in arrays.items():
        match = found[name]
        if match and len(places[match[1]]) > 1:
            name = f"{match[1]}{match[3]}.{match[2]}"
        elif match:
            name = f"{match[1]}{match[2]}"
        named[name] = array
    return named
