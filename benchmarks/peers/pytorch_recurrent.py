"""PyTorch's recurrent modules with Keras's outputs, weights and biases."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from ..networks import Array, Recurrent

_KINDS: dict[str, Callable[..., nn.RNNBase]] = {"LSTM": nn.LSTM, "GRU": nn.GRU, "SimpleRNN": nn.RNN}


class Recurrence(nn.Module):
    """A recurrent layer; of its outputs all, or the last states of the directions, side by side."""

    def __init__(self, layer: Recurrent, features: int) -> None:
        super().__init__()
        self.layer = layer
        self.inner = _KINDS[layer.kind](
            features, layer.units, batch_first=True, bidirectional=layer.both
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, state = self.inner(x)
        if self.layer.sequences:
            return y
        last = state[0] if self.layer.kind == "LSTM" else state
        return torch.cat(tuple(last), dim=1)

    def fill(self, arrays: Sequence[Array]) -> None:
        """Copy kernel, kernel of the state and bias of each direction.

        LSTM and SimpleRNN have one bias in Keras: the second one here stays 0, as it would else
        move the sum of both by two steps of Adam.
        """
        for end, one in zip(("", "_reverse"), zip(*[iter(arrays)] * 3, strict=True), strict=False):
            kernel, inner, bias = (torch.from_numpy(self._turned(array)) for array in one)
            biases = bias if bias.ndim == 2 else torch.stack([bias, torch.zeros_like(bias)])
            values = {"weight_ih": kernel.T, "weight_hh": inner.T, "bias_ih": biases[0]}
            for name, value in {**values, "bias_hh": biases[1]}.items():
                getattr(self.inner, f"{name}_l0{end}").copy_(value)
            if bias.ndim == 1:
                getattr(self.inner, f"bias_hh_l0{end}").requires_grad_(False)

    def _turned(self, array: Array) -> Array:
        """The columns in PyTorch's order: of GRU's gates the first two change places."""
        if self.layer.kind != "GRU":
            return array
        update, reset, new = np.split(array, 3, axis=-1)
        return np.concatenate([reset, update, new], axis=-1)
