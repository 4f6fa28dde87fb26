"""PyTorch with fused Adam on batches that are tensors already: nothing but the steps is timed.

Four ways: the ordinary loop and compiled, each with images as PyTorch lays them out and with
channels last. The fastest counts.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from .. import networks
from ..networks import (
    Array,
    Conv,
    Dense,
    Embedding,
    Layer,
    Network,
    Norm,
    Pool,
    Recurrent,
    Samples,
    Shape,
)
from ..rows import EPSILON, Task
from .pytorch_recurrent import Recurrence

_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


class FlattenLast(nn.Module):
    """Rows of images whose channels lie last, in the order in which they lie: no copy."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


def network(description: Network, last: bool = False) -> nn.Sequential:
    """The network; with ``last`` for images whose channels lie last."""
    modules = [m for layer, shape in description.placed() for m in _modules(layer, shape, last)]
    model = nn.Sequential(*modules)
    return model.to(memory_format=torch.channels_last) if last else model


def _modules(layer: Layer, shape: Shape, last: bool) -> list[nn.Module]:
    match layer:
        case Dense(units, activation):
            return [nn.Linear(shape[-1], units), *_activation(activation)]
        case Conv(filters, size, activation, padding, bias):
            low = size // 2 if padding == "same" else 0
            conv = nn.Conv2d(shape[-1], filters, size, padding=low, bias=bias)
            return [conv, *_activation(activation)]
        case Embedding(tokens, size):
            return [nn.Embedding(tokens, size)]
        case Recurrent():
            return [Recurrence(layer, shape[-1])]
        case Pool(size):
            return [nn.MaxPool2d(size)]
        case Norm(momentum, epsilon):
            return [nn.BatchNorm2d(shape[-1], eps=epsilon, momentum=1 - momentum)]
        case networks.Activation(name):
            return _activation(name)
        case networks.Flatten():
            return [FlattenLast() if last else nn.Flatten()]
        case networks.Dropout(rate):
            return [nn.Dropout(rate)]
    raise TypeError(f"no module for {layer}")


def _activation(name: str | None) -> list[nn.Module]:
    return [_ACTIVATIONS[name]()] if name else []


@torch.no_grad()
def set_weights(model: nn.Sequential, task: Task, last: bool = False) -> None:
    """Give the model the task's initial weights."""
    modules = iter([module for module in model if list(module.parameters())])
    flattened: Shape = ()
    for (layer, shape), arrays in zip(task.row.network.placed(), task.layers, strict=True):
        if isinstance(layer, networks.Flatten):
            flattened = () if last else shape
        if arrays:
            if isinstance(layer, Dense) and flattened:
                arrays, flattened = (_channels_first(arrays[0], flattened), *arrays[1:]), ()
            _fill(next(modules), arrays)


def _channels_first(kernel: Array, shape: Shape) -> Array:
    """The rows of a kernel [h w c, m] in the order c h w."""
    return kernel.reshape(*shape, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)


def _fill(module: nn.Module, arrays: Sequence[Array]) -> None:
    """Copy arrays, kernels turned to [m, c, ...], to parameters, then to moving statistics."""
    if isinstance(module, Recurrence):
        module.fill(arrays)
        return
    turns = not isinstance(module, nn.Embedding)
    moving = [buffer for buffer in module.buffers() if buffer.ndim]
    for tensor, array in zip([*module.parameters(), *moving], arrays, strict=True):
        turned = np.moveaxis(array, (-1, -2), (0, 1)) if turns and array.ndim > 1 else array
        tensor.copy_(torch.from_numpy(np.ascontiguousarray(turned)))


def images(x: Samples, last: bool) -> torch.Tensor:
    """Samples as PyTorch wants them: rows as they are, images with the axis of channels second."""
    tensor = torch.from_numpy(x)
    if tensor.ndim < 4:
        return tensor
    layout = torch.channels_last if last else torch.contiguous_format
    return tensor.permute(0, 3, 1, 2).contiguous(memory_format=layout)


class Eager:
    """The ordinary loop."""

    last = False

    def __init__(self, task: Task) -> None:
        self.model = network(task.row.network, self.last)
        set_weights(self.model, task, self.last)
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), lr=task.row.rate, eps=EPSILON, fused=True
        )
        self.batches = [
            (images(x, self.last), torch.from_numpy(y)) for x, y in task.batches(task.steps)
        ]

    def copied(self, x: Samples) -> int:
        """The bytes of data that had to be laid out anew."""
        mine = self.batches[0][0].data_ptr() == x.ctypes.data
        return 0 if mine else sum(x.nbytes for x, _ in self.batches)

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return cross_entropy(self.model(x), y)

    def step(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        self.optimizer.zero_grad()
        loss = self.loss(x, y)
        loss.backward()
        self.optimizer.step()
        return loss

    def losses(self, count: int) -> list[float]:
        return [self.step(x, y).item() for x, y in self.batches[:count]]

    def epoch(self) -> None:
        for x, y in self.batches:
            self.step(x, y)


class EagerLast(Eager):
    """The same with channels last."""

    last = True


class Compiled(Eager):
    """The same with forward and backward compiled (Adam is one fused call already)."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        torch.compiler.reset()
        self.loss = torch.compile(super().loss, dynamic=False)


class CompiledLast(Compiled):
    """Compiled with channels last."""

    last = True
