"""Keras 3 on JAX, its ``fit`` over arrays."""

import os

os.environ["KERAS_BACKEND"] = "jax"  # before the import, which reads it

import keras

from ..rows import EPSILON, Task
from .keras_words import layers


class Fit:
    """An epoch is one call of ``fit``."""

    def __init__(self, task: Task) -> None:
        self.model = keras.Sequential(layers(keras, task.row.network))
        self.model.compile(
            optimizer=keras.optimizers.Adam(task.row.rate, epsilon=EPSILON),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        self.model.set_weights(list(task.weights))
        self.task = task

    def losses(self, count: int) -> list[float]:
        losses = []
        for x, y in self.task.batches(count):
            self.model.reset_metrics()  # else it returns the mean over the calls so far
            losses.append(float(self.model.train_on_batch(x, y)))
        return losses

    def epoch(self) -> None:
        task = self.task
        self.model.fit(
            task.x, task.y, batch_size=task.row.batch, epochs=1, shuffle=False, verbose=0
        )
