"""PyTorch with fused Adam on batches that are tensors already: nothing but the steps is timed."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ..rows import EPSILON, RATE, Perceptron, Task

_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def network(description: Perceptron) -> nn.Sequential:
    """Linear layers with the activation between them."""
    layers: list[nn.Module] = []
    for k, m in pairwise(description.widths):
        layers += [nn.Linear(k, m), _ACTIVATIONS[description.activation]()]
    return nn.Sequential(*layers[:-1])


class Eager:
    """The ordinary loop."""

    def __init__(self, task: Task) -> None:
        self.model = network(task.row.network)
        with torch.no_grad():
            for parameter, weight in zip(self.model.parameters(), task.weights, strict=True):
                parameter.copy_(torch.from_numpy(weight.T.copy()))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=RATE, eps=EPSILON, fused=True)
        steps = len(task.x) // task.row.batch
        self.batches = [tuple(map(torch.from_numpy, pair)) for pair in task.batches(steps)]

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


class Compiled(Eager):
    """The same with forward and backward compiled (Adam is one fused call already)."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        torch.compiler.reset()
        self.loss = torch.compile(super().loss, dynamic=False)
