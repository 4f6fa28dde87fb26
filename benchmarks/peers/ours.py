"""chainrule through its public interface: ``fit`` over arrays, and ``train_on_batch``."""

import numpy as np

from chainrule.layers import Dense, Input
from chainrule.losses import SparseCategoricalCrossentropy
from chainrule.models import Sequential
from chainrule.optimizers import Adam

from ..rows import EPSILON, RATE, Perceptron, Task


def network(description: Perceptron, metrics: tuple[str, ...] = ()) -> Sequential:
    """The compiled model."""
    first, *hidden, last = description.widths
    layers = [Dense(units, activation=description.activation) for units in hidden]
    model = Sequential([Input((first,)), *layers, Dense(last)])
    model.compile(
        optimizer=Adam(RATE, epsilon=EPSILON),
        loss=SparseCategoricalCrossentropy(from_logits=True),
        metrics=list(metrics),
    )
    return model


class Fit:
    """An epoch is one call of ``fit``, everything it does for its caller included."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.model = network(task.row.network)
        self.model.set_weights(list(task.weights))

    def losses(self, count: int) -> list[float]:
        return [
            float(np.ravel(self.model.train_on_batch(x, y))[0]) for x, y in self.task.batches(count)
        ]

    def epoch(self) -> None:
        task = self.task
        self.model.fit(
            task.x, task.y, batch_size=task.row.batch, epochs=1, shuffle=False, verbose=0
        )


class Batches(Fit):
    """A loop in Python, one call for each batch."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.batches = list(task.batches(len(task.x) // task.row.batch))

    def epoch(self) -> None:
        for x, y in self.batches:
            self.model.train_on_batch(x, y)
