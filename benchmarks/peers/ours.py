"""chainrule through its public interface: ``fit`` over arrays, and ``train_on_batch``."""

import numpy as np

import chainrule
from chainrule.losses import SparseCategoricalCrossentropy
from chainrule.models import Sequential
from chainrule.optimizers import Adam

from ..rows import EPSILON, Row, Task
from .keras_words import layers


def network(row: Row, metrics: tuple[str, ...] = ()) -> Sequential:
    """The compiled model."""
    model = Sequential(layers(chainrule, row.network))
    model.compile(
        optimizer=Adam(row.rate, epsilon=EPSILON),
        loss=SparseCategoricalCrossentropy(from_logits=True),
        metrics=list(metrics),
    )
    return model


class Fit:
    """An epoch is one call of ``fit``, everything it does for its caller included."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.model = network(task.row)
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
        self.batches = list(task.batches(task.steps))

    def epoch(self) -> None:
        for x, y in self.batches:
            self.model.train_on_batch(x, y)
