"""Curves and distributions for TensorBoard."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from chainrule.callbacks.base import Callback, Logs
from chainrule.callbacks.events import EventFile, histogram, scalar
from chainrule.callbacks.every import Every
from chainrule.errors import ArgumentError
from chainrule.paths import path_of
from chainrule.training.gradients import Gradients


class TensorBoard(Callback):
    """Writes what `fit` measures, and how weights and gradients are spread, for TensorBoard.

    Below `log_dir` there are two runs, ``train`` and ``validation``, with ``epoch_loss`` and so on
    after each epoch, ``batch_loss`` where asked for, and a histogram for each weight and for the
    gradient of the loss over the first batch of samples. The files are written without TensorFlow;
    ``tensorboard --logdir logs`` shows them.

    Parameters
    ----------
    log_dir : path-like, default "logs"
        Made where it is missing. Each `fit` adds a file.
    histogram_freq : int, default 0
        Epochs between two histograms; 0 for none.
    update_freq : "epoch", "batch" or int, default "epoch"
        Whether to write within epochs too: after each batch, or so many.

    Raises
    ------
    ArgumentError
        For a frequency that is none.
    FileError
        When a file cannot be written.

    Examples
    --------
    >>> import numpy as np, os, tempfile
    >>> from chainrule.callbacks import TensorBoard
    >>> from chainrule.layers import Dense, Input
    >>> from chainrule.models import Sequential
    >>> model = Sequential([Input((2,)), Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> folder = tempfile.mkdtemp()
    >>> history = model.fit(np.zeros((8, 2)), np.ones(8), verbose=0, validation_split=0.5,
    ...                     callbacks=TensorBoard(folder, histogram_freq=1))
    >>> sorted(os.listdir(folder))
    ['train', 'validation']

    Source
    ------
    Names of runs and curves as in Keras 3's callback of this name, which has no gradients.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        update_freq: str | int = "epoch",
    ) -> None:
        if not isinstance(histogram_freq, int) or histogram_freq < 0:
            raise ArgumentError(f"histogram_freq is {histogram_freq!r}; expected 0 or more epochs")
        self.log_dir = path_of("log_dir", log_dir)
        self.histogram_freq = histogram_freq
        self.update_freq = update_freq
        self._every = Every(1 if update_freq == "batch" else update_freq, "update_freq")
        self._files: dict[str, EventFile] = {}
        self._gradients: Gradients | None = None

    def interval(self) -> float:
        """Return the batches left until the next numbers."""
        return self._every.left()

    def get_state(self) -> dict[str, Any]:
        """Return the files and where they ended."""
        files = {kind: [file.path.name, file.position] for kind, file in self._files.items()}
        return {"files": files, "seen": self._every.seen, "batch": self._every.batch}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on in these files, from there."""
        self._files = {
            kind: EventFile(self.log_dir / kind, str(name), int(position))
            for kind, (name, position) in state["files"].items()
        }
        self._every.seen, self._every.batch = int(state["seen"]), int(state["batch"])

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin new files, which are made with the first numbers."""
        self._every.reset()
        self._files = {kind: EventFile(self.log_dir / kind) for kind in ("train", "validation")}

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Write the means over the epoch so far where it is time."""
        if self._every.due(batch):
            values = [scalar(f"batch_{name}", number) for name, number in (logs or {}).items()]
            self._files["train"].write(int(self.model.optimizer.iterations), values)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the numbers of an epoch, and histograms where it is time."""
        train: list[bytes] = []
        validation: list[bytes] = []
        for name, number in (logs or {}).items():
            tag = f"epoch_{name.removeprefix('val_')}"
            (validation if name.startswith("val_") else train).append(scalar(tag, number))
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            train += self._histograms()
        self._files["train"].write(epoch, train)
        if validation:
            self._files["validation"].write(epoch, validation)

    def _histograms(self) -> list[bytes]:
        named = {f"{v.name}/histogram": v.value for v in self.model.variables}
        if self.run is not None:
            if self._gradients is None or self._gradients.run is not self.run:
                self._gradients = Gradients(self.run)
            named |= {f"{name}/gradient": g for name, g in self._gradients.now().items()}
        return [histogram(tag.replace(".", "/"), array) for tag, array in named.items()]

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Let go of the program for the gradients."""
        self._gradients = None
