"""chainrule's optimizers: a step of `fit`, and the update of one large weight alone."""

from typing import Any

import chainrule as cr
from chainrule import ops, optimizers
from chainrule.losses import SparseCategoricalCrossentropy
from chainrule.models import Sequential

from ..rules import LARGE, Rule, large_weight, network_task, samples
from .keras_words import layers


def variants(rule: Rule) -> list[str]:
    """The ways in which the rule can run."""
    return ["native"]


def load(rule: Rule, size: str, variant: str) -> "Network | Large | LargeLBFGS":
    """Return what runs the rule's steps."""
    cr.set_num_threads(2)
    if size != LARGE:
        return Network(rule)
    return LargeLBFGS(rule) if rule.name == "LBFGS" else Large(rule)


def make(rule: Rule) -> Any:
    """Return the optimizer."""
    return getattr(optimizers, rule.name)(learning_rate=rule.rate, **rule.ours)


class Network:
    """Steps of the small network, whole epochs of `fit`."""

    def __init__(self, rule: Rule) -> None:
        self.task = network_task(rule)
        self.model = Sequential(layers(cr, self.task.row.network))
        self.model.compile(make(rule), SparseCategoricalCrossentropy(from_logits=True))
        self.model.set_weights(list(self.task.weights))
        self.restarts = rule.name == "LBFGS"
        self.epochs = 4 if self.restarts else 1
        self.steps = self.epochs * self.task.steps

    def run(self) -> None:
        """Do `steps` steps; of L-BFGS the first ones, since it soon has nothing to do."""
        task = self.task
        if self.restarts:
            self.model.set_weights(list(task.weights))
            self.model.optimizer.restart(())
        batch = task.row.batch
        options = {"batch_size": batch, "epochs": self.epochs, "shuffle": False, "verbose": 0}
        self.model.fit(task.x, task.y, **options)

    def weights(self) -> list[float]:
        """Return some of the weights."""
        return samples(iter(self.model.get_weights()))


class Large:
    """Updates of one weight with a gradient at hand."""

    steps = 1

    def __init__(self, rule: Rule) -> None:
        weight, gradient = large_weight()
        self.weight = cr.Variable(weight, name="large")
        self.gradient = cr.Variable(gradient, name="gradient", trainable=False)
        self.optimizer = make(rule)

    def run(self) -> None:
        """Do one update."""
        self.optimizer.apply_gradients([(self.gradient.leaf, self.weight)])

    def weights(self) -> list[float]:
        """Return some of the weights."""
        return samples(iter([self.weight.value]))


class LargeLBFGS(Large):
    """Steps of L-BFGS over a quadratic function, the evaluations included."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self.gradient.assign(0.5 + abs(self.gradient.value))
        self.optimizer = optimizers.LBFGS(1e-2, max_iter=1, history_size=5, line_search_fn=None)
        self.optimizer.build([self.weight])

    def run(self) -> None:
        """Do a step of one iteration."""
        self.optimizer.step(self._closure)

    def _closure(self) -> Any:
        self.optimizer.zero_grad()
        loss = ops.sum(self.gradient * self.weight * self.weight)
        loss.backward()
        return loss
