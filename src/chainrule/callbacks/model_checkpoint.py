"""Writes the model on the way."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chainrule.callbacks.arguments import number
from chainrule.callbacks.base import Logs
from chainrule.callbacks.every import Every
from chainrule.callbacks.monitor import Monitor
from chainrule.errors import ArgumentError, FileError
from chainrule.models import saving
from chainrule.models.model import Model
from chainrule.paths import path_of


class ModelCheckpoint(Monitor):
    """Writes the model after each epoch, or whenever the number it watches improves.

    Parameters
    ----------
    filepath : path-like
        Where to; names in braces are filled in with the epoch (from 1), the batch (from 1, where
        `save_freq` is a number) and the logs, e.g. ``"{epoch:02d}-{val_loss:.2f}.chainrule"``.
        Folders that are missing are made. Names that end in ``.keras``, ``.h5`` and
        ``.weights.h5`` (weights alone) make Keras's own files, without the optimizer.
    monitor : str, default "val_loss"
        The number that says which model is best, one of the names in the history.
    verbose : {0, 1}, default 0
        Whether to say what is written.
    save_best_only : bool, default False
        Whether to write only where `monitor` improved.
    save_weights_only : bool, default False
        Whether to write with `Model.save_weights` instead of `Model.save`.
    mode : {"auto", "min", "max"}, default "auto"
        Whether lower or higher is better; ``"auto"`` goes by the metric or its name.
    save_freq : "epoch" or int, default "epoch"
        When to write: after each epoch, or each time so many batches were trained on.
    initial_value_threshold : float, optional
        A value that must be improved on from the start.

    Raises
    ------
    ArgumentError
        For an unknown `mode` or `save_freq`, a name in `filepath` that the run does not measure,
        or with `save_best_only` a `monitor` that it does not.
    FileError
        When the file cannot be written; the one before it stays as it was.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from chainrule.callbacks import ModelCheckpoint
    >>> from chainrule.layers import Dense, Input
    >>> from chainrule.models import Sequential, load_model
    >>> model = Sequential([Input((2,)), Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> path = tempfile.mkdtemp() + "/{epoch:02d}.chainrule"
    >>> history = model.fit(np.zeros((8, 2)), np.ones(8), epochs=2, verbose=0,
    ...                     callbacks=ModelCheckpoint(path))
    >>> load_model(path.format(epoch=2)).count_params()
    3

    Source
    ------
    The rules are those of Keras 3's callback of this name, except that an unknown `monitor` is an
    error with `save_best_only`, and that any name of a file will do.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        self.filepath = os.fspath(path_of("filepath", filepath))
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self._every = Every(save_freq)
        self._epoch = 0
        threshold = initial_value_threshold
        self.best = (
            self.worst if threshold is None else number("initial_value_threshold", threshold)
        )

    def interval(self) -> float:
        """Return the batches left until the next file."""
        return self._every.left()

    def get_state(self) -> dict[str, Any]:
        """Return the best number, and the batches since the last file."""
        return {"best": self.best, "seen": self._every.seen, "batch": self._every.batch}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state."""
        self.best = float(state["best"])
        self._every.seen, self._every.batch = int(state["seen"]), int(state["batch"])

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin to count batches, and refuse what could not be written when the time comes.

        The best model of an earlier run stays the best.
        """
        self._every.reset()
        foreseen = self._foreseen() if self._every.epochs else None
        if foreseen is not None:
            if self.save_best_only:
                super().on_train_begin(logs)
            self._path({"epoch": 1, **foreseen})
        if math.isinf(self.best):  # none yet; and only the run's metrics may tell what is worst
            self.best = self.worst
        if self.run is not None and self.run.epoch < self.run.schedule.epochs:
            self._check_model()
            self._make(self._folder())

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Take the number of the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Write the model where it is time, going by batches."""
        if self._every.due(batch):
            self._save(self._epoch, logs or {}, {"batch": batch + 1})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the model where it is time, going by epochs."""
        if self._every.epochs:
            self._save(epoch, logs or {}, {})

    def _save(self, epoch: int, logs: Logs, where: Mapping[str, int]) -> None:
        if self.save_best_only and not self._improved(epoch, logs):
            return
        path = self._path({"epoch": epoch + 1, **where, **logs})
        self._make(path.parent)
        (self.model.save_weights if self._alone() else self.model.save)(path)
        self._say(epoch, f"model written to {path}")

    def _alone(self) -> bool:
        """Return whether the weights are written, without the layers."""
        return self.save_weights_only or self.filepath.lower().endswith(".weights.h5")

    def _check_model(self) -> None:
        """Refuse a model that cannot be written, unless its class has a way of its own."""
        ours = getattr(self.model.save, "__func__", None) is Model.save
        if ours and not self._alone():
            saving.check(self.model, self.filepath)

    def _folder(self) -> Path:
        """Return the part of the folder's name that is the same for all files."""
        parts = Path(self.filepath).parent.parts
        return Path(*itertools.takewhile(lambda part: "{" not in part, parts))

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"cannot make the folder {str(folder)!r}: {error}") from error

    def _improved(self, epoch: int, logs: Logs) -> bool:
        current = self.current(logs)
        if current is None or not self.better(current, self.best):
            self._say(epoch, f"{self.monitor} did not improve on {self.best:.6g}")
            return False
        self._say(epoch, f"{self.monitor} improved from {self.best:.6g} to {current:.6g}")
        self.best = current
        return True

    def _path(self, names: Mapping[str, Any]) -> Path:
        try:
            return Path(self.filepath.format(**names))
        except (KeyError, IndexError, ValueError) as error:
            raise ArgumentError(
                f"the filepath {self.filepath!r} cannot be filled in: {error}\n"
                f"  known: {', '.join(names)}"
            ) from None

    def _say(self, epoch: int, text: str) -> None:
        if self.verbose:
            print(f"epoch {epoch + 1}: {text}")
