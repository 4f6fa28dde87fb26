"""Runs as the doctor sees them from outside."""

from __future__ import annotations

import numpy as np

from chainrule.callbacks import Callback
from chainrule.insight.case import Case
from chainrule.insight.finding import ranked
from chainrule.insight.outside import after_epoch, before_training
from chainrule.insight.words import Words
from chainrule.layers import Dense, Flatten, Input
from chainrule.models import Sequential
from chainrule.training.said import Said
from chainrule.utils import set_random_seed

SPARSE, BINARY = "sparse_categorical_crossentropy", "binary_crossentropy"


def compiled(layers, loss, optimizer="adam"):
    """Return a compiled stack of layers."""
    set_random_seed(0)
    model = Sequential(layers)
    model.compile(optimizer, loss)
    return model


def case_of(layers, loss, x, y, batch_size=32, weights=None):
    """Return a case before any run."""
    model = compiled(layers, loss)
    batches = model._collect_targets("fit", x, y, weights)
    model._build_for(batches.x)
    return Case.of_batches(model._trainer, batches, batch_size)


def before(*given, **options):
    """Return the findings before the first step, by kind."""
    return by_kind(before_training(case_of(*given, **options)))


def by_kind(findings):
    """Return findings by kind, all of which can be said in Chinese."""
    for found in findings:
        for text in filter(None, (found.evidence, found.cause, found.remedy)):
            assert isinstance(text, Said) and Words("zh").text(text) != text, text
    return {found.kind: found for found in findings}


def table(columns, units=3, loss_units=None):
    """Return a perceptron for a table."""
    return [Input((columns,)), Dense(16, "relu"), Dense(units, "softmax")]


def pictures(units=10):
    """Return a perceptron for digits."""
    return [Flatten(input_shape=(28, 28)), Dense(16, "relu"), Dense(units, "softmax")]


class Watcher(Callback):
    """Asks the rules from outside as the doctor does."""

    def __init__(self):
        self.history, self.before, self.after = {}, [], []

    def on_train_begin(self, logs=None):
        """Look at the data."""
        self.case = Case.of_run(self.run)
        self.before = before_training(self.case)

    def on_epoch_end(self, epoch, logs=None):
        """Take in the numbers of an epoch."""
        for name, number in logs.items():
            self.history.setdefault(name, []).append(number)

    def on_train_end(self, logs=None):
        """Judge the run."""
        self.after = after_epoch(self.case.after(self.history))


def trained(layers, loss, x, y, optimizer="adam", epochs=5, callbacks=(), **options):
    """Return what is found before and after training, by kind."""
    model, watcher = compiled(layers, loss, optimizer), Watcher()
    model.fit(x, y, epochs=epochs, verbose=0, callbacks=[*callbacks, watcher], **options)
    return by_kind(ranked([*watcher.before, *watcher.after]))


def rows(n, columns, seed=0):
    """Return a table of random numbers."""
    return np.random.default_rng(seed).standard_normal((n, columns)).astype("float32")


def classes(n, k=3, seed=1):
    """Return random class numbers."""
    return np.random.default_rng(seed).integers(0, k, n)
