"""PyTorch's optimizers, in each way they have; those that it lacks are written here."""

from functools import partial
from typing import Any

import torch

from ..rows import Task
from ..rules import LARGE, Rule, large_weight, network_task, samples
from .pytorch import network, set_weights

Tensors = list[torch.Tensor]


class _Foreach(torch.optim.Optimizer):
    """An optimizer whose step goes over all weights at once, operation by operation."""

    slots = ("m",)

    def __init__(self, parameters: Any, lr: float, **options: Any) -> None:
        super().__init__(parameters, {"lr": lr})
        self.count = 0
        self.held: list[Tensors] = []

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        group = self.param_groups[0]
        weights = [p for p in group["params"] if p.grad is not None]
        if not self.held:
            self.held = [[torch.zeros_like(p) for p in weights] for _ in self.slots]
        self.count += 1
        self.move(weights, [p.grad for p in weights], group["lr"])

    def move(self, w: Tensors, g: Tensors, rate: float) -> None:
        """Move the weights."""
        raise NotImplementedError


class Lion(_Foreach):
    """Chen et al., arXiv 2302.06675, algorithm 2."""

    def move(self, w: Tensors, g: Tensors, rate: float) -> None:
        """Move the weights by the sign of an interpolation."""
        (m,) = self.held
        way = torch._foreach_lerp(m, g, 0.1)
        torch._foreach_sign_(way)
        torch._foreach_add_(w, way, alpha=-rate)
        torch._foreach_lerp_(m, g, 0.01)


class Lamb(_Foreach):
    """You et al., arXiv 1904.00962, algorithm 2, without decay."""

    slots = ("m", "v")

    def move(self, w: Tensors, g: Tensors, rate: float) -> None:
        """Move each weight by a share of its length."""
        m, v = self.held
        torch._foreach_lerp_(m, g, 0.1)
        torch._foreach_mul_(v, 0.999)
        torch._foreach_addcmul_(v, g, g, 0.001)
        root = torch._foreach_div(v, 1 - 0.999**self.count)
        torch._foreach_sqrt_(root)
        torch._foreach_add_(root, 1e-7)
        way = torch._foreach_div(m, 1 - 0.9**self.count)
        torch._foreach_div_(way, root)
        lengths = zip(torch._foreach_norm(w), torch._foreach_norm(way), strict=True)
        shares = [-rate * float(a / b) if a > 0 and b > 0 else -rate for a, b in lengths]
        torch._foreach_mul_(way, shares)
        torch._foreach_add_(w, way)


_OWN = {"Lion": Lion, "Lamb": Lamb}
_WAYS: dict[str, dict[str, bool]] = {
    "plain": {"foreach": False},
    "foreach": {"foreach": True},
    "compiled": {"foreach": True},
    "fused": {"fused": True},
}


def variants(rule: Rule) -> list[str]:
    """The ways in which the rule can run; the fastest counts."""
    if rule.torch in _OWN or rule.torch == "LBFGS":
        return ["plain"]
    return ["foreach", "plain", *(["fused"] if rule.fused else [])]


def load(rule: Rule, size: str, variant: str) -> "Network | Large | LargeLBFGS":
    """Return what runs the rule's steps."""
    torch.set_num_threads(2)
    if size != LARGE:
        return Network(rule, variant)
    return LargeLBFGS(rule, variant) if rule.name == "LBFGS" else Large(rule, variant)


def make(rule: Rule, variant: str, parameters: Any) -> Any:
    """Return the optimizer."""
    kind = _OWN.get(rule.torch) or getattr(torch.optim, rule.torch)
    way = {} if rule.torch in (*_OWN, "LBFGS") else _WAYS[variant]
    optimizer = kind(parameters, lr=rule.rate, **rule.theirs, **way)
    if variant == "compiled":
        torch.compiler.reset()
        optimizer.step = torch.compile(optimizer.step)
    return optimizer


class Network:
    """Steps of the small network on batches that are tensors already."""

    def __init__(self, rule: Rule, variant: str) -> None:
        self.task: Task = network_task(rule)
        self.model = network(self.task.row.network)
        self.remake = lambda: make(rule, variant, self.model.parameters())
        self.restarts = rule.name == "LBFGS"
        self.steps = self.task.steps
        self.batches = [tuple(map(torch.from_numpy, b)) for b in self.task.batches(self.steps)]
        if self.restarts:
            self.batches, self.steps = 4 * self.batches, 4
        self._start()

    def _start(self) -> None:
        set_weights(self.model, self.task)
        self.optimizer = self.remake()

    def run(self) -> None:
        """Do `steps` steps; of L-BFGS the first ones."""
        if self.restarts:
            self._start()
        for x, y in self.batches:
            if self.restarts:
                self.optimizer.step(partial(self._loss, x, y))
            else:
                self._step(x, y)

    def _loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        self.optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(self.model(x), y)
        loss.backward()
        return loss

    def _step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self._loss(x, y)
        self.optimizer.step()

    def weights(self) -> list[float]:
        """Return some of the weights."""
        return samples(iter([p.detach().numpy().T for p in self.model.parameters()]))


class Large:
    """Updates of one weight with a gradient at hand."""

    steps = 1

    def __init__(self, rule: Rule, variant: str) -> None:
        weight, gradient = map(torch.from_numpy, large_weight())
        self.weight = torch.nn.Parameter(weight)
        self.weight.grad, self.gradient = gradient.clone(), gradient
        self.optimizer = make(rule, variant, [self.weight])

    def run(self) -> None:
        """Do one update."""
        self.optimizer.step()

    def again(self) -> None:
        """Put the gradient back as it was: foreach adds Nesterov's momentum to it in place."""
        assert self.weight.grad is not None
        self.weight.grad.copy_(self.gradient)

    def weights(self) -> list[float]:
        """Return some of the weights."""
        return samples(iter([self.weight.detach().numpy()]))


class LargeLBFGS(Large):
    """Steps of L-BFGS over a quadratic function, the evaluations included."""

    def __init__(self, rule: Rule, variant: str) -> None:
        super().__init__(rule, variant)
        self.factor = 0.5 + self.gradient.abs()
        self.optimizer = torch.optim.LBFGS([self.weight], lr=1e-2, max_iter=1, history_size=5)

    def run(self) -> None:
        """Do a step of one iteration."""
        self.optimizer.step(self._closure)

    def _closure(self) -> torch.Tensor:
        self.optimizer.zero_grad()
        loss = (self.factor * self.weight * self.weight).sum()
        loss.backward()
        return loss
